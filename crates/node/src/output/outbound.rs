//! The worker's side: what goes out through a session, in which order.
//!
//! ```text
//!  the reactor's words ──▶ held while tails are read ──▶ first
//!  output that is read ──────────────────────────────▶ when there is nothing else
//! ```
//!
//! Before a report that has ends with output go the tails of that output, so that they are kept when
//! the end is published. That takes a disk's time and the line's, so it has a limit, and heartbeats
//! do not wait for it: a report that waits is no reason to lose a lease. Ends without output cost
//! nothing here.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use model::{Attempt, OutputRef};
use prost::Message as _;
use proto::session::{End, OutputChunk, Tail, Tails, ToControl, to_control};
use runner::output::Store;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Chunk, Placed, TAIL_BYTES, wire};

/// How long a report waits for its tails to be read and sent; it goes without the others then.
const HOLD: Duration = Duration::from_secs(2);
/// What waits behind a report at the most; whoever has more to say waits.
const HELD_MAX: usize = 64;
/// One message has tails of so many bytes, beyond the last.
const MESSAGE_BYTES: usize = 512 << 10;
/// One tail takes no more than this, however small its chunks are.
const TAIL_ENCODED_MAX: usize = 256 << 10;

/// What a session sends.
pub(crate) struct Outbound {
    words: mpsc::Receiver<ToControl>,
    output: mpsc::Receiver<ToControl>,
    store: Arc<Store>,
    /// Words in their order, of which the first waits for its tails.
    held: VecDeque<ToControl>,
    tails: Option<Reading>,
    /// Nobody will say anything more.
    is_closed: bool,
}

/// Tails on their way from the disk.
struct Reading {
    tails: mpsc::Receiver<Tails>,
    until: Instant,
}

/// What comes next.
enum Next {
    Word(Option<ToControl>),
    Tails(Option<Tails>),
    Output(ToControl),
}

impl Outbound {
    /// Sends what the reactor says in `words`, and what readers of `store` have allowed in `output`.
    pub(crate) fn new(
        words: mpsc::Receiver<ToControl>,
        output: mpsc::Receiver<ToControl>,
        store: Arc<Store>,
    ) -> Outbound {
        let held = VecDeque::new();
        Outbound { words, output, store, held, tails: None, is_closed: false }
    }

    /// The next message to send; `None` when nobody will say anything more. It may be dropped while
    /// it waits, nothing is lost.
    pub(crate) async fn next(&mut self) -> Option<ToControl> {
        loop {
            if self.tails.is_none()
                && let Some(first) = self.held.pop_front()
            {
                match self.begin(&first) {
                    None => return Some(first),
                    reading => {
                        self.tails = reading;
                        self.held.push_front(first);
                    }
                }
            }
            if self.is_closed && self.held.is_empty() {
                return None;
            }
            match self.wait().await {
                // No report may be overtaken by what says that it does not count any more.
                Next::Word(Some(word)) if is_heartbeat(&word) && self.holds_reports_alone() => {
                    return Some(word);
                }
                Next::Word(Some(word)) => self.held.push_back(word),
                Next::Word(None) => self.is_closed = true,
                Next::Tails(Some(tails)) => {
                    return Some(ToControl { kind: Some(to_control::Kind::Tails(tails)) });
                }
                Next::Tails(None) => {
                    self.tails = None;
                    return self.held.pop_front();
                }
                Next::Output(output) => return Some(output),
            }
        }
    }

    async fn wait(&mut self) -> Next {
        let has_room = self.held.len() < HELD_MAX && !self.is_closed;
        let reading = self.tails.is_some();
        let tails = async {
            match &mut self.tails {
                Some(Reading { tails, until }) => {
                    let next = tokio::time::timeout_at(*until, tails.recv());
                    next.await.unwrap_or_default()
                }
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            word = self.words.recv(), if has_room => Next::Word(word),
            tails = tails, if reading => Next::Tails(tails),
            Some(output) = self.output.recv() => Next::Output(output),
        }
    }

    fn holds_reports_alone(&self) -> bool {
        self.held.iter().all(|word| matches!(word.kind, Some(to_control::Kind::Report(_))))
    }

    /// Starts reading the tails that have to go first, if there are any.
    fn begin(&self, word: &ToControl) -> Option<Reading> {
        let wanted: Vec<(Attempt, OutputRef)> = ends(word).iter().filter_map(with_output).collect();
        if wanted.is_empty() {
            return None;
        }
        let (sender, tails) = mpsc::channel(1);
        let store = self.store.clone();
        // It ends when all are read, or when nobody wants the next.
        tokio::task::spawn_blocking(move || read(&store, wanted, &sender));
        Some(Reading { tails, until: Instant::now() + HOLD })
    }
}

/// The ends that a message has.
pub(super) fn ends(word: &ToControl) -> &[End] {
    match &word.kind {
        Some(to_control::Kind::Report(report)) => &report.ends,
        Some(to_control::Kind::Hello(hello)) => &hello.recovered,
        _ => &[],
    }
}

pub(super) fn is_heartbeat(word: &ToControl) -> bool {
    matches!(word.kind, Some(to_control::Kind::Heartbeat(_)))
}

fn with_output(end: &End) -> Option<(Attempt, OutputRef)> {
    let at = end.outcome.as_ref()?.output?;
    let at = OutputRef { segment: at.segment, offset: at.offset };
    Some((end.attempt?.into(), at))
}

fn read(store: &Store, wanted: Vec<(Attempt, OutputRef)>, sender: &mpsc::Sender<Tails>) {
    let mut message = Tails::default();
    let mut bytes = 0;
    for (attempt, at) in wanted {
        // One that cannot be read is left out: its reader will be told that it is missing.
        let Some(tail) = tail(store, attempt, at) else { continue };
        bytes += tail.encoded_len();
        message.tails.push(tail);
        if bytes >= MESSAGE_BYTES {
            bytes = 0;
            if sender.blocking_send(std::mem::take(&mut message)).is_err() {
                return;
            }
        }
    }
    if !message.tails.is_empty() {
        let _ = sender.blocking_send(message); // Too late, if nobody waits any more.
    }
}

fn tail(store: &Store, attempt: Attempt, at: OutputRef) -> Option<Tail> {
    let runner::output::Tail { mut position, chunks } = store.tail(attempt, at, TAIL_BYTES).ok()?;
    let mut chunks: VecDeque<OutputChunk> = (chunks.into_iter())
        .map(|(chunk, place)| {
            let (stream, time_us) = (chunk.stream as u8, chunk.time_us);
            let chunk = Chunk { attempt, stream, time_us, data: chunk.data };
            wire::chunk(Placed { chunk, place }, false)
        })
        .collect();
    let mut bytes: usize = chunks.iter().map(encoded_len).sum();
    while bytes > TAIL_ENCODED_MAX
        && let Some(first) = chunks.pop_front()
    {
        bytes -= encoded_len(&first);
        position = first.bytes;
    }
    (!chunks.is_empty()).then(|| Tail {
        attempt: Some(attempt.into()),
        position,
        chunks: chunks.into(),
    })
}

/// With what announces it.
fn encoded_len(chunk: &OutputChunk) -> usize {
    chunk.encoded_len() + 4
}
