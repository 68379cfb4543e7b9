//! Deleting runs on request, a bounded step at a time.

use model::RunId;

use crate::block::{Heads, Key};
use crate::error::failed;
use crate::filter::RunFilter;
use crate::walk::{Step, Walk, Wanted};
use crate::{Error, History};

/// What went, or would.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Runs.
    pub runs: u64,
    /// Their elements.
    pub elements: u64,
    /// Bytes on disk, about. They are given back in the time that follows.
    pub bytes: u64,
}

/// A purge under way.
#[derive(Clone, Debug)]
pub struct Purge {
    filter: RunFilter,
    dry: bool,
    before: u64,
    /// What went so far, or would.
    pub purged: Purged,
}

/// Runs that one step lets go at most.
const RUNS_MAX: usize = 1_000;
/// Heads that one step looks at at most.
const HEADS_MAX: u64 = 5_000;

impl Purge {
    /// A purge of all runs that the filter wants; a dry one only counts them.
    pub fn new(filter: RunFilter, dry: bool) -> Purge {
        Purge { filter, dry, before: u64::MAX, purged: Purged::default() }
    }
}

impl History {
    /// Goes on with a purge for some milliseconds; says whether there is more. Only what is on
    /// disk is purged, so [`History::flush`] comes before the first step.
    pub fn purge_step(&self, purge: &mut Purge) -> Result<bool, Error> {
        let mut tender = self.tender();
        let (parts, gone) = self.parts_and_gone();
        let to = Key::of_run(purge.before.saturating_sub(1));
        let wanted = Wanted { backward: true, ..Wanted::all(Key::MIN, to, gone) };
        let mut walk = Walk::<Heads>::begin(wanted, &parts, Vec::new());
        let (mut heads, mut looked_at, mut more) = (Vec::new(), 0, true);
        while more && heads.len() < RUNS_MAX && looked_at < HEADS_MAX {
            match walk.next() {
                None => more = false,
                Some(Step::Damaged(_)) => {}
                Some(Step::Row(head)) => {
                    looked_at += 1;
                    purge.before = head.run.0;
                    if purge.filter.wants(&head.facts()) {
                        heads.push(head);
                    }
                }
            }
        }
        purge.purged.bytes += match purge.dry {
            true => parts.iter().flat_map(|part| heads.iter().map(|h| part.bytes_of(h))).sum(),
            false => self.let_go(&mut tender, &heads).map_err(failed(&self.dir))?,
        };
        purge.purged.runs += heads.len() as u64;
        purge.purged.elements += heads.iter().map(|head| head.profile.elements).sum::<u64>();
        Ok(more && purge.before > RunId(0).0)
    }
}
