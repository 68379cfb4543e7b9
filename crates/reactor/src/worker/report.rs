//! What is to be reported: every end until it is acknowledged, and the starts of attempts that
//! live long enough for anybody to care.
//!
//! One report is in flight at a time; the next holds what came meanwhile. While a crowd waits on
//! the node, reports also keep a distance: nobody waits for them, since the next attempts are
//! there already, and each costs a commit.

use std::collections::{BTreeMap, BTreeSet};

use model::Attempt;
use prost::Message;
use proto::session::{End, Report, Start};

/// Starts of attempts that end sooner than this are not reported apart, in milliseconds.
const START_AFTER_MS: u64 = 200;
/// From this many attempts held on, there is a crowd.
const CROWD: usize = 16;
/// From one report to the next in a crowd, in milliseconds.
const DISTANCE_MS: u64 = 10;
/// Entries of one report at most.
const ENTRIES_MAX: usize = 4096;
/// Bytes of the ends in one report, beyond the last, at most. An end that tells why nothing was
/// started quotes the job, and the journal takes no record of any size.
const ENDS_BYTES_MAX: usize = 1 << 20;

#[derive(Debug, Default)]
pub(super) struct Outbox {
    /// Attempts that run and whose start is not on its way, by when it is due.
    starts_due: BTreeSet<(u64, Attempt)>,
    running: BTreeMap<Attempt, Running>,
    /// Ends that are not acknowledged.
    ends: BTreeMap<Attempt, proto::job::Outcome>,
    /// Those of `ends` that no report has carried yet, in the order they came.
    unsent: Vec<Attempt>,
    in_flight: Option<(u64, Vec<Attempt>)>,
    last_number: u64,
    last_report_ms: u64,
    /// Somebody may wait for one of `unsent`.
    urgent: bool,
    /// When a report that keeps its distance may go.
    report_due_ms: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    started_us: u64,
    due_ms: u64,
}

impl Outbox {
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    pub(super) fn started(&mut self, attempt: Attempt, started_us: u64, steady_ms: u64) {
        let due_ms = steady_ms + START_AFTER_MS;
        if self.running.insert(attempt, Running { started_us, due_ms }).is_none() {
            self.starts_due.insert((due_ms, attempt));
        }
    }

    /// An attempt has ended. `urgent`: nothing that waits on the node has its priority, so the
    /// crowd is no reason to hold it back.
    pub(super) fn ended(&mut self, attempt: Attempt, outcome: proto::job::Outcome, urgent: bool) {
        self.urgent |= urgent;
        if let Some(running) = self.running.remove(&attempt) {
            self.starts_due.remove(&(running.due_ms, attempt));
        }
        if self.ends.insert(attempt, outcome).is_none() {
            self.unsent.push(attempt);
        }
    }

    /// The session is over: what it did not acknowledge is said again in the next.
    pub(super) fn session_over(&mut self) {
        self.in_flight = None;
        self.unsent = self.ends.keys().copied().collect();
        self.starts_due = self.running.iter().map(|(a, running)| (running.due_ms, *a)).collect();
    }

    /// The supervisor is gone: nothing of it runs for us any more, but its ends are facts.
    pub(super) fn drain_ends(&mut self) -> Vec<End> {
        self.running.clear();
        self.starts_due.clear();
        self.unsent.clear();
        self.in_flight = None;
        let ends = std::mem::take(&mut self.ends);
        ends.into_iter()
            .map(|(attempt, outcome)| End { attempt: Some(attempt.into()), outcome: Some(outcome) })
            .collect()
    }

    /// The report to send now, if there is anything to say and none is in flight. `held` is how
    /// many attempts the node holds.
    pub(super) fn report(&mut self, steady_ms: u64, held: usize) -> Option<Report> {
        if self.in_flight.is_some() {
            return None;
        }
        self.report_due_ms = None;
        let due_ms = self.last_report_ms + DISTANCE_MS;
        let crowd = held >= CROWD && !self.urgent;
        if crowd && steady_ms < due_ms && !self.unsent.is_empty() {
            self.report_due_ms = Some(due_ms);
            return None;
        }
        let mut starts = Vec::new();
        while let Some(&(due_ms, attempt)) = self.starts_due.first()
            && due_ms <= steady_ms
            && starts.len() < ENTRIES_MAX
        {
            self.starts_due.pop_first();
            if let Some(running) = self.running.get(&attempt) {
                let started_us = running.started_us;
                starts.push(Start { attempt: Some(attempt.into()), started_us });
            }
        }
        let sent: Vec<Attempt> = self.unsent.drain(..self.fitting()).collect();
        self.urgent &= !self.unsent.is_empty();
        if starts.is_empty() && sent.is_empty() {
            return None;
        }
        let end = |attempt: &Attempt| {
            let outcome = self.ends.get(attempt)?.clone();
            Some(End { attempt: Some((*attempt).into()), outcome: Some(outcome) })
        };
        let ends = sent.iter().filter_map(end).collect();
        self.last_number += 1;
        self.last_report_ms = steady_ms;
        self.in_flight = Some((self.last_number, sent));
        Some(Report { number: self.last_number, starts, ends })
    }

    /// How many of the ends that wait fit into one report.
    fn fitting(&self) -> usize {
        let mut bytes = 0;
        let fits = |attempt: &&Attempt| {
            let room = bytes < ENDS_BYTES_MAX;
            bytes += self.ends.get(attempt).map_or(0, |outcome| outcome.encoded_len());
            room
        };
        self.unsent.iter().take(ENTRIES_MAX).take_while(fits).count()
    }

    /// The report is committed; its ends may be forgotten.
    pub(super) fn acknowledged(&mut self, number: u64) -> Vec<Attempt> {
        let Some((_, sent)) = self.in_flight.take_if(|(in_flight, _)| *in_flight == number) else {
            return Vec::new();
        };
        for attempt in &sent {
            self.ends.remove(attempt);
        }
        sent
    }

    /// When there is something to report again, unless an acknowledgement is waited for.
    pub(super) fn due_ms(&self) -> Option<u64> {
        let start_ms = self.starts_due.first().map(|(due_ms, _)| *due_ms);
        // Before a report that keeps its distance nothing goes, not even a start that is due.
        self.report_due_ms.or(start_ms).filter(|_| self.in_flight.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Element, RunId};

    fn attempt(index: u32) -> Attempt {
        Attempt { element: Element { run: RunId(1), task: 0, index }, number: 1 }
    }

    #[test]
    fn in_a_crowd_reports_keep_their_distance_and_alone_they_do_not() {
        let mut outbox = Outbox::default();
        for (held, at_ms, goes) in [(99, 100, true), (99, 103, false), (2, 103, true)] {
            outbox.ended(attempt(held as u32 + at_ms as u32), Default::default(), false);
            let report = outbox.report(at_ms, held);
            assert_eq!(report.is_some(), goes, "{held} held at {at_ms} ms");
            if let Some(report) = report {
                outbox.acknowledged(report.number);
            } else {
                assert_eq!(outbox.due_ms(), Some(100 + DISTANCE_MS));
            }
        }
    }

    #[test]
    fn an_urgent_end_does_not_keep_the_distance() {
        let mut outbox = Outbox::default();
        outbox.ended(attempt(1), Default::default(), false);
        let first = outbox.report(100, 99).unwrap();
        outbox.acknowledged(first.number);
        outbox.ended(attempt(2), Default::default(), false);
        assert!(outbox.report(101, 99).is_none());
        outbox.ended(attempt(3), Default::default(), true);
        let both = outbox.report(102, 99).unwrap();
        assert_eq!(both.ends.len(), 2);
        outbox.acknowledged(both.number);
        outbox.ended(attempt(4), Default::default(), false);
        assert!(outbox.report(103, 99).is_none(), "the crowd's own ends keep it again");
    }

    #[test]
    fn ends_that_say_much_go_in_several_reports() {
        use proto::job::{NotStarted, Outcome, outcome::Ending};
        let mut outbox = Outbox::default();
        for index in 0..20 {
            let why = "x".repeat(ENDS_BYTES_MAX / 4);
            let ending = Some(Ending::NotStarted(NotStarted { kind: 3, why }));
            outbox.ended(attempt(index), Outcome { ending, ..Default::default() }, false);
        }
        let mut sizes = Vec::new();
        while let Some(report) = outbox.report(100, 0) {
            sizes.push(report.ends.len());
            outbox.acknowledged(report.number);
        }
        assert_eq!(sizes, [4; 5]);
    }

    #[test]
    fn a_start_that_is_due_waits_for_the_distance_too() {
        let mut outbox = Outbox::default();
        outbox.ended(attempt(1), Default::default(), false);
        outbox.report(299, 99);
        outbox.acknowledged(1);
        outbox.started(attempt(2), 7, 100);
        outbox.ended(attempt(3), Default::default(), false);
        assert!(outbox.report(301, 99).is_none());
        assert_eq!(
            outbox.due_ms(),
            Some(299 + DISTANCE_MS),
            "a timer for what is past would fire without end"
        );
    }
}
