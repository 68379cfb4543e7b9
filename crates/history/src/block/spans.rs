//! Elements that ended without an attempt: a row for each stretch of them.

use std::sync::Arc;

use model::Because;

use super::{Key, Kind, Table};
use crate::bytes::{In, Out};
use crate::codes;
use crate::fact::{ElementsEnd, States};

/// The table of such stretches, by run, task and first ordinal.
pub(crate) struct Spans;

/// Neighbouring elements that ended at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) run: u64,
    pub(crate) task: u32,
    pub(crate) first: u32,
    pub(crate) last: u32,
    pub(crate) end: ElementsEnd,
}

impl Table for Spans {
    type Row = Span;
    const KIND: Kind = Kind::Spans;

    fn key(row: &Span) -> Key {
        Key { run: row.run, task: row.task, ordinal: row.first, number: 0 }
    }

    fn last(row: &Span) -> Key {
        Key { run: row.run, task: row.task, ordinal: row.last, number: u32::MAX }
    }

    fn states(row: &Span) -> States {
        States::default().with(Some(row.end.state))
    }

    fn weight(_: &Span) -> usize {
        std::mem::size_of::<Span>()
    }

    fn encode(rows: &[&Span]) -> Vec<u8> {
        let mut out = Out::default();
        let (mut run, mut at) = (0, 0);
        let mut latest: Option<&Because> = None;
        for row in rows {
            out.number(row.run.wrapping_sub(run));
            out.number(u64::from(row.task));
            out.step(at, u64::from(row.first));
            out.number(u64::from(row.last - row.first));
            out.number(u64::from(codes::of_state(row.end.state)));
            out.number(row.end.ended_ms);
            // One cause is said once, however many stretches it ended.
            let same = latest == Some(&*row.end.because);
            codes::write_because(&mut out, (!same).then_some(&*row.end.because));
            (run, at, latest) = (row.run, u64::from(row.last), Some(&*row.end.because));
        }
        out.0
    }

    fn decode(bytes: &[u8], rows: usize) -> Option<Vec<Span>> {
        let mut bytes = In(bytes);
        let (mut run, mut at) = (0u64, 0);
        let mut latest: Option<Arc<Because>> = None;
        let mut found = Vec::with_capacity(rows);
        for _ in 0..rows {
            run = run.wrapping_add(bytes.number()?);
            let task = bytes.number32()?;
            let first = u32::try_from(bytes.step(at)?).ok()?;
            let last = first.checked_add(bytes.number32()?)?;
            let state = codes::state(bytes.number()?)?;
            let ended_ms = bytes.number()?;
            latest = codes::read_because(&mut bytes)?.or(latest);
            let end = ElementsEnd { state, because: latest.clone()?, ended_ms };
            at = u64::from(last);
            found.push(Span { run, task, first, last, end });
        }
        bytes.is_empty().then_some(found)
    }
}
