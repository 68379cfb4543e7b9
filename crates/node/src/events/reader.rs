//! One watcher's way through the ring.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::ring::{Found, Latest, Ring};
use super::{EventBatch, EventFilter};
use crate::error::Refused;

/// How often a watcher whose filter wants nothing hears from where to resume.
const REST: Duration = Duration::from_secs(10);

/// The changes a watcher wants, in order. It is a place in the ring and a filter: what is not read
/// costs nothing, and what is read too late is gone.
pub struct Events {
    ring: Arc<Ring>,
    filter: EventFilter,
    place: u64,
    /// Everything up to this index has been looked at.
    seen: u64,
    /// The index that was told last.
    told: u64,
    tell_at: Instant,
    news: watch::Receiver<Latest>,
}

impl Events {
    /// What happens after `after`, or from now on where there is none.
    pub(crate) fn new(
        ring: Arc<Ring>,
        filter: EventFilter,
        after: Option<u64>,
    ) -> Result<Events, Refused> {
        let news = ring.subscribe();
        // The index first: what is added between the two calls is then behind the place.
        let latest = news.borrow().index;
        let (place, seen) = match after {
            None => (ring.end(), latest),
            Some(after) if after > latest => {
                return Err(Refused::Unfit(format!(
                    "after: index {after} is not reached yet, the latest is {latest}; is it of another cluster?"
                )));
            }
            Some(after) => {
                let oldest = |oldest| Refused::TooOld { oldest };
                (ring.place_after(after).map_err(oldest)?, after)
            }
        };
        let tell_at = Instant::now() + REST;
        Ok(Events { ring, filter, place, seen, told: seen, tell_at, news })
    }

    /// The index after which to resume: everything up to it was looked at.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The next changes that are there already; `None` where there are no more. An error where
    /// they are gone: too many others came before they were read.
    pub fn next_now(&mut self) -> Result<Option<EventBatch>, Refused> {
        loop {
            // Read first: what is added later has a higher index.
            let Latest { index: latest, is_closed } = *self.news.borrow_and_update();
            match self.ring.at(self.place) {
                Found::Batch(batch, behind) => {
                    self.place = behind;
                    self.seen = self.seen.max(batch.index);
                    let mut events = batch.events;
                    events.retain(|event| self.filter.wants(event));
                    if !events.is_empty() {
                        return Ok(Some(self.tell(events)));
                    }
                }
                Found::Nothing => {
                    self.seen = self.seen.max(latest);
                    return match is_closed {
                        true => Err(Refused::Unavailable("the node stops".to_owned())),
                        false => Ok(None),
                    };
                }
                Found::Gone => {
                    return Err(Refused::TooOld { oldest: self.ring.begins_after() });
                }
            }
        }
    }

    /// The next changes. A batch without any comes now and then, to say from where to resume.
    pub async fn next(&mut self) -> Result<EventBatch, Refused> {
        loop {
            if let Some(batch) = self.next_now()? {
                return Ok(batch);
            }
            let stopping = || Refused::Unavailable("the node stops".to_owned());
            let is_time = tokio::select! {
                changed = self.news.changed() => changed.map(|()| false).map_err(|_| stopping())?,
                () = sleep_until(self.tell_at) => true,
            };
            if is_time && self.seen > self.told {
                return Ok(self.tell(Vec::new()));
            }
            if is_time {
                self.tell_at = Instant::now() + REST;
            }
        }
    }

    fn tell(&mut self, events: Vec<super::Event>) -> EventBatch {
        self.told = self.seen;
        self.tell_at = Instant::now() + REST;
        EventBatch { index: self.seen, events }
    }
}
