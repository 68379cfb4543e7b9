//! The control side: what comes in through a node's session, and what of it is the reactor's.
//!
//! Output goes to its readers, and tails are kept. A report waits until the tails that came before
//! it are: then whoever hears of the end finds them. That has a limit, heartbeats do not wait for
//! it, and what has no output does not either.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use proto::session::{ToControl, to_control};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::outbound::{ends, is_heartbeat};
use super::remote::Connection;
use super::tails::Keeping;

/// How long a report waits for tails to be kept.
const HOLD: Duration = Duration::from_secs(1);
/// Messages with tails that are being kept, and words that wait for them, at the most.
const KEEPING_MAX: usize = 4;
const HELD_MAX: usize = 64;

/// What a node says in one session.
pub(crate) struct Inbound {
    connection: Connection,
    keeping: Arc<Keeping>,
    under_way: JoinSet<()>,
    /// In order; the first waits for what is under way, no longer than until then.
    held: VecDeque<ToControl>,
    until: Option<Instant>,
    is_closed: bool,
}

impl Inbound {
    /// Hears the session of this connection; its tails are kept in `keeping`.
    pub(crate) fn new(connection: Connection, keeping: Arc<Keeping>) -> Inbound {
        let (under_way, held) = (JoinSet::new(), VecDeque::new());
        Inbound { connection, keeping, under_way, held, until: None, is_closed: false }
    }

    /// The next message of `words` that is the reactor's; `None` when the node says nothing more.
    /// It may be dropped while it waits, nothing is lost.
    pub(crate) async fn next(
        &mut self,
        words: &mut mpsc::Receiver<ToControl>,
    ) -> Option<ToControl> {
        loop {
            if let Some(word) = self.released() {
                return Some(word);
            }
            if self.is_closed && self.held.is_empty() {
                return None;
            }
            let has_room = self.held.len() < HELD_MAX && self.under_way.len() < KEEPING_MAX;
            let until = self.until.unwrap_or_else(Instant::now);
            let word = tokio::select! {
                biased;
                Some(_) = self.under_way.join_next() => continue,
                () = tokio::time::sleep_until(until), if self.until.is_some() => {
                    tracing::warn!(
                        node = %self.connection.node(),
                        "the last of some output is not kept in time: ends are taken without it"
                    );
                    // They go on, and nobody waits for them.
                    self.under_way.detach_all();
                    continue;
                }
                word = words.recv(), if has_room && !self.is_closed => word,
            };
            match word {
                Some(ToControl { kind: Some(to_control::Kind::Output(output)) }) => {
                    self.connection.heard(output);
                }
                Some(ToControl { kind: Some(to_control::Kind::Tails(tails)) }) => {
                    let (keeping, node) = (self.keeping.clone(), self.connection.node());
                    self.under_way.spawn(async move { keeping.keep(node, tails).await });
                }
                Some(word) if is_heartbeat(&word) && self.holds_reports_alone() => {
                    return Some(word);
                }
                Some(word) => self.held.push_back(word),
                None => self.is_closed = true,
            }
        }
    }

    /// The first that is held, if it need not wait.
    fn released(&mut self) -> Option<ToControl> {
        let waits = !self.under_way.is_empty() && self.held.front().is_some_and(has_output);
        if waits {
            self.until.get_or_insert_with(|| Instant::now() + HOLD);
            return None;
        }
        self.until = None;
        self.held.pop_front()
    }

    fn holds_reports_alone(&self) -> bool {
        self.held.iter().all(|word| matches!(word.kind, Some(to_control::Kind::Report(_))))
    }
}

fn has_output(word: &ToControl) -> bool {
    let output = |end: &proto::session::End| {
        end.outcome.as_ref().is_some_and(|outcome| outcome.output.is_some())
    };
    ends(word).iter().any(output)
}
