//! A task's queued elements in order, in pieces that may go to one node: what was tried before goes
//! alone, for it prefers another node than its last.

use machine::TaskRun;
use model::NodeId;
use proto::record::Range;

pub(super) struct Pieces<'a> {
    task: &'a TaskRun,
    /// The next ordinal to look at; `None` behind the last there can be.
    from: Option<u32>,
}

/// Consecutive ordinals.
pub(super) struct Piece {
    first: u32,
    /// One behind the last.
    end: u64,
    /// Where its one element was last.
    pub(super) last_node: Option<NodeId>,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(task: &'a TaskRun) -> Pieces<'a> {
        Pieces { task, from: Some(0) }
    }

    /// The next piece, with at most `most` elements; `None` where there is none, or `most` is 0.
    pub(super) fn next(&mut self, most: u64) -> Option<Piece> {
        let from = self.from.filter(|_| most > 0)?;
        let range = self.task.queued.ranges_from(from).next()?;
        let first = (*range.start()).max(from);
        let tried = self.task.tries.range(first..=*range.end()).next();
        let (last, last_node) = match tried {
            Some((ordinal, tries)) if *ordinal == first => (first, Some(tries.node)),
            Some((ordinal, _)) => (ordinal - 1, None),
            None => (*range.end(), None),
        };
        let end = (u64::from(last) + 1).min(u64::from(first) + most);
        self.from = u32::try_from(end).ok();
        Some(Piece { first, end, last_node })
    }
}

impl Piece {
    pub(super) fn first(&self) -> u32 {
        self.first
    }

    pub(super) fn len(&self) -> u64 {
        self.end - u64::from(self.first)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes `count` elements off the front.
    pub(super) fn split(&mut self, count: u64) -> Range {
        let end = u64::from(self.first) + count;
        let range = Range { first: self.first, last: (end - 1) as u32 };
        // Only behind the last ordinal there can be, which is then the end.
        self.first = u32::try_from(end).unwrap_or(u32::MAX);
        range
    }
}
