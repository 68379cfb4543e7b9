//! What a handle says of changes, and why things are as they are. It is not in `handle`, for that
//! is about runs as they are.

use std::time::{SystemTime, UNIX_EPOCH};

use history::ChangeFilter;
use model::TaskState;

use crate::changes::Changes;
use crate::error::Refused;
use crate::events::{EventFilter, Events};
use crate::handle::Handle;
use crate::query::{self, ElementPage, ElementPlace, Situation, Why};

impl Handle {
    /// What happens after the journal index `after`, or from now on where there is none. Refused
    /// where what came right after it is not kept any more.
    pub async fn events(&self, filter: EventFilter, after: Option<u64>) -> Result<Events, Refused> {
        // So that whatever was acknowledged to the caller before is not ahead of the ring.
        self.view().await?;
        Events::new(self.shared.events.clone(), filter, after)
    }

    /// What is changed, and by whom, after the journal index `after`, or from now on where there
    /// is none; 0 is before everything. Refused where what came right after it is not kept any
    /// more.
    pub async fn changes_after(
        &self,
        filter: ChangeFilter,
        after: Option<u64>,
    ) -> Result<Changes, Refused> {
        // So that whatever was acknowledged to the caller before is not ahead of the ring.
        self.view().await?;
        Changes::new(self.shared.clone(), filter, after).await
    }

    /// The lowest index that a watcher can resume after: all that is kept comes behind it.
    pub fn events_after(&self) -> u64 {
        self.shared.events.begins_after()
    }

    /// The number of the run that `id` points at.
    pub async fn run_id(&self, id: &str) -> Result<model::RunId, Refused> {
        let view = self.view().await?;
        Ok(self.resolve(&view, id).await?.run)
    }

    /// Elements of what `id` points at, by task and index, behind `after`; only those in one of
    /// these states where any is given. At most `limit`, which is at most 10,000.
    pub async fn elements(
        &self,
        id: &str,
        states: &[TaskState],
        after: Option<ElementPlace>,
        limit: usize,
    ) -> Result<ElementPage, Refused> {
        let view = self.view().await?;
        let resolved = self.resolve(&view, id).await?;
        if after.is_some_and(|place| !query::is_within(&resolved, place)) {
            return Err(Refused::Unfit(
                "after: it is a place in another list of elements\nhint: begin with the first page"
                    .to_owned(),
            ));
        }
        let history = &self.shared.history;
        let look = || query::elements(&view, history, &resolved, states, after, limit);
        self.shared.aside(look).await
    }

    /// Why what `id` points at is where it is: elements with the same answer are one group, at
    /// most [`query::GROUPS_MAX`] of them.
    pub async fn why(&self, id: &str) -> Result<Vec<Why>, Refused> {
        let view = self.view().await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let disk = &self.shared.disk;
        let situation = Situation {
            full_disk: disk.is_held().then(|| disk.path().to_string()),
            closing: *self.shared.down.borrow(),
            now_ms: now.as_millis() as u64,
        };
        let resolved = self.resolve(&view, id).await?;
        let look = || query::why(&view, &self.shared.history, &resolved, &situation);
        self.shared.aside(look).await
    }
}
