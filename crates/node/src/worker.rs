//! The task that performs what the worker reactor wants: between the control part and the
//! supervisor beside this daemon.
//!
//! It outlives supervisors: when one dies it reaches or launches the next. It ends when the node
//! was taken down and the supervisor has left.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use model::{Attempt, NodeId, SupervisorId};
use peer::Dialer;
use proto::session::{self, ToControl};
use proto::supervisor::{FromSupervisor, ToSupervisor, from_supervisor, to_supervisor};
use reactor::worker::{Effect, Event, Worker};
use runner::output::Store;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::clock::{Clock, since_boot};
use crate::cluster::contacts::Contacts;
use crate::cluster::ways::ask_placed;
use crate::handle::Handle;
use crate::info::Stopped;
use crate::live::LiveOutput;
use crate::session::FromLine;
use crate::supervisor::{Link, Reach};
use crate::view::View;

/// How long going down waits for a supervisor: one that cleans up after another takes a while.
const DOWN_WITHIN: Duration = Duration::from_secs(60);
/// Before it is asked again what is placed here.
const TRUTH_AGAIN: Duration = Duration::from_millis(300);

/// The worker part's task.
pub(crate) struct Task {
    pub(crate) worker: Worker,
    pub(crate) reach: Reach,
    /// What comes from control parts.
    pub(crate) line: mpsc::Receiver<FromLine>,
    /// The session that is open.
    pub(crate) words: Option<mpsc::UnboundedSender<ToControl>>,
    pub(crate) truth: Truth,
    pub(crate) output: Arc<Store>,
    pub(crate) live: Arc<LiveOutput>,
    pub(crate) running: Arc<AtomicU64>,
    /// When the supervisor said something last, in milliseconds since the machine's start.
    pub(crate) heard: Arc<AtomicU64>,
    pub(crate) supervisor_pid: watch::Sender<u32>,
    /// Whether the node is registered.
    pub(crate) welcome: watch::Sender<bool>,
    pub(crate) down: watch::Receiver<bool>,
    pub(crate) clock: Clock,
    /// When the reactor wants to be woken. It outlives supervisors as the reactor does, which asks
    /// once and would wait for ever for a timer that was forgotten with one of them.
    pub(crate) timer: Option<Instant>,
}

/// Who knows what is placed on this node.
pub(crate) enum Truth {
    /// This node's own state.
    Here(Handle),
    /// The control nodes.
    There { dialer: Arc<Dialer>, contacts: Arc<Contacts> },
}

/// What is placed on a node whose supervisor is not the one it is registered with.
pub(crate) fn placed(view: &View, node: NodeId, supervisor: SupervisorId) -> BTreeSet<Attempt> {
    let Some(known) = view.state.node(node).filter(|known| known.supervisor != supervisor) else {
        return BTreeSet::new();
    };
    let attempt = |at: &machine::node::Assigned| {
        let run = view.state.run(at.run)?;
        let live = run.tasks[at.task as usize].live.get(&at.ordinal)?;
        Some(run.attempt(at.run, at.task, at.ordinal, live.number))
    };
    known.assigned.values().filter_map(attempt).collect()
}

impl Truth {
    /// What is placed here and was not started by this supervisor, once anybody knows.
    async fn placed(&self, supervisor: SupervisorId) -> BTreeSet<Attempt> {
        loop {
            match self {
                Truth::Here(handle) => {
                    if let Ok(view) = handle.view().await {
                        return placed(&view, handle.info().node, supervisor);
                    }
                }
                Truth::There { dialer, contacts } => {
                    let placed = ask_placed(dialer, contacts, supervisor.to_bytes()).await;
                    if let Some(placed) = placed {
                        return placed;
                    }
                }
            }
            tokio::time::sleep(TRUTH_AGAIN).await;
        }
    }
}

/// Starts the task; the first reason for its end stays.
pub(crate) fn spawn(task: Task, stopped: watch::Sender<Option<Stopped>>) {
    let down = task.down.clone();
    tokio::spawn(async move {
        let end = match tokio::spawn(task.run()).await {
            Ok(Ok(())) if *down.borrow() => Stopped::Down,
            Ok(Ok(())) => return, // The control part ended first and says why.
            Ok(Err(reason)) => Stopped::Failed(reason),
            Err(error) => Stopped::Failed(format!("the worker part failed: {error}")),
        };
        crate::stopping::stop(&stopped, end);
    });
}

/// What one supervisor's life was ended by.
enum LinkEnd {
    /// It is gone.
    Lost,
    /// The control part is gone: the node stops, the tasks go on.
    NodeStops,
}

impl Task {
    /// Runs until the node is down or stops; an error says why there can be no supervisor.
    pub(crate) async fn run(mut self) -> Result<(), String> {
        loop {
            let Some(link) = self.reach().await? else { return Ok(()) };
            self.supervisor_pid.send_replace(link.hello.pid);
            match self.serve(link).await {
                LinkEnd::NodeStops => return Ok(()),
                LinkEnd::Lost if *self.down.borrow() => return Ok(()),
                LinkEnd::Lost => {
                    tracing::warn!(
                        "the supervisor is gone; its attempts are unknown until a new one has proved their processes gone"
                    );
                    self.step(Event::SupervisorLost, &mut Vec::new());
                }
            }
        }
    }

    /// Reaches a supervisor, and meanwhile hears the control part; `None` when that has gone.
    async fn reach(&mut self) -> Result<Option<Link>, String> {
        let mut down = self.down.clone();
        loop {
            let word = tokio::select! {
                link = self.reach.reach() => {
                    return link.map(Some).map_err(|error| error.to_string());
                }
                word = self.line.recv() => word,
                () = given_up(&mut down) => {
                    return Err(format!(
                        "no supervisor could be reached to end the tasks; see `{}`",
                        self.reach.data_dir.join(runner::client::LOG).display()
                    ));
                }
            };
            let Some(word) = word else { return Ok(None) };
            let event = self.line_said(word);
            self.step(event, &mut Vec::new());
        }
    }

    fn line_said(&mut self, word: FromLine) -> Event {
        match word {
            FromLine::Opened(words) => {
                self.words = Some(words);
                Event::SessionOpened
            }
            FromLine::Said(message) => Event::FromControl(*message),
            FromLine::Closed => {
                self.words = None;
                Event::SessionClosed
            }
        }
    }

    async fn serve(&mut self, mut link: Link) -> LinkEnd {
        let mut out = Vec::new();
        let mut down = self.down.clone();
        down.mark_changed();
        let Some(recovered) = self.recovered(&link).await else { return LinkEnd::NodeStops };
        let hello = link.hello.clone();
        self.note_heard();
        self.step(Event::SupervisorUp { hello, recovered }, &mut out);
        loop {
            if !out.is_empty() && link.send(&std::mem::take(&mut out)).await.is_err() {
                return LinkEnd::Lost;
            }
            self.running.store(self.worker.running() as u64, Ordering::Relaxed);
            let wake = self.timer.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            let next = tokio::select! {
                received = link.receive() => {
                    self.note_heard();
                    let mut received = received.map(Some);
                    loop {
                        match received {
                            Ok(Some(message)) => {
                                if let Some(event) = self.heard(message) {
                                    self.step(event, &mut out);
                                }
                            }
                            Ok(None) => break,
                            Err(_) => return LinkEnd::Lost,
                        }
                        received = link.decoded();
                    }
                    continue;
                }
                word = self.line.recv() => match word {
                    Some(word) => self.line_said(word),
                    None => return LinkEnd::NodeStops,
                },
                Ok(()) = down.changed() => {
                    if !*down.borrow_and_update() {
                        continue;
                    }
                    Event::Down
                }
                () = tokio::time::sleep_until(wake), if self.timer.is_some() => {
                    self.timer = None;
                    Event::Timer
                }
            };
            self.step(next, &mut out);
        }
    }

    fn note_heard(&self) {
        self.heard.store(since_boot().as_millis() as u64, Ordering::Relaxed);
    }

    /// Output is for readers, the rest for the reactor.
    fn heard(&self, message: FromSupervisor) -> Option<Event> {
        match message.kind {
            Some(from_supervisor::Kind::Output(output)) => {
                self.live.told(output);
                None
            }
            _ => Some(Event::FromSupervisor(message)),
        }
    }

    /// Puts the secrets of a start among its variables: the control part has opened them. One that
    /// did not open is sealed still, and the supervisor refuses the start.
    fn hand_secrets(message: &mut ToSupervisor) {
        let Some(to_supervisor::Kind::Start(start)) = &mut message.kind else { return };
        let Some(spec) = &mut start.spec else { return };
        let env = &mut start.env;
        spec.secrets.retain_mut(|secret| {
            if secret.key != 0 {
                return true;
            }
            let Ok(value) = String::from_utf8(std::mem::take(&mut secret.value)) else {
                return true;
            };
            let name = std::mem::take(&mut secret.name);
            env.insert(0, proto::job::Variable { name, value });
            false
        });
    }

    /// Nobody follows what the supervisor is told to forget: all of it is known to be committed.
    fn forget(&self, message: &ToSupervisor) {
        if let (Some(to_supervisor::Kind::Forget(forget)), Truth::There { .. }) =
            (&message.kind, &self.truth)
        {
            let ended: Vec<Attempt> =
                forget.attempts.iter().map(|attempt| Attempt::from(*attempt)).collect();
            self.live.forget(&ended);
        }
    }

    /// Performs what the reactor wants of one event.
    fn step(&mut self, event: Event, out: &mut Vec<ToSupervisor>) {
        for effect in self.worker.handle(self.clock.now(), event) {
            match effect {
                Effect::ToControl(message) => {
                    // A session that is over says so itself.
                    if let Some(words) = &self.words {
                        let _ = words.send(message);
                    }
                }
                Effect::ToSupervisor(mut message) => {
                    Self::hand_secrets(&mut message);
                    self.forget(&message);
                    out.push(*message);
                }
                Effect::Timer(at_ms) => self.timer = Some(self.clock.at(at_ms)),
                // The line opens another session, with another control node where there is one.
                Effect::LeaveSession => self.words = None,
            }
        }
        let welcome = self.worker.is_welcome();
        self.welcome.send_if_modified(|known| std::mem::replace(known, welcome) != welcome);
    }

    /// What a former supervisor's attempts came to, where this one is new; `None` where the node
    /// stops.
    async fn recovered(&mut self, link: &Link) -> Option<Vec<session::End>> {
        let Some(supervisor) = SupervisorId::from_bytes(&link.hello.supervisor_id) else {
            return Some(Vec::new());
        };
        let mut down = self.down.clone();
        let wanted = tokio::select! {
            wanted = self.truth.placed(supervisor) => wanted,
            // Nobody will be told: what runs is ended all the same.
            Ok(_) = down.wait_for(|down| *down) => BTreeSet::new(),
        };
        if wanted.is_empty() {
            return Some(Vec::new());
        }
        Some(self.take_over(wanted).await)
    }

    /// The ends of these attempts of a killed supervisor, as far as it wrote them. Where the output
    /// of the others lies is kept before they are given up: later nothing tells it.
    async fn take_over(&self, wanted: BTreeSet<Attempt>) -> Vec<session::End> {
        let (output, told) = (self.output.clone(), self.live.so_far(&wanted));
        let remains = tokio::task::spawn_blocking(move || output.take_over(&wanted, told)).await;
        let remains = remains.unwrap_or_default();
        if let Some(error) = &remains.unkept {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                "output of attempts whose supervisor ended will not be found again"
            );
        }
        for (attempt, extents) in remains.lost {
            self.live.lost(attempt, extents);
        }
        let ends = remains.ends.into_iter().map(|(attempt, outcome)| session::End {
            attempt: Some(attempt.into()),
            outcome: Some(outcome.into()),
        });
        ends.collect()
    }
}

/// Answers a while after the node was told to go down.
async fn given_up(down: &mut watch::Receiver<bool>) {
    if down.wait_for(|down| *down).await.is_err() {
        return std::future::pending().await;
    }
    tokio::time::sleep(DOWN_WITHIN).await;
}
