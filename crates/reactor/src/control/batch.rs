//! The open batch, the one in flight, and who waits for what.

use std::collections::VecDeque;

use bytes::Bytes;
use prost::Message;
use proto::record::{Batch, Command, Header, command::Kind};

use super::effect::{LeaderId, RequestId, SessionId};

/// Who waits for a command's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Request(RequestId),
    /// In answer to that hello of the session.
    Register {
        session: SessionId,
        hello: u64,
    },
    Report {
        session: SessionId,
        number: u64,
    },
    Plan,
    Nobody,
}

/// Commands of one batch at most.
const COMMANDS_MAX: usize = 4096;
/// Bytes of one batch, beyond its first command, at most.
const BYTES_MAX: usize = 1 << 20;
/// Requests that may wait at once; what nodes report is bounded by their sessions.
const WAITING_MAX: usize = 65_536;
/// Bytes of commands above which no more requests may wait.
const WAITING_BYTES_MAX: usize = 64 << 20;

#[derive(Debug, Default)]
pub(super) struct Batcher {
    open: VecDeque<Waiting>,
    /// The size of all that wait.
    open_bytes: usize,
    in_flight: Option<InFlight>,
    last_number: u64,
    /// Commands of a plan that wait or are in flight: a large plan takes several batches.
    of_plan: usize,
}

#[derive(Debug)]
struct Waiting {
    origin: Origin,
    command: Command,
    bytes: usize,
}

#[derive(Debug)]
struct InFlight {
    number: u64,
    record: Bytes,
    origins: Vec<Origin>,
}

impl Waiting {
    fn new(origin: Origin, command: Kind) -> Waiting {
        let command = Command { kind: Some(command) };
        Waiting { origin, bytes: command.encoded_len(), command }
    }
}

impl Batcher {
    /// Puts a command into the open batch; gives its origin back where too much waits.
    pub(super) fn push(&mut self, origin: Origin, command: Kind) -> Result<(), Origin> {
        let full = self.open.len() >= WAITING_MAX || self.open_bytes >= WAITING_BYTES_MAX;
        if full && matches!(origin, Origin::Request(_)) {
            return Err(origin);
        }
        let waiting = Waiting::new(origin, command);
        self.open_bytes += waiting.bytes;
        self.open.push_back(waiting);
        self.of_plan += usize::from(origin == Origin::Plan);
        Ok(())
    }

    /// Whether something of a plan is on its way still.
    pub(super) fn has_plan(&self) -> bool {
        self.of_plan > 0
    }

    /// Whether nothing waits and nothing is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.open.is_empty() && self.in_flight.is_none()
    }

    /// Puts a command before all that wait.
    pub(super) fn push_first(&mut self, origin: Origin, command: Kind) {
        let waiting = Waiting::new(origin, command);
        self.open_bytes += waiting.bytes;
        self.open.push_front(waiting);
    }

    /// Closes the open batch and puts it in flight, unless it is empty or one is in flight; its number.
    pub(super) fn seal(&mut self, leader: LeaderId, incarnation: u16, time_ms: u64) -> Option<u64> {
        if self.in_flight.is_some() || self.open.is_empty() {
            return None;
        }
        self.last_number += 1;
        let number = self.last_number;
        let header = Header {
            leader_term: leader.0,
            leader_node: leader.1,
            level: machine::LEVEL,
            incarnation: incarnation.into(),
            time_ms,
            number,
        };
        let mut batch = Batch { header: Some(header), commands: Vec::new() };
        let mut origins = Vec::new();
        let mut bytes = 0;
        let fits = |bytes: usize, count: usize, next: &Waiting| {
            count < COMMANDS_MAX && (bytes == 0 || bytes + next.bytes <= BYTES_MAX)
        };
        while let Some(next) = self.open.pop_front_if(|next| fits(bytes, origins.len(), next)) {
            bytes += next.bytes;
            origins.push(next.origin);
            batch.commands.push(next.command);
        }
        self.open_bytes -= bytes;
        let record = Bytes::from(machine::encode(&batch));
        self.in_flight = Some(InFlight { number, record, origins });
        Some(number)
    }

    /// Who waits for the batch `number`, if this leader made it and waits for it.
    pub(super) fn delivered(&mut self, mine: bool, number: u64) -> Option<Vec<Origin>> {
        let flight = self.in_flight.take_if(|flight| mine && flight.number == number)?;
        Some(self.landed(flight))
    }

    /// The batch in flight, to be proposed, perhaps once more, and how many commands it has.
    pub(super) fn in_flight(&self, number: u64) -> Option<(Bytes, usize)> {
        let flight = self.in_flight.as_ref().filter(|flight| flight.number == number)?;
        Some((flight.record.clone(), flight.origins.len()))
    }

    /// Waits no longer for the batch in flight.
    pub(super) fn give_up(&mut self, number: u64) -> Vec<Origin> {
        let flight = self.in_flight.take_if(|flight| flight.number == number);
        flight.map(|flight| self.landed(flight)).unwrap_or_default()
    }

    /// Waits no longer for what is in flight, whichever batch that is.
    pub(super) fn give_up_any(&mut self) -> Vec<Origin> {
        let flight = self.in_flight.take();
        flight.map(|flight| self.landed(flight)).unwrap_or_default()
    }

    fn landed(&mut self, flight: InFlight) -> Vec<Origin> {
        let of_plan = flight.origins.iter().filter(|origin| **origin == Origin::Plan);
        self.of_plan -= of_plan.count();
        flight.origins
    }

    /// Drops what waits for sessions, because a batch before it is lost: the ends that were found
    /// and the registration which makes up for them must not part.
    pub(super) fn forget_sessions(&mut self) {
        self.open.retain(|next| matches!(next.origin, Origin::Request(_) | Origin::Plan));
        self.open_bytes = self.open.iter().map(|next| next.bytes).sum();
    }

    /// Drops everything: first what is in flight and may be written yet, then what only waited.
    pub(super) fn abandon(&mut self) -> (Vec<Origin>, Vec<Origin>) {
        let in_flight = self.in_flight.take().map(|flight| flight.origins).unwrap_or_default();
        (self.open_bytes, self.of_plan) = (0, 0);
        (in_flight, self.open.drain(..).map(|next| next.origin).collect())
    }
}
