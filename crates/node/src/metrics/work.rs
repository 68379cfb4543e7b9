//! What becomes of runs and attempts, counted as the state's events are published.

use std::sync::atomic::{AtomicBool, Ordering};

use machine::{AttemptEnded, Event, PickRefusal};
use model::{Ending, TaskState};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;

use super::{Histogram, LONG_SECONDS, Names, SECONDS};

/// The label of a state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct State {
    pub(crate) state: &'static str,
}

/// The label of a reason.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Reason {
    reason: &'static str,
}

/// Counts of work.
#[derive(Debug)]
pub(crate) struct Work {
    /// What is read again at a start was counted by an earlier life.
    counts: AtomicBool,
    runs_submitted: Counter,
    runs_ended: Counter,
    placed: Counter,
    /// By reason, in the order of [`PickRefusal::ALL`].
    picks_refused: [Counter; PickRefusal::ALL.len()],
    attempts: Counter,
    returned: Counter,
    nodes_lost: Counter,
    refused_starts: Counter,
    /// By final state, in the order of [`TaskState::ALL`].
    ends: Vec<Counter>,
    start: Histogram,
    ran: Histogram,
    output_bytes: Counter,
    output_dropped: Counter,
}

impl Work {
    pub(crate) fn new(names: &mut Names<'_>) -> Work {
        let ends = Family::<State, Counter>::default();
        let of = |state: TaskState| ends.get_or_create(&State { state: state.name() }).clone();
        let each = TaskState::ALL.map(|state| match state.is_final() {
            true => of(state),
            false => Counter::default(),
        });
        names.add("elements_ended", "Elements that ended, by final state", ends);
        let refused = Family::<Reason, Counter>::default();
        let of = |why: PickRefusal| refused.get_or_create(&Reason { reason: why.name() }).clone();
        let picks_refused = PickRefusal::ALL.map(of);
        let help = "What plans picked and the state refused when it was committed, by reason; a pick is elements of one task for one node";
        names.add("picks_refused", help, refused);
        let mut counter = |name, help| names.add(name, help, Counter::default());
        Work {
            counts: AtomicBool::new(false),
            runs_submitted: counter("runs_submitted", "Runs that were made"),
            runs_ended: counter("runs_ended", "Runs of which the last element has ended"),
            placed: counter("elements_placed", "Elements that got a node, and with it an attempt"),
            picks_refused,
            attempts: counter("attempts_ended", "Attempts that ended"),
            returned: counter(
                "attempts_returned",
                "Attempts that ended and whose element went back to the queue",
            ),
            nodes_lost: counter(
                "nodes_lost",
                "Nodes that were given up because they were not heard of for longer than their lease",
            ),
            refused_starts: counter(
                "starts_refused",
                "Attempts whose process could not be started",
            ),
            output_bytes: counter("output_bytes", "Bytes that ended attempts wrote"),
            output_dropped: counter(
                "output_dropped_bytes",
                "Bytes of those that were rotated away or refused by the disk",
            ),
            ends: each.to_vec(),
            start: names.add(
                "start_seconds",
                "From the commit that gave an attempt its node until its process started",
                Histogram::seconds(SECONDS),
            ),
            ran: names.add(
                "attempt_seconds",
                "From the start of an attempt's process to its end",
                Histogram::seconds(LONG_SECONDS),
            ),
        }
    }

    /// All that was there at the start is read; what comes now is new.
    pub(crate) fn begin(&self) {
        self.counts.store(true, Ordering::Relaxed);
    }

    /// Whether what is applied now is new, and not read again.
    pub(crate) fn is_new(&self) -> bool {
        self.counts.load(Ordering::Relaxed)
    }

    /// Counts what an entry brought about.
    pub(crate) fn heard(&self, events: &[Event]) {
        if !self.is_new() {
            return;
        }
        for event in events {
            match event {
                Event::RunCreated { .. } => _ = self.runs_submitted.inc(),
                Event::RunEnded { .. } => _ = self.runs_ended.inc(),
                Event::Assigned { items, .. } => _ = self.placed.inc_by(items.len() as u64),
                Event::PickRefused { reason, .. } => {
                    self.picks_refused[*reason as usize].inc();
                }
                Event::NodeLost { .. } => _ = self.nodes_lost.inc(),
                Event::AttemptEnded(ended) => self.attempt(ended),
                Event::ElementsEnded { ordinals, state, .. } => {
                    self.ends[*state as usize].inc_by(ordinals.len());
                }
                _ => {}
            }
        }
    }

    fn attempt(&self, ended: &AttemptEnded) {
        self.attempts.inc();
        match ended.state {
            Some(state) => _ = self.ends[state as usize].inc(),
            None => _ = self.returned.inc(),
        }
        let outcome = &ended.outcome;
        if matches!(outcome.ending, Ending::NotStarted(_)) {
            self.refused_starts.inc();
        }
        if outcome.started_us > 0 {
            self.start.count(outcome.started_us.saturating_sub(ended.placed_ms * 1000));
            if outcome.ended_us > 0 {
                self.ran.count(outcome.ended_us.saturating_sub(outcome.started_us));
            }
        }
        if outcome.output_bytes > 0 {
            self.output_bytes.inc_by(outcome.output_bytes);
            self.output_dropped.inc_by(outcome.output_dropped_bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::{NodeId, RunId};
    use prometheus_client::{encoding::text, registry::Registry};

    use super::*;

    #[test]
    fn nodes_that_are_lost_are_counted_once_each() {
        let mut registry = Registry::default();
        let work = Work::new(&mut Names(&mut registry));
        let lost = Event::NodeLost { node: NodeId::from_bytes(&[1; 16]).unwrap(), epoch: 2 };
        work.heard(std::slice::from_ref(&lost)); // Read again: not counted.
        work.begin();
        work.heard(&[lost.clone(), lost]);
        let mut shown = String::new();
        text::encode(&mut shown, &registry).unwrap();
        assert!(shown.contains("nodes_lost_total 2\n"), "{shown}");
    }

    #[test]
    fn each_reason_of_a_refused_pick_has_its_count() {
        let mut registry = Registry::default();
        let work = Work::new(&mut Names(&mut registry));
        let refused = |reason| Event::PickRefused { run: RunId(1), reason };
        work.heard(&[refused(PickRefusal::NoRoom)]); // Read again: not counted.
        work.begin();
        for (times, reason) in PickRefusal::ALL.into_iter().enumerate() {
            (0..times).for_each(|_| work.heard(&[refused(reason)]));
        }
        let mut shown = String::new();
        text::encode(&mut shown, &registry).unwrap();
        for (times, reason) in PickRefusal::ALL.into_iter().enumerate() {
            let line = format!("picks_refused_total{{reason=\"{}\"}} {times}\n", reason.name());
            assert!(shown.contains(&line), "{line} in {shown}");
        }
    }
}
