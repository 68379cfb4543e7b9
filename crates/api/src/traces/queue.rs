//! Spans that wait for the collector, in a bounded number.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use prometheus_client::metrics::counter::Counter;
use proto::otlp::Span;

/// Spans that wait at most; each is a kilobyte or less.
const SPANS_MAX: usize = 8192;
/// Spans of one request.
const BATCH: usize = 512;
/// How long a span waits for others.
const LINGER: Duration = Duration::from_secs(1);
/// Between tries of a collector that is away: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));
/// Between two words of the log.
const SAY_EVERY: Duration = Duration::from_secs(60);

/// The spans and when the next may go.
#[derive(Debug)]
pub(super) struct Queue {
    spans: VecDeque<Span>,
    dropped: Counter,
    /// When the first of `spans` came.
    since: Option<Instant>,
    /// No try before.
    not_before: Option<Instant>,
    backoff: Duration,
    said: Option<Instant>,
}

impl Queue {
    pub(super) fn new(dropped: Counter) -> Queue {
        Queue {
            spans: VecDeque::new(),
            dropped,
            since: None,
            not_before: None,
            backoff: BACKOFF.0,
            said: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Adds spans; those that do not fit are counted.
    pub(super) fn add(&mut self, spans: impl IntoIterator<Item = Span>, now: Instant) {
        for span in spans {
            if self.spans.len() >= SPANS_MAX {
                self.dropped.inc();
                continue;
            }
            self.since.get_or_insert(now);
            self.spans.push_back(span);
        }
    }

    /// When to look for a batch again; `None`: nothing waits.
    pub(super) fn due(&self) -> Option<Instant> {
        let since = self.since.filter(|_| !self.spans.is_empty())?;
        let full = self.spans.len() >= BATCH;
        let due = if full { since } else { since + LINGER };
        Some(self.not_before.map_or(due, |at| at.max(due)))
    }

    /// The next spans to send, whether they are due or not. They stay until they are done with.
    pub(super) fn batch(&self) -> Vec<Span> {
        self.spans.iter().take(BATCH).cloned().collect()
    }

    /// So many have gone, or never will.
    pub(super) fn done(&mut self, count: usize, now: Instant) {
        self.spans.drain(..count.min(self.spans.len()));
        self.since = (!self.spans.is_empty()).then_some(now);
    }

    /// The collector answers.
    pub(super) fn answered(&mut self) {
        self.backoff = BACKOFF.0;
        self.not_before = None;
    }

    /// The collector is away: the next try comes later.
    pub(super) fn away(&mut self, now: Instant) {
        self.not_before = Some(now + self.backoff);
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
    }

    /// Whether the log is to hear of a failure: once a minute at most.
    pub(super) fn may_say(&mut self, now: Instant) -> bool {
        let may = self.said.is_none_or(|said| now >= said + SAY_EVERY);
        if may {
            self.said = Some(now);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(count: usize, now: Instant) -> Queue {
        let mut queue = Queue::new(Counter::default());
        queue.add(vec![Span::default(); count], now);
        queue
    }

    #[test]
    fn a_full_batch_goes_at_once_and_a_small_one_lingers() {
        let now = Instant::now();
        assert_eq!(queue(0, now).due(), None);
        assert_eq!(queue(1, now).due(), Some(now + LINGER));
        let mut full = queue(BATCH + 1, now);
        assert_eq!(full.due(), Some(now));
        assert_eq!(full.batch().len(), BATCH);
        full.done(BATCH, now);
        assert_eq!(full.due(), Some(now + LINGER));
        full.done(1, now);
        assert_eq!(full.due(), None);
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let queue = queue(SPANS_MAX + 3, Instant::now());
        assert_eq!((queue.spans.len(), queue.dropped.get()), (SPANS_MAX, 3));
    }

    #[test]
    fn a_collector_that_is_away_is_tried_less_and_less() {
        let now = Instant::now();
        let mut queue = queue(BATCH, now);
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            queue.away(now);
            assert_eq!(queue.due(), Some(now + Duration::from_secs(seconds)));
        }
        queue.answered();
        assert_eq!(queue.due(), Some(now));
        queue.away(now);
        assert_eq!(queue.due(), Some(now + BACKOFF.0));
    }

    #[test]
    fn the_log_hears_of_it_once_a_minute() {
        let now = Instant::now();
        let mut queue = queue(0, now);
        let seconds = [0, 1, 59, 60, 61, 119, 120];
        let said = seconds.map(|after| queue.may_say(now + Duration::from_secs(after)));
        assert_eq!(said, [true, false, false, true, false, false, true]);
    }
}
