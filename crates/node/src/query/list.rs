//! The list of runs: those that have not ended and those that have, as one, a page at a time.

use std::collections::BTreeMap;

use history::{History, RunFacts, RunFilter};
use model::RunId;

use super::runs::{ended_summary, live_summary};
use super::{RunPage, RunSummary};
use crate::view::View;

/// Live runs that one page looks at.
const LOOKED_AT_MAX: usize = 5_000;

/// Runs below `before` that the filter wants, the latest first, at most `limit`: those that have
/// not ended, and with `all` those that have.
pub(crate) fn runs(
    view: &View,
    history: &History,
    filter: &RunFilter,
    all: bool,
    before: RunId,
    limit: usize,
) -> RunPage {
    let mut found = BTreeMap::new();
    let live_to = live(view, filter, before, limit, &mut found);
    let mut page = RunPage::default();
    let mut ended_to = None;
    if all {
        let ended = history.list(filter, before, limit);
        (ended_to, page.damaged) = (ended.next, ended.damaged);
        // History is newer than the state: what has ended has, whatever the state says.
        found.extend(ended.heads.into_iter().map(|head| (head.run, ended_summary(&head))));
    }
    // Below where one of the two has stopped, the other's runs are for the next page.
    let stop = live_to.max(ended_to);
    let mut whole = found.into_iter().rev().filter(|(run, _)| stop.is_none_or(|stop| *run >= stop));
    page.runs.extend(whole.by_ref().take(limit).map(|(_, run)| run));
    page.next = match whole.next() {
        Some(_) => page.runs.last().map(|run| run.run),
        None => stop,
    };
    page
}

/// Finds live runs; says where it stopped, if it did.
fn live(
    view: &View,
    filter: &RunFilter,
    before: RunId,
    limit: usize,
    found: &mut BTreeMap<RunId, RunSummary>,
) -> Option<RunId> {
    let mut latest = None;
    for (looked_at, (run, state)) in view.state.runs().before(before).enumerate() {
        if found.len() >= limit || looked_at >= LOOKED_AT_MAX {
            return latest;
        }
        if filter.ends_at(state.submitted_ms) {
            return None;
        }
        latest = Some(run);
        let summary = live_summary(view, run, &state);
        if filter.wants(&facts(&summary)) {
            found.insert(run, summary);
        }
    }
    None
}

fn facts(run: &RunSummary) -> RunFacts<'_> {
    RunFacts {
        state: run.state,
        name: &run.name,
        owner: &run.owner,
        namespace: &run.namespace,
        labels: &run.labels,
        submitted_ms: run.submitted_ms,
        ended: None,
    }
}
