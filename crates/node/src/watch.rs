//! What a handle says of changes; it is not in `handle` for the ring knows nothing of handles.

use crate::error::Refused;
use crate::events::{EventFilter, Events};
use crate::handle::Handle;

impl Handle {
    /// What happens after the journal index `after`, or from now on where there is none. Refused
    /// where what came right after it is not kept any more.
    pub async fn events(&self, filter: EventFilter, after: Option<u64>) -> Result<Events, Refused> {
        // So that whatever was acknowledged to the caller before is not ahead of the ring.
        self.view().await?;
        Events::new(self.shared.events.clone(), filter, after)
    }

    /// The lowest index that a watcher can resume after: all that is kept comes behind it.
    pub fn events_after(&self) -> u64 {
        self.shared.events.begins_after()
    }
}
