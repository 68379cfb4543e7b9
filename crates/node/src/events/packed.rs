//! A batch of changes as bytes, in the one allocation that the ring counts.
//!
//! It exists because a change holds a dozen small texts: as values a few thousand of them take
//! many times the memory that their bytes do. The form is read by the process that wrote it and by
//! nothing else: it must never reach a disk or a wire.

use std::sync::Arc;

use model::{Because, NodeId, RunId, TaskState};
use prost::Message;
use uuid::Uuid;

use super::{Event, EventKind};

/// The changes as bytes.
pub(super) fn pack(events: &[Event]) -> Box<[u8]> {
    Batch { changes: events.iter().map(Change::of).collect() }.encode_to_vec().into_boxed_slice()
}

/// The changes that [`pack`] was given.
pub(super) fn unpack(bytes: &[u8]) -> Vec<Event> {
    let batch = Batch::decode(bytes).expect("packed by this process");
    batch.changes.into_iter().map(Change::event).collect()
}

#[derive(Clone, PartialEq, Message)]
struct Batch {
    #[prost(message, repeated, tag = "1")]
    changes: Vec<Change>,
}

#[derive(Clone, PartialEq, Message)]
struct Change {
    /// Its place in [`EventKind::ALL`].
    #[prost(uint32, tag = "1")]
    kind: u32,
    #[prost(uint64, tag = "2")]
    time_ms: u64,
    #[prost(uint64, optional, tag = "3")]
    run: Option<u64>,
    #[prost(string, tag = "4")]
    name: String,
    /// Keys and values in turn.
    #[prost(string, repeated, tag = "5")]
    labels: Vec<String>,
    #[prost(string, tag = "6")]
    task: String,
    #[prost(bool, tag = "7")]
    is_array: bool,
    /// Firsts and lasts in turn.
    #[prost(uint32, repeated, tag = "8")]
    elements: Vec<u32>,
    #[prost(uint64, tag = "9")]
    count: u64,
    #[prost(uint32, tag = "10")]
    attempt: u32,
    #[prost(bytes = "vec", optional, tag = "11")]
    node: Option<Vec<u8>>,
    #[prost(string, tag = "12")]
    node_name: String,
    /// Its place in [`TaskState::ALL`].
    #[prost(uint32, optional, tag = "13")]
    state: Option<u32>,
    #[prost(sint32, optional, tag = "14")]
    exit_code: Option<i32>,
    #[prost(string, tag = "15")]
    summary: String,
    #[prost(string, optional, tag = "16")]
    actor: Option<String>,
    #[prost(string, tag = "17")]
    reason: String,
}

impl Change {
    fn of(event: &Event) -> Change {
        let place = EventKind::ALL.iter().position(|kind| *kind == event.kind);
        let state = |state| TaskState::ALL.iter().position(|one| *one == state);
        let because = event.because.as_deref();
        Change {
            kind: place.expect("every kind is in ALL") as u32,
            time_ms: event.time_ms,
            run: event.run.map(|run| run.0),
            name: event.name.as_ref().to_owned(),
            labels: event.labels.iter().flat_map(|(k, v)| [k.clone(), v.clone()]).collect(),
            task: event.task.as_ref().to_owned(),
            is_array: event.is_array,
            elements: event.elements.iter().flat_map(|(first, last)| [*first, *last]).collect(),
            count: event.count,
            attempt: event.attempt,
            node: event.node.map(|node| node.0.as_bytes().to_vec()),
            node_name: event.node_name.as_ref().to_owned(),
            state: event.state.map(|is| state(is).expect("every state is in ALL") as u32),
            exit_code: event.exit_code,
            summary: event.summary.clone(),
            actor: because.map(|because| because.actor.clone()),
            reason: because.map_or_else(String::new, |because| because.reason.clone()),
        }
    }

    fn event(self) -> Event {
        let node = |bytes: Vec<u8>| NodeId(Uuid::from_slice(&bytes).expect("packed from an id"));
        let labels = self.labels.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
        let reason = self.reason;
        Event {
            kind: EventKind::ALL[self.kind as usize],
            time_ms: self.time_ms,
            run: self.run.map(RunId),
            name: self.name.into(),
            labels: labels.collect(),
            task: self.task.into(),
            is_array: self.is_array,
            elements: self.elements.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect(),
            count: self.count,
            attempt: self.attempt,
            node: self.node.map(node),
            node_name: self.node_name.into(),
            state: self.state.map(|state| TaskState::ALL[state as usize]),
            exit_code: self.exit_code,
            summary: self.summary,
            because: self.actor.map(|actor| Arc::new(Because { actor, reason })),
        }
    }
}
