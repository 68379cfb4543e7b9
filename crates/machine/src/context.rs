//! What the commands of one batch share.

use crate::change::Change;
use crate::event::Event;

/// The batch's place and time, and what happens in it.
pub(crate) struct Context {
    /// The batch's journal index.
    pub(crate) index: u64,
    /// The time of the state, with this batch.
    pub(crate) now_ms: u64,
    pub(crate) events: Vec<Event>,
}

impl Context {
    /// Lets the audit tell of a change.
    pub(crate) fn changed(&mut self, change: Change) {
        self.events.push(Event::Changed(Box::new(change)));
    }
}
