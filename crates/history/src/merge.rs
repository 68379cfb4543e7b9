//! Merging parts into one, a bounded step at a time, and leaving out what is gone.
//!
//! A block that lies between the rows of all others is copied as it is: merging the parts of one
//! large array costs little more than its bytes.

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crate::block::{
    Attempts, Heads, Jobs, Key, Kind, Meta, Names, ROWS_MAX, Spans, Table, WEIGHT_MAX,
};
use crate::cover::Ranges;
use crate::part::{Part, Writer};

/// The part in the making by a merge.
const MERGE: &str = "merge.tmp";

/// A merge under way.
pub(crate) struct Merge {
    pub(crate) parts: Vec<Arc<Part>>,
    /// Of these parts, as it began: what is left out.
    pub(crate) dead_bytes: u64,
    writer: Writer,
    /// What is left to do, the next first.
    tables: VecDeque<Box<dyn Stage + Send>>,
}

/// How a step went.
pub(crate) enum Went {
    /// There is more.
    On,
    /// It is done: the new part.
    Done(Part),
    /// A part cannot be read, so that it stays as it is.
    Damaged,
}

impl Merge {
    pub(crate) fn begin(
        dir: &Path,
        parts: Vec<Arc<Part>>,
        gone: &Arc<Ranges>,
    ) -> io::Result<Merge> {
        let mut cover = Ranges::default();
        parts.iter().for_each(|part| cover.extend(&part.cover));
        let mut writer = Writer::begin(dir, MERGE, cover)?;
        writer.oldest_ms = parts.iter().map(|part| part.oldest_ms).min().unwrap_or(u64::MAX);
        let tables: [Box<dyn Stage + Send>; Kind::TABLES.len()] = [
            Box::new(Sorted::<Attempts>::begin(&parts, gone)),
            Box::new(Sorted::<Spans>::begin(&parts, gone)),
            Box::new(Sorted::<Heads>::begin(&parts, gone)),
            Box::new(Sorted::<Jobs>::begin(&parts, gone)),
            Box::new(Sorted::<Names>::begin(&parts, gone)),
        ];
        let dead_bytes = parts.iter().map(|part| part.dead_bytes()).sum();
        Ok(Merge { parts, dead_bytes, writer, tables: tables.into() })
    }

    /// Goes on until `until`, or a little longer.
    pub(crate) fn step(mut self, until: Instant) -> io::Result<(Went, Option<Merge>)> {
        while let Some(table) = self.tables.front_mut() {
            match table.step(&mut self.writer)? {
                Some(true) => {}
                Some(false) => _ = self.tables.pop_front(),
                None => return Ok((Went::Damaged, None)),
            }
            if Instant::now() >= until {
                return Ok((Went::On, Some(self)));
            }
        }
        let first = self.parts.first().map_or(0, |part| part.flushes.0);
        let last = self.parts.last().map_or(0, |part| part.flushes.1);
        Ok((Went::Done(self.writer.finish((first, last))?), None))
    }
}

/// One table of a merge.
trait Stage {
    /// Does a block's worth; says whether there is more, `None` where a block cannot be read.
    fn step(&mut self, writer: &mut Writer) -> io::Result<Option<bool>>;
}

struct Sorted<T: Table> {
    sources: Vec<Source<T>>,
    pending: Vec<T::Row>,
    weight: usize,
    latest: Option<Key>,
    gone: Arc<Ranges>,
}

struct Source<T: Table> {
    part: Arc<Part>,
    /// The next block.
    block: usize,
    rows: VecDeque<T::Row>,
}

impl<T: Table> Source<T> {
    fn meta(&self) -> Option<Meta> {
        self.part.blocks(T::KIND).get(self.block).copied()
    }

    /// Nothing before this is left.
    fn bound(&self) -> Option<Key> {
        self.rows.front().map(T::key).or_else(|| self.meta().map(|meta| meta.first))
    }
}

impl<T: Table> Sorted<T> {
    fn begin(parts: &[Arc<Part>], gone: &Arc<Ranges>) -> Sorted<T> {
        let source =
            |part: &Arc<Part>| Source { part: part.clone(), block: 0, rows: VecDeque::new() };
        Sorted {
            sources: parts.iter().map(source).collect(),
            pending: Vec::new(),
            weight: 0,
            latest: None,
            gone: gone.clone(),
        }
    }

    /// The source that is next, and the next place of any other.
    fn next(&self) -> Option<(usize, Key)> {
        let mut bounds: Vec<(Key, usize)> = (self.sources.iter().enumerate())
            .filter_map(|(at, source)| Some((source.bound()?, at)))
            .collect();
        bounds.sort_unstable();
        let (_, at) = *bounds.first()?;
        Some((at, bounds.get(1).map_or(Key::MAX, |(key, _)| *key)))
    }

    fn write_pending(&mut self, writer: &mut Writer) -> io::Result<()> {
        writer.rows::<T>(&self.pending.iter().collect::<Vec<_>>())?;
        self.pending.clear();
        self.weight = 0;
        Ok(())
    }

    /// Whether all, or none, of a block's rows are gone, as far as its keys tell.
    fn is_gone(&self, meta: &Meta) -> (bool, bool) {
        if T::KIND == Kind::Names {
            return (false, self.gone.is_empty());
        }
        let (first, last) = (meta.first.run, meta.last.run);
        (self.gone.contains_all(first, last), self.gone.count_in(first, last) == 0)
    }

    fn take(&mut self, row: T::Row) {
        let key = T::key(&row);
        let is_new = self.latest.replace(key) != Some(key);
        if is_new && !self.gone.contains(T::run(&row)) {
            self.weight += T::weight(&row);
            self.pending.push(row);
        }
    }
}

impl<T: Table> Stage for Sorted<T> {
    fn step(&mut self, writer: &mut Writer) -> io::Result<Option<bool>> {
        for _ in 0..ROWS_MAX {
            let Some((at, other)) = self.next() else {
                self.write_pending(writer)?;
                return Ok(Some(false));
            };
            if self.sources[at].rows.is_empty() {
                let source = &self.sources[at];
                let Some(meta) = source.meta() else { continue };
                let (all_gone, none_gone) = self.is_gone(&meta);
                self.sources[at].block += 1;
                if all_gone {
                    continue;
                }
                let part = self.sources[at].part.clone();
                let alone = meta.last < other && self.latest.is_none_or(|key| key < meta.first);
                if alone && none_gone && meta.rows as usize >= ROWS_MAX / 2 {
                    let Some(payload) = part.payload(&meta) else {
                        part.note_damage();
                        return Ok(None);
                    };
                    self.write_pending(writer)?;
                    writer.copy(&meta, &payload)?;
                    self.latest = Some(meta.last);
                    return Ok(Some(true));
                }
                let Some(rows) = part.read_rows::<T>(&meta) else {
                    part.note_damage();
                    return Ok(None);
                };
                self.sources[at].rows = rows.into();
            }
            // Whatever is before the others' next place goes on without another look at them.
            while let Some(row) = self.sources[at].rows.pop_front_if(|row| T::key(row) <= other) {
                if self.pending.len() >= ROWS_MAX || self.weight + T::weight(&row) > WEIGHT_MAX {
                    self.write_pending(writer)?;
                }
                self.take(row);
            }
        }
        Ok(Some(true))
    }
}
