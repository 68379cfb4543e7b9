//! The control side: the nodes that have a session here, and who reads their output through it.
//!
//! A reader is allowed a window, so what waits here for it is bounded, and a node that sends more
//! than it may is not heard any more in that reading. When a session ends its readings are cut off;
//! their readers ask again once the node is back, wherever that is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use model::{NodeId, RunId};
use proto::session::{Output, ReadOutput, StopReading, ToWorker, read_output, to_worker};
use tokio::sync::{mpsc, watch};

use super::reading::{Broken, Reading, Taken};
use super::serve::WINDOW;
use super::{CHUNK_COST, Piece, Wanted, wire};

/// Pieces that wait for one reader: as many as its window allows of the smallest, and its end.
const PIECES_MAX: usize = 2 * WINDOW / CHUNK_COST;

/// The nodes with a session here.
#[derive(Debug)]
pub(crate) struct Remote {
    inner: Mutex<Inner>,
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Inner {
    nodes: BTreeMap<NodeId, Session>,
    last_session: u64,
    last_reading: u64,
}

#[derive(Debug)]
struct Session {
    number: u64,
    /// `None` for a node that never has any output.
    messages: Option<mpsc::UnboundedSender<ToWorker>>,
    readings: BTreeMap<u64, Reader>,
}

#[derive(Debug)]
struct Reader {
    run: RunId,
    pieces: mpsc::Sender<Result<Piece, Broken>>,
}

/// One session of a node; dropping it ends its readings.
#[derive(Debug)]
pub(crate) struct Connection {
    remote: Arc<Remote>,
    node: NodeId,
    session: u64,
}

impl Remote {
    /// Knows no node yet.
    pub(crate) fn new() -> Arc<Remote> {
        Arc::new(Remote { inner: Mutex::default(), changes: watch::Sender::new(0) })
    }

    /// A node has a session here now; what is said to it goes to `messages`. It replaces an older
    /// one.
    pub(crate) fn opened(
        self: &Arc<Remote>,
        node: NodeId,
        messages: mpsc::UnboundedSender<ToWorker>,
    ) -> Connection {
        self.open(node, Some(messages))
    }

    /// A node of this process that never has any output.
    pub(crate) fn silent(self: &Arc<Remote>, node: NodeId) -> Connection {
        self.open(node, None)
    }

    fn open(
        self: &Arc<Remote>,
        node: NodeId,
        messages: Option<mpsc::UnboundedSender<ToWorker>>,
    ) -> Connection {
        let mut inner = self.lock();
        inner.last_session += 1;
        let session = inner.last_session;
        let new = Session { number: session, messages, readings: BTreeMap::new() };
        let old = inner.nodes.insert(node, new);
        drop(inner);
        cut(old);
        self.changes.send_modify(|count| *count += 1);
        Connection { remote: self.clone(), node, session }
    }

    /// Starts reading what lies on a node, if it has a session here.
    pub(crate) fn read(self: &Arc<Remote>, node: NodeId, wanted: &Wanted) -> Option<Reading> {
        let mut inner = self.lock();
        inner.last_reading += 1;
        let number = inner.last_reading;
        let session = inner.nodes.get_mut(&node)?;
        let Some(messages) = &session.messages else {
            return Some(Reading::nothing(wanted.follow));
        };
        let message = |wanted| {
            let kind = Some(read_output::Kind::Wanted(wanted));
            ToWorker { kind: Some(to_worker::Kind::ReadOutput(ReadOutput { number, kind })) }
        };
        let mut parts = wanted.to_messages().into_iter().map(message);
        if parts.any(|part| messages.send(part).is_err()) {
            // Nobody hears it any more: it is over, though that has not been said yet.
            let old = inner.nodes.remove(&node);
            drop(inner);
            cut(old);
            return None;
        }
        let (pieces, inbox) = mpsc::channel(PIECES_MAX);
        session.readings.insert(number, Reader { run: wanted.run, pieces });
        let taken = Allow { remote: self.clone(), node, session: session.number, number, owed: 0 };
        drop(inner);
        Some(Reading::with(inbox, Box::new(taken)))
    }

    /// Whether a node has a session here.
    pub(crate) fn has(&self, node: NodeId) -> bool {
        self.lock().nodes.contains_key(&node)
    }

    /// Whether a node is one of this process that never has any output.
    pub(crate) fn is_silent(&self, node: NodeId) -> bool {
        self.lock().nodes.get(&node).is_some_and(|session| session.messages.is_none())
    }

    /// Changes when a node gets a session here.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The session, if it is still the node's.
    fn with<T>(
        &self,
        node: NodeId,
        number: u64,
        what: impl FnOnce(&mut Session) -> T,
    ) -> Option<T> {
        let mut inner = self.lock();
        let session = inner.nodes.get_mut(&node).filter(|session| session.number == number);
        session.map(what)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// Whose it is.
    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    /// Takes what the node has found. It never waits.
    pub(crate) fn heard(&self, output: Output) {
        let number = output.number;
        self.remote.with(self.node, self.session, |session| {
            // Its reader may have left.
            let Some(reader) = session.readings.get(&number) else { return };
            let (piece, end) = wire::piece(reader.run, output);
            let taken = piece.map_or(Ok(()), |piece| reader.pieces.try_send(Ok(piece)));
            let Err(error) = taken else {
                if let Some(end) = end {
                    if let Err(broken) = end {
                        let _ = reader.pieces.try_send(Err(broken)); // It hears the end at least.
                    }
                    session.readings.remove(&number);
                }
                return;
            };
            if let mpsc::error::TrySendError::Full(_) = error {
                tracing::warn!(
                    node = %self.node,
                    "the node sends more output than it may; that reading of it ends"
                );
                if let Some(messages) = &session.messages {
                    let _ = messages.send(stop(number)); // The session may be over.
                }
            }
            session.readings.remove(&number);
        });
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut inner = self.remote.lock();
        let ours = inner.nodes.get(&self.node).is_some_and(|s| s.number == self.session);
        let old = if ours { inner.nodes.remove(&self.node) } else { None };
        drop(inner);
        cut(old);
    }
}

/// Ends the readings of a session that is over.
fn cut(session: Option<Session>) {
    for reader in session.into_iter().flat_map(|session| session.readings.into_values()) {
        let broken = Broken::cut("its session was cut off");
        let pieces = reader.pieces;
        if let Err(mpsc::error::TrySendError::Full(broken)) = pieces.try_send(Err(broken)) {
            // It is slow, and hears of it when it has taken what waits.
            tokio::spawn(async move { pieces.send(broken).await });
        }
    }
}

fn stop(number: u64) -> ToWorker {
    ToWorker { kind: Some(to_worker::Kind::StopReading(StopReading { number })) }
}

/// Allows a node more as it is taken, and stops its reading in the end.
struct Allow {
    remote: Arc<Remote>,
    node: NodeId,
    session: u64,
    number: u64,
    /// Taken, and not allowed again yet.
    owed: usize,
}

impl Taken for Allow {
    fn taken(&mut self, cost: usize) {
        self.owed += cost;
        if self.owed < WINDOW / 2 {
            return;
        }
        let credit = std::mem::take(&mut self.owed) as u64;
        let kind = Some(read_output::Kind::Credit(credit));
        let message = to_worker::Kind::ReadOutput(ReadOutput { number: self.number, kind });
        let message = ToWorker { kind: Some(message) };
        self.remote.with(self.node, self.session, |session| {
            // Once the session is over there is nothing to allow.
            session.messages.as_ref().map(|messages| messages.send(message))
        });
    }
}

impl Drop for Allow {
    fn drop(&mut self) {
        self.remote.with(self.node, self.session, |session| {
            if session.readings.remove(&self.number).is_some()
                && let Some(messages) = &session.messages
            {
                let _ = messages.send(stop(self.number)); // The session may be over.
            }
        });
    }
}
