//! The task that performs what the worker reactor wants: between the control part and the
//! supervisor beside this daemon.
//!
//! It outlives supervisors: when one dies it reaches or launches the next. It ends when the node
//! was taken down and the supervisor has left.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use journal::{Journal, raft::Raft};
use model::{Attempt, NodeId, SupervisorId};
use proto::session::{self, ToWorker};
use proto::supervisor::{FromSupervisor, ToSupervisor, from_supervisor, to_supervisor};
use reactor::worker::{Effect, Event, Worker};
use runner::output::Store;
use tokio::sync::{mpsc, watch};

use crate::clock::{Clock, since_boot};
use crate::control::Input;
use crate::live::LiveOutput;
use crate::secrets::Secrets;
use crate::supervisor::{Link, Reach};
use crate::view::View;

/// How long going down waits for a supervisor: one that cleans up after another takes a while.
const DOWN_WITHIN: Duration = Duration::from_secs(60);
/// This node's own session; there is no other yet.
const SESSION: u64 = 1;

/// The worker part's task.
pub(crate) struct Task {
    pub(crate) worker: Worker,
    pub(crate) secrets: Arc<Secrets>,
    pub(crate) node: NodeId,
    pub(crate) reach: Reach,
    pub(crate) control: mpsc::Sender<Input>,
    pub(crate) journal: Arc<Raft>,
    pub(crate) views: watch::Receiver<Arc<View>>,
    pub(crate) output: Arc<Store>,
    pub(crate) live: Arc<LiveOutput>,
    pub(crate) running: Arc<AtomicU64>,
    /// When the supervisor said something last, in milliseconds since the machine's start.
    pub(crate) heard: Arc<AtomicU64>,
    pub(crate) supervisor_pid: watch::Sender<u32>,
    pub(crate) down: watch::Receiver<bool>,
    pub(crate) clock: Clock,
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
        let (messages, mut inbox) = mpsc::unbounded_channel();
        let opened = Input::SessionOpened { session: SESSION, messages };
        if self.control.send(opened).await.is_err() {
            return Ok(());
        }
        self.step(Event::SessionOpened, &mut Vec::new()).await;
        loop {
            let Some(link) = self.reach(&mut inbox).await? else { return Ok(()) };
            self.supervisor_pid.send_replace(link.hello.pid);
            match self.serve(link, &mut inbox).await {
                LinkEnd::NodeStops => return Ok(()),
                LinkEnd::Lost if *self.down.borrow() => return Ok(()),
                LinkEnd::Lost => {
                    tracing::warn!(
                        "the supervisor is gone; its attempts are unknown until a new one has proved their processes gone"
                    );
                    self.step(Event::SupervisorLost, &mut Vec::new()).await;
                }
            }
        }
    }

    /// Reaches a supervisor, and meanwhile hears the control part; `None` when that has gone.
    async fn reach(
        &mut self,
        inbox: &mut mpsc::UnboundedReceiver<ToWorker>,
    ) -> Result<Option<Link>, String> {
        let mut down = self.down.clone();
        loop {
            let message = tokio::select! {
                link = self.reach.reach() => {
                    return link.map(Some).map_err(|error| error.to_string());
                }
                message = inbox.recv() => message,
                () = given_up(&mut down) => {
                    return Err(format!(
                        "no supervisor could be reached to end the tasks; see `{}`",
                        self.reach.data_dir.join(runner::client::LOG).display()
                    ));
                }
            };
            match message {
                Some(message) => _ = self.step(Event::FromControl(message), &mut Vec::new()).await,
                None => return Ok(None),
            }
        }
    }

    async fn serve(
        &mut self,
        mut link: Link,
        inbox: &mut mpsc::UnboundedReceiver<ToWorker>,
    ) -> LinkEnd {
        let mut out = Vec::new();
        let mut timer: Option<Instant> = None;
        let mut down = self.down.clone();
        down.mark_changed();
        let Some(recovered) = self.recovered(&link).await else { return LinkEnd::NodeStops };
        let hello = link.hello.clone();
        self.note_heard();
        timer = self.step(Event::SupervisorUp { hello, recovered }, &mut out).await.or(timer);
        loop {
            if !out.is_empty() && link.send(&std::mem::take(&mut out)).await.is_err() {
                return LinkEnd::Lost;
            }
            self.running.store(self.worker.running() as u64, Ordering::Relaxed);
            let wake = timer.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            let next = tokio::select! {
                received = link.receive() => {
                    self.note_heard();
                    let mut received = received.map(Some);
                    loop {
                        match received {
                            Ok(Some(message)) => {
                                if let Some(event) = self.heard(message) {
                                    timer = self.step(event, &mut out).await.or(timer);
                                }
                            }
                            Ok(None) => break,
                            Err(_) => return LinkEnd::Lost,
                        }
                        received = link.decoded();
                    }
                    continue;
                }
                message = inbox.recv() => match message {
                    Some(message) => Event::FromControl(message),
                    None => return LinkEnd::NodeStops,
                },
                Ok(()) = down.changed() => {
                    if !*down.borrow_and_update() {
                        continue;
                    }
                    Event::Down
                }
                () = tokio::time::sleep_until(wake.into()), if timer.is_some() => {
                    timer = None;
                    Event::Timer
                }
            };
            timer = self.step(next, &mut out).await.or(timer);
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

    /// Puts the secrets of a start among its variables. One that does not open stays sealed, and the
    /// supervisor refuses the start.
    fn open_secrets(&self, message: &mut ToSupervisor) {
        let Some(to_supervisor::Kind::Start(start)) = &mut message.kind else { return };
        let Some(spec) = &mut start.spec else { return };
        let env = &mut start.env;
        spec.secrets.retain(|secret| match self.secrets.reveal(secret) {
            Ok(variable) => {
                env.insert(0, variable);
                false
            }
            Err(error) => {
                tracing::error!(run = start.run, %error, "a task cannot be started");
                true
            }
        });
    }

    /// Performs what the reactor wants of one event; returns the timer it asked for.
    async fn step(&mut self, event: Event, out: &mut Vec<ToSupervisor>) -> Option<Instant> {
        let mut timer = None;
        let mut effects: VecDeque<Effect> = self.worker.handle(self.clock.now(), event).into();
        while let Some(effect) = effects.pop_front() {
            match effect {
                Effect::ToControl(message) => {
                    // A control part that has gone takes the node with it.
                    let _ = self.control.send(Input::Message { session: SESSION, message }).await;
                }
                Effect::ToSupervisor(mut message) => {
                    self.open_secrets(&mut message);
                    out.push(*message);
                }
                Effect::Timer(at_ms) => timer = Some(self.clock.at(at_ms)),
                // There is no other control part to try: it asks this one again.
                Effect::LeaveSession => {
                    effects.extend(self.worker.handle(self.clock.now(), Event::SessionOpened));
                }
            }
        }
        timer
    }

    /// What a former supervisor's attempts came to, where this one is new; `None` where the node
    /// stops.
    async fn recovered(&mut self, link: &Link) -> Option<Vec<session::End>> {
        let index = self.journal.barrier().await.ok()?;
        let caught_up = self.views.wait_for(|view| view.state.applied() >= index).await;
        let view = caught_up.ok()?.clone();
        let Some(node) = view.state.node(self.node) else { return Some(Vec::new()) };
        if SupervisorId::from_bytes(&link.hello.supervisor_id) == Some(node.supervisor) {
            return Some(Vec::new());
        }
        let attempt = |at: &machine::node::Assigned| {
            let run = view.state.run(at.run)?;
            let live = run.tasks[at.task as usize].live.get(&at.ordinal)?;
            Some(run.attempt(at.run, at.task, at.ordinal, live.number))
        };
        let wanted: BTreeSet<Attempt> = node.assigned.values().filter_map(attempt).collect();
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
