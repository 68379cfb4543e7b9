//! Looking for runs: one with its job, a list, the latest of a name.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::RunId;

use crate::block::{Heads, Jobs, Key, Meta, Name, Names, Table, hash_of};
use crate::fact::RunHead;
use crate::filter::RunFilter;
use crate::walk::{Step, Walk, Wanted};
use crate::{History, store::Inner};

/// What history knows of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<T> {
    /// This.
    Known(T),
    /// Nothing.
    Unknown,
    /// Where it would be is damaged.
    Damaged,
}

/// A stretch of a list.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The runs that are wanted, the latest first.
    pub heads: Vec<RunHead>,
    /// Where the next page begins: it has the runs before this one. `None` at the end.
    pub next: Option<RunId>,
    /// Runs of which it cannot be said whether they are wanted, for they are damaged.
    pub damaged: u64,
}

/// Heads that one call looks at, so that it takes some milliseconds at most.
const LOOKED_AT_MAX: u64 = 20_000;
/// Runs of a name that are looked up at once.
const NAMED_MAX: usize = 2_000;

impl History {
    /// What is listed of a run.
    pub fn head(&self, run: RunId) -> Found<RunHead> {
        let heads = |inner: &Inner| {
            inner.memories().find_map(|memory| Some(memory.runs.get(&run.0)?.0.clone()))
        };
        self.one::<Heads>(run, heads)
    }

    /// What was submitted.
    pub fn job(&self, run: RunId) -> Found<Arc<[u8]>> {
        let job = |inner: &Inner| {
            let job = |memory: &crate::memory::Memory| Some(memory.runs.get(&run.0)?.1.clone());
            let job = inner.memories().find_map(job)?;
            Some(crate::block::Job { run: run.0, job })
        };
        match self.one::<Jobs>(run, job) {
            Found::Known(job) => Found::Known(job.job),
            Found::Unknown => Found::Unknown,
            Found::Damaged => Found::Damaged,
        }
    }

    fn one<T: Table>(
        &self,
        run: RunId,
        in_memory: impl Fn(&Inner) -> Option<T::Row>,
    ) -> Found<T::Row> {
        let (found, parts, gone) = {
            let inner = self.read();
            (in_memory(&inner), inner.parts.clone(), inner.gone.clone())
        };
        let key = Key::of_run(run.0);
        let walk = Walk::<T>::begin(Wanted::all(key, key, gone), &parts, Vec::from_iter(found));
        let mut damaged = false;
        for step in walk {
            match step {
                Step::Row(row) => return Found::Known(row),
                Step::Damaged(_) => damaged = true,
            }
        }
        if damaged { Found::Damaged } else { Found::Unknown }
    }

    /// Runs before `before` that the filter wants, the latest first, at most `limit`. It looks at
    /// a bounded number: a page may be empty and still have a next one.
    pub fn list(&self, filter: &RunFilter, before: RunId, limit: usize) -> Page {
        let Some(to) = before.0.checked_sub(1) else { return Page::default() };
        match &filter.name {
            Some(name) => self.list_named(filter, name, to, limit),
            None => self.list_all(filter, to, limit),
        }
    }

    fn list_all(&self, filter: &RunFilter, to: u64, limit: usize) -> Page {
        let (memory, parts, gone) = self.heads(0, to);
        let of_states =
            |meta: &Meta| filter.states.is_empty() || filter.states.overlaps(meta.states);
        let wanted = Wanted {
            backward: true,
            block: Box::new(of_states),
            ..Wanted::all(Key::MIN, Key::of_run(to), gone)
        };
        page(filter, Walk::begin(wanted, &parts, memory), limit, LOOKED_AT_MAX)
    }

    /// The index of names says which runs to look at.
    fn list_named(&self, filter: &RunFilter, name: &str, to: u64, limit: usize) -> Page {
        let runs: BTreeSet<u64> = self.named(name, to).take(NAMED_MAX).collect();
        let (Some(&first), Some(&last)) = (runs.first(), runs.last()) else {
            return Page::default();
        };
        let (memory, parts, gone) = self.heads(first, last);
        let holds = |meta: &Meta| runs.range(meta.first.run..=meta.last.run).next().is_some();
        let wanted = Wanted {
            backward: true,
            block: Box::new(holds),
            row: Box::new(|head: &RunHead| runs.contains(&head.run.0)),
            ..Wanted::all(Key::of_run(first), Key::of_run(last), gone)
        };
        let mut page = page(filter, Walk::begin(wanted, &parts, memory), limit, u64::MAX);
        if page.next.is_none() && runs.len() >= NAMED_MAX {
            page.next = Some(RunId(first));
        }
        page
    }

    /// The latest ended run of a job of this name.
    pub fn latest_named(&self, name: &str) -> Option<RunId> {
        let is_named = |run: &RunId| matches!(self.head(*run), Found::Known(head) if head.profile.name == name);
        self.named(name, u64::MAX).map(RunId).take(NAMED_MAX).find(is_named)
    }

    /// The runs of a name, or of one with the same hash, the latest first.
    fn named(&self, name: &str, to: u64) -> impl Iterator<Item = u64> {
        let hash = hash_of(name);
        let (memory, parts, gone) = {
            let inner = self.read();
            let names = inner.memories().flat_map(|memory| memory.names());
            let names: Vec<Name> = names.filter(|name| name.hash == hash).collect();
            (names, inner.parts.clone(), inner.gone.clone())
        };
        let wanted =
            Wanted { backward: true, ..Wanted::all(Name::key(hash, 0), Name::key(hash, to), gone) };
        Walk::<Names>::begin(wanted, &parts, memory).filter_map(|step| match step {
            Step::Row(name) => Some(name.run),
            Step::Damaged(_) => None,
        })
    }

    fn heads(
        &self,
        first: u64,
        last: u64,
    ) -> (Vec<RunHead>, Arc<Vec<Arc<crate::part::Part>>>, Arc<crate::cover::Ranges>) {
        let inner = self.read();
        let heads = inner.memories().flat_map(|memory| memory.runs.range(first..=last).rev());
        let heads = heads.map(|(_, (head, _))| head.clone()).collect();
        (heads, inner.parts.clone(), inner.gone.clone())
    }
}

fn page(filter: &RunFilter, mut walk: Walk<'_, Heads>, limit: usize, looked_at_max: u64) -> Page {
    let mut page = Page::default();
    let (mut looked_at, mut latest) = (0, None);
    loop {
        if page.heads.len() >= limit || looked_at >= looked_at_max {
            // Where the last was looked at; perhaps there is nothing behind it.
            page.next = latest;
            return page;
        }
        match walk.next() {
            None => return page,
            Some(Step::Damaged(meta)) => page.damaged += u64::from(meta.rows),
            Some(Step::Row(head)) => {
                if filter.ends_at(head.submitted_ms) {
                    return page;
                }
                looked_at += 1;
                latest = Some(head.run);
                if filter.wants(&head.facts()) {
                    page.heads.push(head);
                }
            }
        }
    }
}
