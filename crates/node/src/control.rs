//! The task that performs what the control reactor wants.
//!
//! It owns the reactor. Requests, the worker's messages and the journal's deliveries come in;
//! proposals, answers, and what to publish go out. It ends with the journal, never before.

use std::collections::HashMap;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use journal::{Delivered, Follow, Journal, LeaderId, Leadership, ProposeError, SnapshotReader};
use machine::{Answer, snapshot};
use model::NodeId;
use proto::record::command::Kind;
use proto::session::{ToControl, ToWorker, to_worker};
use reactor::control::{Config, Control, Effect, Event, RequestId, SessionId, Unavailable};
use reactor::placement::{Planner, Room};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::beside::in_place;
use crate::clock::Clock;
use crate::cluster::health::Seen;
use crate::copies::{Lists, hand_out};
use crate::metrics::{Metrics, Placement};
use crate::publish::Publish;
use crate::traces::{self, Flights, Traces};

/// What comes to the control part from this process.
pub(crate) enum Input {
    /// Somebody wants a command committed; a submit comes with what its trace tells of it.
    Request {
        command: Kind,
        reply: oneshot::Sender<Result<Answer, Unavailable>>,
        submit: Option<Box<traces::Submitted>>,
    },
    /// A worker part opened a session; what is said to it goes to `messages`.
    SessionOpened { session: SessionId, messages: mpsc::UnboundedSender<ToWorker> },
    /// The worker part said something.
    Message { session: SessionId, message: ToControl },
    /// The session is over.
    SessionClosed(SessionId),
    /// The node whose own voter is the only one, if there is one.
    Alone(Option<NodeId>),
    /// Nothing more is to be placed.
    Close,
    /// Nothing more is to be placed for now, or it may be again.
    Hold(bool),
    /// A proposal failed.
    ProposeFailed { number: u64, retry: bool },
    /// A plan is made.
    Planned(reactor::placement::Plan),
    /// A majority was asked whether this node leads.
    Confirmed { number: u64, is_leader: bool },
}

/// How long to wait before a proposal is tried once more, in milliseconds.
const RETRY_MS: u64 = 5;

/// How often the oldest heartbeat is told to the metrics.
const OLDEST_EVERY: Duration = Duration::from_millis(500);
/// A timer that is not set.
const IDLE: Duration = Duration::from_secs(3600);

/// Bytes of a snapshot that are read at once.
const PIECE_BYTES: usize = 256 << 10;

/// The control part's task.
pub(crate) struct Task<J> {
    control: Control,
    journal: Arc<J>,
    /// For the items of elements that are assigned.
    lists: Arc<Lists>,
    follow: Follow,
    leadership: watch::Receiver<Leadership>,
    /// Whether this node's clock may be the cluster's.
    health: watch::Receiver<Seen>,
    /// It leads, and its clock is looked at.
    comes_to_lead: Option<LeaderId>,
    inputs: mpsc::Receiver<Input>,
    /// For what comes back of the task's own doing.
    own: mpsc::Sender<Input>,
    publish: mpsc::Sender<Publish>,
    planner: mpsc::Sender<Plan>,
    replies: HashMap<RequestId, oneshot::Sender<Result<Answer, Unavailable>>>,
    last_request: RequestId,
    sessions: HashMap<SessionId, mpsc::UnboundedSender<ToWorker>>,
    metrics: Arc<Metrics>,
    flights: Flights,
    clock: Clock,
    /// When the reactor wants to be woken.
    timer: Option<Instant>,
    /// When the oldest heartbeat was looked for: all nodes are looked at for it.
    oldest_at: Instant,
}

/// What the control part's task hears by and speaks through.
pub(crate) struct Channels {
    pub(crate) inputs: mpsc::Receiver<Input>,
    /// For what comes back of the task's own doing.
    pub(crate) own: mpsc::Sender<Input>,
    pub(crate) publish: mpsc::Sender<Publish>,
    pub(crate) planner: mpsc::Sender<Plan>,
    pub(crate) health: watch::Receiver<Seen>,
}

/// A plan to be made.
pub(crate) struct Plan {
    state: machine::State,
    room: Room,
}

impl<J: Journal> Task<J> {
    pub(crate) fn new(
        config: Config,
        journal: Arc<J>,
        follow: Follow,
        lists: Arc<Lists>,
        channels: Channels,
        metrics: Arc<Metrics>,
        traces: Option<Arc<Traces>>,
    ) -> Task<J> {
        let Channels { inputs, own, publish, planner, health } = channels;
        Task {
            control: Control::new(config),
            follow,
            leadership: journal.leadership(),
            journal,
            health,
            comes_to_lead: None,
            lists,
            inputs,
            own,
            publish,
            planner,
            replies: HashMap::new(),
            last_request: 0,
            sessions: HashMap::new(),
            metrics,
            flights: Flights::new(traces),
            clock: Clock::default(),
            timer: None,
            oldest_at: Instant::now(),
        }
    }

    /// The same by another clock.
    pub(crate) fn by(self, clock: Clock) -> Task<J> {
        Task { clock, ..self }
    }

    /// Runs until the journal ends; returns why.
    pub(crate) async fn run(mut self) -> String {
        self.leadership.mark_changed();
        loop {
            let wake = self.timer.unwrap_or_else(|| Instant::now() + IDLE);
            let event = tokio::select! {
                delivery = self.follow.next() => match delivery {
                    Some(Delivered::Entry(delivery)) => Event::Delivered {
                        index: delivery.index,
                        leader: pair(delivery.leader),
                        record: delivery.record,
                    },
                    Some(Delivered::Snapshot { index, leader, reader }) => {
                        match self.restore(index, leader, reader) {
                            Ok(restored) => restored,
                            Err(reason) => return reason,
                        }
                    }
                    None => return self.last_words(),
                },
                changed = self.leadership.changed() => {
                    if changed.is_err() {
                        return self.last_words();
                    }
                    match &*self.leadership.borrow_and_update() {
                        Leadership::Dead(reason) => return reason.to_string(),
                        Leadership::Leader(leader) => self.comes_to_lead = Some(*leader),
                        Leadership::Candidate | Leadership::Follower { .. } => {
                            self.comes_to_lead = None;
                        }
                    }
                    self.leads()
                }
                changed = self.health.changed(), if self.comes_to_lead.is_some() => {
                    if changed.is_err() {
                        return self.last_words();
                    }
                    self.leads()
                }
                input = self.inputs.recv() => match input {
                    Some(input) => match self.event(input) {
                        Some(event) => event,
                        None => continue,
                    },
                    None => return "the node stops".to_owned(),
                },
                () = tokio::time::sleep_until(wake), if self.timer.is_some() => {
                    self.timer = None;
                    Event::Timer
                }
            };
            self.flights.delivered(&event);
            if let Event::Restored { index, .. } = &event
                && self.publish.send(Publish::Restored(*index)).await.is_err()
            {
                return publisher_gone();
            }
            let looks =
                matches!(event, Event::Timer | Event::Confirmed { .. } | Event::Leadership(_));
            let effects = self.control.handle(self.clock.now(), event);
            if looks && self.oldest_at.elapsed() >= OLDEST_EVERY {
                self.oldest_at = Instant::now();
                let oldest_ms = self.control.oldest_heartbeat_ms().unwrap_or_default();
                self.metrics.leases.oldest_ms.store(oldest_ms, Ordering::Relaxed);
            }
            for effect in effects {
                if let Err(reason) = self.perform(effect).await {
                    return reason;
                }
            }
        }
    }

    /// Who leads as the reactor is to take it: this node only with a clock that is right.
    fn leads(&mut self) -> Event {
        let may_stamp = self.health.borrow_and_update().may_stamp() == Some(true);
        let leader = self.comes_to_lead.take_if(|_| may_stamp);
        Event::Leadership(leader.map(pair))
    }

    /// Reads a snapshot, which stands for all that came before.
    fn restore(
        &self,
        index: u64,
        leader: LeaderId,
        mut reader: SnapshotReader,
    ) -> Result<Event, String> {
        let unreadable = |why: String| {
            format!(
                "the snapshot of entry {index} cannot be read: {why}\nhint: move that file out of the journal's directory; the snapshot before it is used then, if it is still there"
            )
        };
        let state = in_place(|| {
            let mut state = snapshot::Reader::new();
            let mut piece = vec![0; PIECE_BYTES];
            loop {
                match reader.read(&mut piece).map_err(|error| unreadable(error.to_string()))? {
                    0 => return state.finish().map_err(|error| unreadable(error.to_string())),
                    count => state
                        .push(&piece[..count])
                        .map_err(|error| unreadable(error.to_string()))?,
                }
            }
        })?;
        Ok(Event::Restored { index, leader: pair(leader), state })
    }

    fn last_words(&self) -> String {
        match &*self.leadership.borrow() {
            Leadership::Dead(reason) => reason.to_string(),
            _ => "the journal has ended".to_owned(),
        }
    }

    fn event(&mut self, input: Input) -> Option<Event> {
        Some(match input {
            Input::Request { command, reply, submit } => {
                self.last_request += 1;
                self.flights.asked(self.last_request, submit);
                self.replies.insert(self.last_request, reply);
                Event::Request { id: self.last_request, command }
            }
            Input::SessionOpened { session, messages } => {
                let messages = hand_out(self.lists.clone(), messages);
                self.sessions.insert(session, messages);
                return None;
            }
            Input::Message { session, message } => Event::Message { session, message },
            Input::SessionClosed(session) => {
                self.sessions.remove(&session);
                Event::SessionClosed(session)
            }
            Input::Alone(alone) => Event::Alone(alone),
            Input::Close => Event::Close,
            Input::Hold(hold) => Event::Hold(hold),
            Input::ProposeFailed { number, retry } => Event::ProposeFailed { number, retry },
            Input::Planned(plan) => Event::Planned(plan),
            Input::Confirmed { number, is_leader } => Event::Confirmed { number, is_leader },
        })
    }

    async fn perform(&mut self, effect: Effect) -> Result<(), String> {
        match effect {
            Effect::Propose { number, leader, record, commands } => {
                self.flights.proposed(&record, commands);
                self.propose(number, leader, record, commands);
            }
            Effect::Answer { id, answer } => {
                self.flights.answered(id, &answer);
                if let Some(reply) = self.replies.remove(&id) {
                    let _ = reply.send(answer); // Whoever asked may have gone.
                }
            }
            Effect::Send { session, message } => {
                if let Some(to_worker::Kind::LeaseAck(_)) = message.kind {
                    self.metrics.leases.acknowledged.inc();
                }
                if let Some(messages) = self.sessions.get(&session) {
                    let _ = messages.send(message); // The worker part ends with the node.
                }
            }
            Effect::Happened { events, state, .. } => {
                let commit = self.flights.commit();
                let happened = Publish::Happened { events, state, commit };
                self.publish.send(happened).await.map_err(|_| publisher_gone())?;
            }
            Effect::Connections(connections) => {
                let connections = Publish::Connections(connections);
                self.publish.send(connections).await.map_err(|_| publisher_gone())?;
            }
            Effect::Plan { state, room } => {
                let _ = self.planner.send(Plan { state, room }).await; // One is asked for at a time.
            }
            Effect::Confirm { number } => self.confirm(number),
            Effect::Timer(at_ms) => self.timer = Some(self.clock.at(at_ms)),
            Effect::Stop(error) => return Err(error.to_string()),
        }
        Ok(())
    }

    /// Lets a majority say whether this node leads still.
    fn confirm(&self, number: u64) {
        let (journal, own) = (self.journal.clone(), self.own.clone());
        let metrics = self.metrics.clone();
        metrics.leases.confirmations.inc();
        tokio::spawn(async move {
            let is_leader = journal.barrier().await.is_ok();
            if !is_leader {
                metrics.leases.confirmation_failures.inc();
            }
            let _ = own.send(Input::Confirmed { number, is_leader }).await;
        });
    }

    fn propose(&self, number: u64, leader: (u64, u64), record: bytes::Bytes, commands: usize) {
        let journal = self.journal.clone();
        let own = self.own.clone();
        let metrics = self.metrics.clone();
        let bytes = record.len() as u64;
        let leader = LeaderId { term: leader.0, node: leader.1 };
        tokio::spawn(async move {
            let begun = Instant::now();
            let retry = match journal.propose(leader, record).await {
                Ok(_) => {
                    let journal = &metrics.journal;
                    journal.batch_bytes.count(bytes);
                    journal.batch_commands.count(commands as u64);
                    return journal.commit.took(begun.elapsed());
                }
                Err(ProposeError::Retry) => true,
                Err(error) => {
                    metrics.journal.commit_failures.inc();
                    tracing::warn!(%error, "a batch was not committed");
                    false
                }
            };
            if retry {
                tokio::time::sleep(Duration::from_millis(RETRY_MS)).await;
            }
            let _ = own.send(Input::ProposeFailed { number, retry }).await;
        });
    }
}

fn publisher_gone() -> String {
    "history cannot be written".to_owned()
}

fn pair(leader: LeaderId) -> (u64, u64) {
    (leader.term, leader.node)
}

/// Makes plans. It has a thread of its own, so that a slow one delays nothing else.
pub(crate) async fn planner(
    mut plans: mpsc::Receiver<Plan>,
    done: mpsc::Sender<Input>,
    metrics: &Placement,
    traces: Option<&Traces>,
) {
    let mut planner = Planner::default();
    while let Some(Plan { state, room }) = plans.recv().await {
        let begun = Instant::now();
        let begun_us = traces.map_or(0, |_| traces::now_us());
        let plan = planner.plan(&state, &room);
        metrics.plan.took(begun.elapsed());
        let picks = plan.places.iter().flat_map(|place| &place.picks);
        let ranges = picks.flat_map(|pick| proto::element_ranges(&pick.ordinals));
        metrics.planned.count(ranges.map(|range| u64::from(range.end() - range.start()) + 1).sum());
        traces::planned(traces, begun_us, plan.places.iter());
        drop(state);
        if done.send(Input::Planned(plan)).await.is_err() {
            return;
        }
    }
}
