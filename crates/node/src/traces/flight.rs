//! What the control part notes for traces: when requests came, and the batch in flight.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use machine::Answer;
use model::RunId;
use reactor::control::{Event, RequestId};

use super::{Commit, Record, Stretch, Submitted, Traces, now_us};

/// What the control part notes; nothing where there are no traces.
#[derive(Debug)]
pub(crate) struct Flights {
    traces: Option<Arc<Traces>>,
    /// Submits that have no answer yet: as many as there are requests.
    submits: HashMap<RequestId, Box<Submitted>>,
    /// The batch in flight, when it was first proposed, and how many commands it has.
    flight: Option<(Bytes, u64, usize)>,
    /// The batch that was delivered and is not told yet.
    commit: Option<Commit>,
}

impl Flights {
    pub(crate) fn new(traces: Option<Arc<Traces>>) -> Flights {
        Flights { traces, submits: HashMap::new(), flight: None, commit: None }
    }

    /// A request came with this to tell of it.
    pub(crate) fn asked(&mut self, id: RequestId, submit: Option<Box<Submitted>>) {
        if let Some(submit) = submit.filter(|_| self.traces.is_some()) {
            self.submits.insert(id, submit);
        }
    }

    /// A request has its answer, before anything that follows from it is heard.
    pub(crate) fn answered<E>(&mut self, id: RequestId, answer: &Result<Answer, E>) {
        let Some(traces) = &self.traces else { return };
        let Some(mut submit) = self.submits.remove(&id) else { return };
        if let Ok(Answer::Submitted { run, repeated }) = answer
            && traces.wants(*run)
        {
            (submit.run, submit.repeated) = (*run, *repeated);
            submit.at.to_us = now_us();
            traces.tell(Record::Submitted(submit));
        }
    }

    /// A batch goes to the journal, perhaps once more.
    pub(crate) fn proposed(&mut self, record: &Bytes, commands: usize) {
        if self.traces.is_some() && self.flight.as_ref().is_none_or(|(one, ..)| one != record) {
            self.flight = Some((record.clone(), now_us(), commands));
        }
    }

    /// The journal has delivered something: perhaps the batch in flight.
    pub(crate) fn delivered(&mut self, event: &Event) {
        self.commit = None;
        let Some((flying, from_us, commands)) = &self.flight else { return };
        let Event::Delivered { index, record, .. } = event else { return };
        if flying != record {
            return;
        }
        let at = Stretch { from_us: *from_us, to_us: now_us() };
        let (index, commands, bytes) = (*index, *commands, record.len());
        self.commit = Some(Commit { at, index, commands, bytes });
        self.flight = None;
    }

    /// The batch that is behind what happened now, where it is one of this life of the node: what
    /// is read again has been told.
    pub(crate) fn commit(&mut self) -> Option<Commit> {
        self.commit.take()
    }
}

/// Tells of a plan.
pub(crate) fn planned<'a>(
    traces: Option<&Traces>,
    from_us: u64,
    places: impl Iterator<Item = &'a proto::record::Place>,
) {
    let Some(traces) = traces else { return };
    let mut runs: Vec<(RunId, u64)> = Vec::new();
    for pick in places.flat_map(|place| &place.picks) {
        let run = RunId(pick.run);
        let ranges = proto::element_ranges(&pick.ordinals);
        let count: u64 = ranges.map(|range| u64::from(range.end() - range.start()) + 1).sum();
        match runs.last_mut() {
            Some((last, sum)) if *last == run => *sum += count,
            _ if traces.wants(run) => runs.push((run, count)),
            _ => {}
        }
    }
    if !runs.is_empty() {
        let at = Stretch { from_us, to_us: now_us() };
        traces.tell(Record::Planned { at, runs });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::metrics::counter::Counter;

    fn delivered(record: &Bytes) -> Event {
        Event::Delivered { index: 7, leader: (1, 1), record: record.clone() }
    }

    #[test]
    fn only_a_batch_of_this_life_is_told_of() {
        let (traces, _inbox) = Traces::new(1.0, Counter::default());
        let mut flights = Flights::new(Some(Arc::new(traces)));
        let mine = Bytes::from_static(b"mine");
        flights.proposed(&mine, 3);
        flights.delivered(&delivered(&Bytes::from_static(b"another's")));
        assert_eq!(flights.commit(), None);
        flights.delivered(&delivered(&mine));
        let commit = flights.commit().unwrap();
        assert_eq!((commit.index, commit.commands, commit.bytes), (7, 3, mine.len()));
        assert!(commit.at.from_us <= commit.at.to_us);
        flights.delivered(&delivered(&mine));
        assert_eq!(flights.commit(), None, "it is told once");
    }

    #[test]
    fn without_traces_nothing_is_kept() {
        let mut flights = Flights::new(None);
        flights.asked(1, Some(Box::default()));
        flights.proposed(&Bytes::from_static(b"x"), 1);
        assert!(flights.submits.is_empty() && flights.flight.is_none());
    }
}
