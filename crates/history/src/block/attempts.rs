//! Attempts in columns: each is told by its difference to the one before, so that what a million
//! neighbours have in common costs next to nothing.

use std::collections::HashMap;
use std::sync::Arc;

use model::{Because, Ending, Fence, NodeId, Outcome, OutputRef, RunId, StopCause, TaskState};
use uuid::Uuid;

use super::{Key, Kind, Table};
use crate::bytes::{In, Out};
use crate::codes;
use crate::fact::{AttemptFact, States};

/// The table of attempts, by run, task, ordinal and number.
pub(crate) struct Attempts;

/// Columns, in their order on disk.
const COLUMNS: usize = 17;
/// Peaks of memory are whole pages as a rule.
const PAGE: u64 = 4096;
/// Bytes of text in the rows of a block: far more than is ever put into one, and a bound for what
/// damaged bytes can ask for.
const TEXT_MAX: usize = 16 << 20;

/// What a row has in common with many others.
#[derive(Clone, Debug)]
struct Shape {
    ending: Ending,
    stopped: Option<StopCause>,
    state: Option<TaskState>,
    because: Option<Arc<Because>>,
    output: bool,
    truncated: bool,
    started: bool,
    ended: bool,
}

impl Table for Attempts {
    type Row = AttemptFact;
    const KIND: Kind = Kind::Attempts;

    fn key(row: &AttemptFact) -> Key {
        Key { run: row.run.0, task: row.task, ordinal: row.ordinal, number: row.number }
    }

    fn states(row: &AttemptFact) -> States {
        States::default().with(row.state)
    }

    fn weight(row: &AttemptFact) -> usize {
        std::mem::size_of::<AttemptFact>() + text_of(&row.outcome.ending).len()
    }

    fn encode(rows: &[&AttemptFact]) -> Vec<u8> {
        let mut columns: [Out; COLUMNS] = Default::default();
        for column in &mut columns {
            column.0.reserve(2 * rows.len());
        }
        let mut shapes = Dictionary::default();
        let mut nodes = Dictionary::default();
        let mut scratch = Out::default();
        let mut last = Last::default();
        for row in rows {
            write_shape(&mut scratch, row);
            let shape = shapes.number(&scratch.0);
            let node = nodes.number(row.node.0.as_bytes());
            last.write(&mut columns, row, shape, node);
        }
        let mut out = Out(Vec::with_capacity(16 * rows.len() + 64));
        shapes.write(&mut out);
        nodes.write(&mut out);
        columns.iter().for_each(|column| out.bytes(&column.0));
        out.0
    }

    fn decode(bytes: &[u8], rows: usize) -> Option<Vec<AttemptFact>> {
        let mut bytes = In(bytes);
        let count = bytes.count()?;
        let shapes: Vec<Shape> =
            (0..count).map(|_| read_shape(bytes.bytes()?)).collect::<Option<_>>()?;
        let count = bytes.count()?;
        let node = |bytes: &mut In<'_>| Uuid::from_slice(bytes.bytes()?).ok().map(NodeId);
        let nodes: Vec<NodeId> = (0..count).map(|_| node(&mut bytes)).collect::<Option<_>>()?;
        let mut columns = [In(&[]); COLUMNS];
        for column in &mut columns {
            *column = In(bytes.bytes()?);
        }
        let mut last = Last::default();
        let mut found = Vec::with_capacity(rows);
        let mut text = 0;
        for _ in 0..rows {
            let row = last.read(&mut columns, &shapes, &nodes)?;
            text += text_of(&row.outcome.ending).len();
            if text > TEXT_MAX {
                return None;
            }
            found.push(row);
        }
        columns.iter().all(In::is_empty).then_some(found)
    }
}

/// What the next row is told against.
#[derive(Default)]
struct Last {
    run: u64,
    task: u32,
    ordinal: u32,
    fence: u64,
    placed_ms: u64,
    segment: u32,
    offset: u64,
}

impl Last {
    fn write(&mut self, to: &mut [Out; COLUMNS], row: &AttemptFact, shape: u64, node: u64) {
        // Taken apart whole, so that a new field is not forgotten.
        let Outcome {
            ending: _,
            stopped: _,
            started_us,
            ended_us,
            cpu_us,
            memory_peak_bytes,
            output,
            output_bytes,
            output_dropped_bytes,
            output_truncated: _,
        } = &row.outcome;
        to[0].number(shape);
        to[1].number(node);
        to[2].number(row.run.0.wrapping_sub(self.run));
        if (row.run.0, row.task) != (self.run, self.task) {
            self.ordinal = 0;
        }
        to[3].step(u64::from(self.task), u64::from(row.task));
        to[4].number(u64::from(row.ordinal.wrapping_sub(self.ordinal)));
        to[5].number(u64::from(row.number));
        to[6].step(self.fence, row.fence.0);
        to[7].step(self.placed_ms, row.placed_ms);
        let placed_us = row.placed_ms.wrapping_mul(1000);
        let begun_us = if *started_us > 0 { *started_us } else { placed_us };
        // What was seen of neither is in the shape; the columns stay of one length.
        to[8].step(placed_us, begun_us);
        to[9].step(begun_us, if *ended_us > 0 { *ended_us } else { begun_us });
        to[10].number(*cpu_us);
        to[11].number(memory_peak_bytes / PAGE);
        to[12].number(memory_peak_bytes % PAGE);
        let at = output.unwrap_or(OutputRef { segment: self.segment, offset: self.offset });
        to[13].step(u64::from(self.segment), u64::from(at.segment));
        to[14].step(self.offset, at.offset);
        to[15].number(*output_bytes);
        to[16].number(*output_dropped_bytes);
        (self.run, self.task, self.ordinal) = (row.run.0, row.task, row.ordinal);
        (self.fence, self.placed_ms) = (row.fence.0, row.placed_ms);
        (self.segment, self.offset) = (at.segment, at.offset);
    }

    fn read(
        &mut self,
        from: &mut [In<'_>; COLUMNS],
        shapes: &[Shape],
        nodes: &[NodeId],
    ) -> Option<AttemptFact> {
        let shape = shapes.get(usize::try_from(from[0].number()?).ok()?)?;
        let node = *nodes.get(usize::try_from(from[1].number()?).ok()?)?;
        let run = self.run.wrapping_add(from[2].number()?);
        let task = u32::try_from(from[3].step(u64::from(self.task))?).ok()?;
        if (run, task) != (self.run, self.task) {
            self.ordinal = 0;
        }
        let ordinal = self.ordinal.wrapping_add(from[4].number32()?);
        let number = from[5].number32()?;
        let fence = from[6].step(self.fence)?;
        let placed_ms = from[7].step(self.placed_ms)?;
        let begun_us = from[8].step(placed_ms.wrapping_mul(1000))?;
        let ended_us = from[9].step(begun_us)?;
        let cpu_us = from[10].number()?;
        let memory = from[11].number()?.wrapping_mul(PAGE).wrapping_add(from[12].number()?);
        let segment = u32::try_from(from[13].step(u64::from(self.segment))?).ok()?;
        let offset = from[14].step(self.offset)?;
        let outcome = Outcome {
            ending: shape.ending.clone(),
            stopped: shape.stopped,
            started_us: if shape.started { begun_us } else { 0 },
            ended_us: if shape.ended { ended_us } else { 0 },
            cpu_us,
            memory_peak_bytes: memory,
            output: shape.output.then_some(OutputRef { segment, offset }),
            output_bytes: from[15].number()?,
            output_dropped_bytes: from[16].number()?,
            output_truncated: shape.truncated,
        };
        (self.run, self.task, self.ordinal) = (run, task, ordinal);
        (self.fence, self.placed_ms) = (fence, placed_ms);
        (self.segment, self.offset) = (segment, offset);
        Some(AttemptFact {
            run: RunId(run),
            task,
            ordinal,
            number,
            fence: Fence(fence),
            node,
            placed_ms,
            outcome,
            because: shape.because.clone(),
            state: shape.state,
        })
    }
}

/// Bytes that occur often, each kept once.
#[derive(Default)]
struct Dictionary {
    all: Vec<Vec<u8>>,
    numbers: HashMap<Vec<u8>, u64>,
    latest: u64,
}

impl Dictionary {
    fn number(&mut self, bytes: &[u8]) -> u64 {
        if self.all.get(self.latest as usize).is_some_and(|latest| latest == bytes) {
            return self.latest;
        }
        self.latest = match self.numbers.get(bytes) {
            Some(number) => *number,
            None => {
                let number = self.all.len() as u64;
                self.all.push(bytes.to_vec());
                self.numbers.insert(bytes.to_vec(), number);
                number
            }
        };
        self.latest
    }

    fn write(&self, out: &mut Out) {
        out.number(self.all.len() as u64);
        self.all.iter().for_each(|bytes| out.bytes(bytes));
    }
}

fn write_shape(out: &mut Out, row: &AttemptFact) {
    out.0.clear();
    let outcome = &row.outcome;
    let flags = u64::from(outcome.output.is_some())
        | u64::from(outcome.output_truncated) << 1
        | u64::from(outcome.started_us > 0) << 2
        | u64::from(outcome.ended_us > 0) << 3;
    out.number(flags);
    out.number(row.state.map_or(0, |state| u64::from(codes::of_state(state))));
    codes::write_stop(out, outcome.stopped);
    codes::write_ending(out, &outcome.ending);
    codes::write_because(out, row.because.as_deref());
}

fn read_shape(bytes: &[u8]) -> Option<Shape> {
    let mut bytes = In(bytes);
    let flags = bytes.number()?;
    let state = match bytes.number()? {
        0 => None,
        code => Some(codes::state(code)?),
    };
    let shape = Shape {
        output: flags & 1 != 0,
        truncated: flags & 2 != 0,
        started: flags & 4 != 0,
        ended: flags & 8 != 0,
        state,
        stopped: codes::read_stop(&mut bytes)?,
        ending: codes::read_ending(&mut bytes)?,
        because: codes::read_because(&mut bytes)?,
    };
    bytes.is_empty().then_some(shape)
}

fn text_of(ending: &Ending) -> &str {
    use model::NotStarted::{NotExecutable, NotFound, Refused, Transient, Withdrawn};
    match ending {
        Ending::NotStarted(NotFound(why) | NotExecutable(why) | Refused(why) | Transient(why)) => {
            why
        }
        Ending::NotStarted(Withdrawn)
        | Ending::Exited { .. }
        | Ending::Signaled { .. }
        | Ending::Gone => "",
    }
}
