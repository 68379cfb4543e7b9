//! One follower's way through the audit: who changes what, as it happens.
//!
//! It hears from the ring that there is something new, and reads what it is from history, which
//! keeps it for long. So a follower who is slow, or who comes back after days, misses nothing.

use std::sync::Arc;
use std::time::Duration;

use history::{Change, ChangeFilter};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::error::Refused;
use crate::events::Latest;
use crate::shared::Shared;

/// How often a follower whose filter wants nothing hears from where to resume.
const REST: Duration = Duration::from_secs(10);
/// Changes of one batch, and those of the journal entry that it is full with.
const CHANGES_MAX: usize = 200;

/// Changes of one or several journal entries, whole, the earliest first.
#[derive(Clone, Debug, Default)]
pub struct ChangeBatch {
    /// Everything up to this index has been told.
    pub index: u64,
    /// Each with the index of its entry.
    pub changes: Vec<(u64, Change)>,
    /// Stretches of the files that are damaged and may have held some.
    pub damaged: u64,
}

/// The changes that a follower wants, in order.
pub struct Changes {
    shared: Arc<Shared>,
    filter: ChangeFilter,
    seen: u64,
    news: watch::Receiver<Latest>,
}

impl Changes {
    /// What is changed after `after`, or from now on where there is none.
    pub(crate) async fn new(
        shared: Arc<Shared>,
        filter: ChangeFilter,
        after: Option<u64>,
    ) -> Result<Changes, Refused> {
        let news = shared.events.subscribe();
        let latest = news.borrow().index;
        if let Some(after) = after.filter(|after| *after > latest) {
            return Err(Refused::Unfit(format!(
                "after: index {after} is not reached yet, the latest is {latest}; is it of another cluster?"
            )));
        }
        let changes = Changes { shared, filter, seen: after.unwrap_or(latest), news };
        changes.look(0).await?;
        Ok(changes)
    }

    /// The index after which to resume: everything up to it was looked at.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The next changes that are there already; `None` where there are no more.
    pub async fn next_now(&mut self) -> Result<Option<ChangeBatch>, Refused> {
        loop {
            // Read first: what is added later has a higher index.
            let latest = *self.news.borrow_and_update();
            if self.seen >= latest.index {
                return match latest.is_closed {
                    true => Err(stopping()),
                    false => Ok(None),
                };
            }
            let found = self.look(CHANGES_MAX).await?;
            // Where there is nothing more of the audit, other entries have been passed too.
            self.seen = match found.index > self.seen {
                true => found.index,
                false => latest.index,
            };
            if !found.changes.is_empty() || found.damaged > 0 {
                let history::Later { changes, damaged, .. } = found;
                return Ok(Some(ChangeBatch { index: self.seen, changes, damaged }));
            }
        }
    }

    /// The next changes. A batch without any comes now and then, to say from where to resume.
    pub async fn next(&mut self) -> Result<ChangeBatch, Refused> {
        loop {
            if let Some(batch) = self.next_now().await? {
                return Ok(batch);
            }
            match timeout(REST, self.news.changed()).await {
                Ok(changed) => changed.map_err(|_| stopping())?,
                Err(_) => return Ok(ChangeBatch { index: self.seen, ..ChangeBatch::default() }),
            }
        }
    }

    async fn look(&self, most: usize) -> Result<history::Later, Refused> {
        let look = || self.shared.history.changes_after(&self.filter, self.seen, most);
        let found = self.shared.aside(look).await?;
        found.map_err(|oldest| Refused::TooOld { oldest })
    }
}

fn stopping() -> Refused {
    Refused::Unavailable("the node stops".to_owned())
}
