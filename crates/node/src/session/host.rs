//! The control node's end of sessions: leads them, or hands them on to the leader.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use journal::{Journal, Leadership};
use model::NodeId;
use peer::service::Refused as Turned;
use proto::session::{ToControl, ToWorker};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::mouth;
use crate::cluster::ways::{Way, Ways};
use crate::control::Input;
use crate::output::{self, Inbound, Keeping};
use crate::secrets::Secrets;

/// Words that wait for a worker which does not take them; beyond, its session ends.
const WAITING_MAX: usize = 100_000;
/// How long one word may wait to be taken.
const TAKEN_WITHIN: Duration = Duration::from_secs(15);

/// Serves sessions on a control node.
pub(crate) struct Host {
    ways: Ways,
    control: mpsc::Sender<Input>,
    /// What is sealed is opened on its way to the worker, who has no key.
    secrets: Arc<Secrets>,
    outputs: Arc<output::Ways>,
    keeping: Arc<Keeping>,
    /// Names sessions: greater than any before.
    last: AtomicU64,
}

impl Host {
    pub(crate) fn new(
        ways: Ways,
        control: mpsc::Sender<Input>,
        secrets: Arc<Secrets>,
        outputs: Arc<output::Ways>,
        keeping: Arc<Keeping>,
    ) -> Host {
        Host { ways, control, secrets, outputs, keeping, last: AtomicU64::new(0) }
    }

    /// Where output is read.
    pub(crate) fn outputs(&self) -> &Arc<output::Ways> {
        &self.outputs
    }

    /// Where tails are kept.
    pub(crate) fn keeping(&self) -> &Arc<Keeping> {
        &self.keeping
    }

    /// A number for a session that is opened another way.
    pub(crate) fn number(&self) -> u64 {
        self.last.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Serves the session of `node` until one of its sides is gone, or another node leads.
    pub(crate) async fn serve(
        &self,
        node: NodeId,
        from_worker: mpsc::Receiver<ToControl>,
        to_worker: mpsc::Sender<ToWorker>,
    ) -> Result<(), Turned> {
        match self.ways.now() {
            Some(Way::Here) => self.lead(node, from_worker, to_worker).await,
            Some(Way::There(leader)) => self.relay(leader, node, from_worker, to_worker).await,
            None => Err(Turned::Unavailable("no leader is known just now".to_owned())),
        }
    }

    /// The same where this node has to lead.
    pub(crate) async fn lead(
        &self,
        node: NodeId,
        mut from_worker: mpsc::Receiver<ToControl>,
        to_worker: mpsc::Sender<ToWorker>,
    ) -> Result<(), Turned> {
        let mut leadership = self.ways.journal.leadership();
        if !matches!(*leadership.borrow_and_update(), Leadership::Leader(_)) {
            return Err(Turned::Unavailable("this node does not lead".to_owned()));
        }
        let session = self.number();
        let (messages, mut inbox) = mpsc::unbounded_channel();
        let stops = || Turned::Unavailable("the node stops".to_owned());
        tracing::debug!(%node, session, "a worker's session begins");
        // Of this node's own output nobody has to ask, and its tails are here. A node that comes
        // back is read through its new session, though the old one may not be over yet.
        let is_here = node == self.ways.node || self.outputs.remote.is_silent(node);
        let elsewhere = (!is_here).then(|| self.outputs.remote.opened(node, messages.clone()));
        let opened = Input::SessionOpened { session, messages };
        self.control.send(opened).await.map_err(|_| stops())?;
        let _open = Open { session, control: self.control.clone() };
        let up = async {
            let mut inbound =
                elsewhere.map(|connection| Inbound::new(connection, self.keeping.clone()));
            loop {
                let message = match &mut inbound {
                    Some(inbound) => inbound.next(&mut from_worker).await,
                    None => from_worker.recv().await,
                };
                let Some(message) = message else { return Ok(()) };
                let message = Input::Message { session, message };
                self.control.send(message).await.map_err(|_| stops())?;
            }
        };
        let down = async {
            while let Some(mut message) = inbox.recv().await {
                self.secrets.open_for_worker(&mut message);
                if inbox.len() > WAITING_MAX {
                    return Err(Turned::Unavailable("the worker is too slow".to_owned()));
                }
                match tokio::time::timeout(TAKEN_WITHIN, to_worker.send(message)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Ok(()),
                    Err(_) => return Err(Turned::Unavailable("the worker is silent".to_owned())),
                }
            }
            Err(stops())
        };
        let deposed = leadership.wait_for(|now| !matches!(now, Leadership::Leader(_)));
        tokio::select! {
            ended = up => ended,
            ended = down => ended,
            _ = deposed => Err(Turned::Unavailable("another node leads now".to_owned())),
        }
    }

    async fn relay(
        &self,
        leader: NodeId,
        node: NodeId,
        from_worker: mpsc::Receiver<ToControl>,
        to_worker: mpsc::Sender<ToWorker>,
    ) -> Result<(), Turned> {
        let mut leadership = self.ways.journal.leadership();
        let own = (node == self.ways.node).then(|| self.outputs.local.clone());
        let (words, mut mouth) = match own {
            Some(local) => {
                let (words, mouth) = mouth::of_this_node(local, from_worker);
                (words, Some(mouth))
            }
            None => (from_worker, None),
        };
        let answers = self.ways.dialer.session(leader, Some(node), ReceiverStream::new(words));
        let gone =
            |why: String| Turned::Unavailable(format!("the leader cannot be reached: {why}"));
        let mut answers = answers.await.map_err(|error| gone(error.to_string()))?;
        let down = async {
            while let Some(answer) = answers.next().await {
                let answer = answer.map_err(|status| gone(status.message().to_owned()))?;
                let Some(answer) = mouth::heard(&mut mouth, answer) else { continue };
                match tokio::time::timeout(TAKEN_WITHIN, to_worker.send(answer)).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => return Ok(()),
                    Err(_) => return Err(Turned::Unavailable("the worker is silent".to_owned())),
                }
            }
            Ok(())
        };
        let moved = async {
            while self.ways.now() == Some(Way::There(leader)) && leadership.changed().await.is_ok()
            {
            }
        };
        tokio::select! {
            ended = down => ended,
            () = moved => Err(Turned::Unavailable("another node leads now".to_owned())),
        }
    }
}

/// A session that the control part knows. With this it hears of its end, also where whoever serves
/// it is dropped with its connection.
struct Open {
    session: u64,
    control: mpsc::Sender<Input>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let closed = Input::SessionClosed(self.session);
        let Err(mpsc::error::TrySendError::Full(closed)) = self.control.try_send(closed) else {
            return; // It is told, or there is nobody to tell.
        };
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let control = self.control.clone();
            runtime.spawn(async move { control.send(closed).await });
        }
    }
}

/// Shared by whoever opens sessions.
pub(crate) type Shared = Arc<Host>;
