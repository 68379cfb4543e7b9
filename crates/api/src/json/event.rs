//! What has changed.

use proto::api;
use serde::Serialize;
use utoipa::ToSchema;

use super::element::Because;
use super::{at_ms, text};

/// One change. What does not apply to its kind is `null` or empty.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Event {
    /// The journal index to resume after once this line is seen: that of its entry, or, where more
    /// of the same entry follow, the one before.
    pub index: u64,
    /// What happened.
    #[schema(example = "attempt_ended")]
    pub kind: String,
    /// When.
    #[schema(format = "date-time")]
    pub at: Option<String>,
    /// What it happened to.
    #[schema(example = "812/main[3,7-9]#1")]
    pub id: Option<String>,
    /// The run.
    pub run: Option<u64>,
    /// The name of the run's job.
    pub name: Option<String>,
    /// The task.
    pub task: Option<String>,
    /// Those of the array's own indices that lie in these ranges, first and last; at most 256.
    pub elements: Vec<(u32, u32)>,
    /// How many they are, those included that `elements` has no place for.
    pub count: u64,
    /// The attempt's number.
    pub attempt: Option<u32>,
    /// The node's name.
    pub node: Option<String>,
    /// The state in which it left the elements, or the run.
    pub state: Option<String>,
    /// What `run` and `wait` exit with for it.
    pub exit_code: Option<i32>,
    /// In words.
    pub summary: Option<String>,
    /// Who or what caused it.
    pub because: Option<Because>,
}

impl Event {
    /// The changes of one message; those of one index are whole only with the last.
    pub fn of(batch: &api::EventBatch, before: u64) -> Vec<Event> {
        let count = batch.events.len();
        let index = |at: usize| if at + 1 == count { batch.index } else { before };
        batch.events.iter().enumerate().map(|(at, event)| Event::new(event, index(at))).collect()
    }

    /// A change; `index` is what to resume after.
    pub fn new(event: &api::Event, index: u64) -> Event {
        Event {
            index,
            kind: event.kind.clone(),
            at: at_ms(event.time_ms),
            id: text(&event.id),
            run: (event.run > 0).then_some(event.run),
            name: text(&event.name),
            task: text(&event.task),
            elements: event.elements.iter().map(|range| (range.first, range.last)).collect(),
            count: event.count,
            attempt: (event.attempt > 0).then_some(event.attempt),
            node: text(&event.node),
            state: text(&event.state),
            exit_code: event.exit_code,
            summary: text(&event.summary),
            because: event.because.as_ref().map(Because::from),
        }
    }
}
