//! The worker's end of its session: opens it, and opens another whenever it ends.
//!
//! It must never lose a word in silence: where a session ends, the worker is told, and says hello
//! in the next one.

use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use model::NodeId;
use peer::{Dialer, Lane};
use proto::session::{ToControl, ToWorker};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;

use super::host::Shared;
use super::mouth;
use crate::cluster::contacts::Contacts;
use crate::output::Local;

/// The pause before the next try, at first and at the most.
const AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));
/// A session that has lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(5);
/// How long a control node may take to answer.
const OPEN: Duration = Duration::from_secs(5);
const WORDS_MAX: usize = 64;

/// Where sessions can be opened.
pub(crate) enum Doors {
    /// At this node's own control part.
    Own(Shared),
    /// At other nodes, one after the other.
    Others {
        dialer: Arc<Dialer>,
        contacts: Arc<Contacts>,
        local: Option<Local>,
        /// Which of them it is open with.
        at: watch::Sender<Option<NodeId>>,
    },
}

/// What the worker hears.
pub(crate) enum FromLine {
    /// A session is open; dropping this leaves it.
    Opened(mpsc::UnboundedSender<ToControl>),
    /// The control part said something.
    Said(Box<ToWorker>),
    /// The session is over; another will be opened.
    Closed,
}

/// Keeps a session open.
pub(crate) struct Line {
    pub(crate) node: NodeId,
    pub(crate) doors: Doors,
    pub(crate) out: mpsc::Sender<FromLine>,
}

impl Line {
    /// Runs until nobody listens any more.
    pub(crate) async fn run(self) {
        let mut pause = AGAIN.0;
        for turn in 0usize.. {
            let begun = tokio::time::Instant::now();
            if self.once(turn).await.is_err() {
                return;
            }
            pause = if begun.elapsed() > GOOD { AGAIN.0 } else { (pause * 2).min(AGAIN.1) };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.out.closed() => return,
            }
        }
    }

    /// One session; an error where nobody listens any more.
    async fn once(&self, turn: usize) -> Result<(), ()> {
        let (to_control, from_worker) = mpsc::channel(WORDS_MAX);
        match &self.doors {
            Doors::Own(host) => {
                let (to_worker, answers) = mpsc::channel(WORDS_MAX);
                let served = async {
                    if let Err(turned) = host.serve(self.node, from_worker, to_worker).await {
                        tracing::debug!(%turned, "the session with the own control part is over");
                    }
                };
                self.last(to_control, ReceiverStream::new(answers), served).await
            }
            Doors::Others { dialer, contacts, local, at } => {
                let all = contacts.all();
                let Some((node, address)) = all.get(turn % all.len().max(1)) else { return Ok(()) };
                let (words, mut mouth) = match local {
                    Some(local) => {
                        let (words, mouth) = mouth::of_this_node(local.clone(), from_worker);
                        (words, Some(mouth))
                    }
                    None => (from_worker, None),
                };
                let opening = dialer.session(*node, None, ReceiverStream::new(words));
                let answers = match tokio::time::timeout(OPEN, opening).await {
                    Ok(Ok(answers)) => Some(answers),
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "no session can be opened there");
                        None
                    }
                    Err(_) => None,
                };
                let Some(answers) = answers else {
                    dialer.forget(*node, Lane::Session);
                    return Ok(());
                };
                tracing::debug!(%node, address, "a session is open");
                let answers = answers.filter_map(move |answer| {
                    let why = |status: &tonic::Status| {
                        tracing::debug!(why = status.message(), "the session is over");
                    };
                    let answer = answer.inspect_err(why).ok();
                    let answer = answer.and_then(|answer| mouth::heard(&mut mouth, answer));
                    std::future::ready(answer)
                });
                at.send_replace(Some(*node));
                let lasted = self.last(to_control, answers, std::future::pending()).await;
                at.send_replace(None);
                // The next session may be with another node. Through NAT a connection costs pings for as
                // long as it is kept.
                dialer.forget(*node, Lane::Session);
                lasted
            }
        }
    }

    /// Hands words on in both directions until one side is gone, or `served` is done.
    async fn last(
        &self,
        to_control: mpsc::Sender<ToControl>,
        answers: impl Stream<Item = ToWorker>,
        served: impl Future<Output = ()>,
    ) -> Result<(), ()> {
        let (words, mut said) = mpsc::unbounded_channel();
        self.out.send(FromLine::Opened(words)).await.map_err(drop)?;
        // The worker leaves by dropping its sender.
        let up = async {
            while let Some(word) = said.recv().await {
                if to_control.send(word).await.is_err() {
                    return;
                }
            }
        };
        tokio::pin!(answers);
        let down = async {
            while let Some(answer) = answers.next().await {
                self.out.send(FromLine::Said(Box::new(answer))).await.map_err(drop)?;
            }
            Ok(())
        };
        tokio::select! {
            () = up => {}
            heard = down => heard?,
            () = served => {}
        }
        self.out.send(FromLine::Closed).await.map_err(drop)
    }
}
