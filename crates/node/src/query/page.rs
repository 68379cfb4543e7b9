//! Elements of a run by task and index, a page at a time.

use history::History;
use model::{RangeSet, TaskState};

use super::element::{Wanted, selected};
use super::resolve::Resolved;
use super::{ElementPage, ElementPlace};
use crate::view::View;

/// Elements that are looked at together where only some states are wanted.
const LOOKED_AT_MAX: u64 = 10_000;
/// How many such looks one page takes.
const LOOKS_MAX: usize = 16;

/// The elements behind `after` that are in one of these states, or in any where there is none, at
/// most `limit`.
pub(crate) fn elements(
    view: &View,
    history: &History,
    resolved: &Resolved,
    states: &[TaskState],
    after: Option<ElementPlace>,
    limit: usize,
) -> ElementPage {
    let mut page = ElementPage { next: after, ..ElementPage::default() };
    for _ in 0..LOOKS_MAX {
        let room = limit - page.elements.len();
        let part = look(view, history, resolved, states, page.next, room);
        page.elements.extend(part.elements);
        page.next = part.next;
        if page.next.is_none() || page.elements.len() >= limit {
            break;
        }
    }
    page
}

/// Whether `place` is one that a page of these could have ended at.
pub(crate) fn is_within(resolved: &Resolved, place: ElementPlace) -> bool {
    let task = resolved.tasks.iter().find(|(task, _)| *task == place.task);
    task.is_some_and(|(_, ordinals)| ordinals.contains(place.ordinal))
}

fn look(
    view: &View,
    history: &History,
    resolved: &Resolved,
    states: &[TaskState],
    after: Option<ElementPlace>,
    limit: usize,
) -> ElementPage {
    let mut page = ElementPage::default();
    let wanted = Wanted::new(states);
    let mut looks = if states.is_empty() { limit as u64 } else { LOOKED_AT_MAX.max(limit as u64) };
    for (task, ordinals) in &resolved.tasks {
        let from = match after {
            Some(place) if place.task > *task => continue,
            Some(place) if place.task == *task => match place.ordinal.checked_add(1) {
                Some(next) => next,
                None => continue,
            },
            _ => 0,
        };
        let mut rest = RangeSet::new();
        rest.append_common(ordinals, from..=u32::MAX);
        let some = rest.take_first(looks);
        looks -= some.len();
        let Some(last) = some.last() else { continue };
        let is_last = |task| resolved.tasks.last().is_some_and(|(last, _)| *last == task);
        let looked_at = Resolved { tasks: vec![(*task, some)], ..resolved.clone() };
        // As many as are looked at, for what waits is told behind what does not.
        let most = (LOOKED_AT_MAX as usize).max(limit);
        let mut found = selected(view, history, &looked_at, &wanted, most).elements;
        found.sort_by_key(|status| status.element);
        let room = limit - page.elements.len();
        let is_cut = found.len() > room;
        found.truncate(room);
        let end = match found.last().filter(|_| is_cut) {
            Some(status) => {
                resolved.spec.tasks[*task as usize].indices().ordinal(status.element.index)
            }
            None => Some(last),
        };
        page.elements.extend(found);
        page.next = end.map(|ordinal| ElementPlace { task: *task, ordinal });
        if is_cut || looks == 0 || page.elements.len() >= limit {
            let is_end = !is_cut && rest.is_empty() && is_last(*task);
            page.next = page.next.filter(|_| !is_end);
            return page;
        }
    }
    page.next = None;
    page
}
