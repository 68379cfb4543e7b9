//! Walking through a table of several parts at once, in the order of the keys or against it.
//!
//! A block is read when its turn has come, and only if it can hold something that is wanted. What
//! cannot be read is passed over and told.

use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use crate::block::{Key, Meta, Table};
use crate::cover::Ranges;
use crate::part::Part;

/// Whether something is wanted.
pub(crate) type Rule<'a, T> = Box<dyn Fn(&T) -> bool + Send + 'a>;

/// What is wanted of a table.
pub(crate) struct Wanted<'a, T: Table> {
    pub(crate) from: Key,
    pub(crate) to: Key,
    /// Whether a block can hold something.
    pub(crate) block: Rule<'a, Meta>,
    pub(crate) row: Rule<'a, T::Row>,
    pub(crate) gone: Arc<Ranges>,
    pub(crate) backward: bool,
}

impl<'a, T: Table> Wanted<'a, T> {
    /// Everything from one key to another.
    pub(crate) fn all(from: Key, to: Key, gone: Arc<Ranges>) -> Wanted<'a, T> {
        let (block, row) = (Box::new(|_: &Meta| true), Box::new(|_: &T::Row| true));
        Wanted { from, to, block, row, gone, backward: false }
    }

    fn wants(&self, row: &T::Row) -> bool {
        let within = T::last(row) >= self.from && T::key(row) <= self.to;
        within && !self.gone.contains(T::run(row)) && (self.row)(row)
    }
}

/// A row, or a block that cannot be read.
pub(crate) enum Step<R> {
    Row(R),
    Damaged(Meta),
}

/// A walk under way.
pub(crate) struct Walk<'a, T: Table> {
    wanted: Wanted<'a, T>,
    sources: Vec<Source<T>>,
    /// The next place of each source, the nearest on top.
    heap: BinaryHeap<(Near, usize)>,
    latest: Option<Key>,
    /// Rows that were read, wanted or not.
    pub(crate) rows_read: u64,
}

struct Source<T: Table> {
    part: Option<Arc<Part>>,
    /// Positions of blocks that are to be read.
    blocks: VecDeque<usize>,
    rows: VecDeque<T::Row>,
}

/// A place by its nearness: the greater, the nearer.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Near(u64, u32, u64);

impl Near {
    fn of(key: Key, backward: bool) -> Near {
        let low = u64::from(key.ordinal) << 32 | u64::from(key.number);
        match backward {
            true => Near(key.run, key.task, low),
            false => Near(!key.run, !key.task, !low),
        }
    }
}

impl<'a, T: Table> Walk<'a, T> {
    /// Begins. `rows` are those that are in no part yet, in any order.
    pub(crate) fn begin(
        wanted: Wanted<'a, T>,
        parts: &[Arc<Part>],
        mut rows: Vec<T::Row>,
    ) -> Walk<'a, T> {
        rows.retain(|row| wanted.wants(row));
        rows.sort_by_key(T::key);
        if wanted.backward {
            rows.reverse();
        }
        let memory = Source { part: None, blocks: VecDeque::new(), rows: rows.into() };
        let mut walk = Walk {
            sources: vec![memory],
            heap: BinaryHeap::new(),
            latest: None,
            rows_read: 0,
            wanted,
        };
        for part in parts {
            let within = part.within(T::KIND, walk.wanted.from, walk.wanted.to);
            let all = part.blocks(T::KIND);
            let mut blocks: VecDeque<usize> =
                within.filter(|at| (walk.wanted.block)(&all[*at])).collect();
            if walk.wanted.backward {
                blocks.make_contiguous().reverse();
            }
            if !blocks.is_empty() {
                let part = Some(part.clone());
                walk.sources.push(Source { part, blocks, rows: VecDeque::new() });
            }
        }
        (0..walk.sources.len()).for_each(|at| walk.push(at));
        walk
    }

    fn push(&mut self, at: usize) {
        let source = &self.sources[at];
        let key = match (source.rows.front(), &source.part, source.blocks.front()) {
            (Some(row), _, _) => T::key(row),
            (None, Some(part), Some(block)) => {
                let meta = &part.blocks(T::KIND)[*block];
                if self.wanted.backward { meta.last } else { meta.first }
            }
            _ => return,
        };
        self.heap.push((Near::of(key, self.wanted.backward), at));
    }

    fn load(&mut self, at: usize) -> Option<Meta> {
        let source = &mut self.sources[at];
        let (Some(part), Some(block)) = (&source.part, source.blocks.pop_front()) else {
            return None;
        };
        let meta = part.blocks(T::KIND)[block];
        let Some(rows) = part.rows_of::<T>(&meta) else {
            if part.note_damage() {
                let path = part.path.display();
                tracing::error!(%path, "a file of history is damaged; what is whole is served");
            }
            return Some(meta);
        };
        self.rows_read += rows.len() as u64;
        let mut rows = match Arc::try_unwrap(rows) {
            Ok(mut own) => {
                own.retain(|row| self.wanted.wants(row));
                own
            }
            Err(kept) => kept.iter().filter(|row| self.wanted.wants(row)).cloned().collect(),
        };
        if self.wanted.backward {
            rows.reverse();
        }
        source.rows = rows.into();
        None
    }
}

impl<T: Table> Iterator for Walk<'_, T> {
    type Item = Step<T::Row>;

    fn next(&mut self) -> Option<Step<T::Row>> {
        loop {
            let (_, at) = self.heap.pop()?;
            match self.sources[at].rows.pop_front() {
                Some(row) => {
                    self.push(at);
                    // The same fact twice is left of a merge that a crash cut short.
                    let key = T::key(&row);
                    if self.latest.replace(key) != Some(key) {
                        return Some(Step::Row(row));
                    }
                }
                None => {
                    let damaged = self.load(at);
                    self.push(at);
                    if let Some(meta) = damaged {
                        return Some(Step::Damaged(meta));
                    }
                }
            }
        }
    }
}
