//! Starting a node, in the order its parts need each other, and ending it.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use history::{History, Settings};
use journal::{Journal, Leadership, Syncs, raft, raft::Raft};
use model::Resources;
use reactor::worker::Worker;
use runner::output::Store;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::control::{self, Input};
use crate::data_dir::DataDir;
use crate::error::StartError;
use crate::events::Ring;
use crate::handle::Handle;
use crate::info::{Config, Info, Stopped};
use crate::keeper::{self, Keeper};
use crate::live::LiveOutput;
use crate::memory;
use crate::metrics::{Metrics, Now};
use crate::noop;
use crate::publish::{Publish, Publisher};
use crate::secrets::Secrets;
use crate::shared::Shared;
use crate::supervisor::Reach;
use crate::traces::{self, Traces};
use crate::upkeep::{self, Disk};
use crate::view::View;
use crate::watchers::Watchers;
use crate::worker;

/// A node that serves. End it with [`Node::close`].
pub struct Node {
    handle: Handle,
    supervisor_pid: watch::Receiver<u32>,
    traced: Option<mpsc::Receiver<traces::Record>>,
    publisher: std::thread::JoinHandle<()>,
    /// Held until the last file is closed.
    _data_dir: DataDir,
}

/// How long a start waits for the supervisor; a slow one is waited for in the background.
const SUPERVISOR_WITHIN: Duration = Duration::from_secs(10);
/// The control part follows closely: what is older is read again only at a start.
const JOURNAL_CACHE_BYTES: usize = 1 << 20;
const INPUTS_MAX: usize = 4096;
/// Requests that read history at once.
const READERS_MAX: usize = 8;
const PUBLISH_MAX: usize = 1024;

/// Starts a node. It answers once it leads, everything committed is applied, and its worker part
/// is registered (or takes long).
pub async fn start(config: Config) -> Result<Node, StartError> {
    memory::keep_small();
    let data_dir = DataDir::open(&config.data_dir)?;
    let identity = data_dir.identity()?;
    let capacity = capacity(config.capacity);
    let metrics = Arc::new(Metrics::new());
    let journal = open_journal(&data_dir, identity.journal_node(), &metrics).await?;
    let settings = Settings {
        retention: config.keeping.retention,
        namespaces: config.keeping.namespaces.clone(),
        disk_bytes_max: config.keeping.history_bytes,
    };
    let history = History::open(&data_dir.path.join("history"), settings)?;
    let history = Arc::new(history);
    let (traces, traced) = match config.traced {
        Some(sample) => {
            let (traces, inbox) = Traces::new(sample, metrics.traces.dropped.clone());
            (Some(Arc::new(traces)), Some(inbox))
        }
        None => (None, None),
    };
    let (keeper, keeping) = Keeper::new(history.clone(), metrics.clone());
    let output = Arc::new(Store::open(data_dir.path.join("output")));

    let blobs = open_blobs(&data_dir)?;
    let secrets = Arc::new(Secrets::open(&data_dir.path)?);

    let (views_tx, mut views) = watch::channel(Arc::new(View::default()));
    let (inputs, inbox) = mpsc::channel(INPUTS_MAX);
    let (publish, publish_inbox) = mpsc::channel(PUBLISH_MAX);
    let (plans, plans_inbox) = mpsc::channel(1);
    let (stopped_tx, stopped) = watch::channel(None);
    let (down, down_rx) = watch::channel(false);
    let (closed, closed_rx) = watch::channel(false);
    let (pid_tx, supervisor_pid) = watch::channel(0);
    let watchers = Arc::new(Watchers::default());
    let live = Arc::new(LiveOutput::default());
    let events = Arc::new(Ring::default());
    let running = Arc::new(AtomicU64::new(0));
    let heard = Arc::new(AtomicU64::new(0));

    let publisher = Publisher {
        history: history.clone(),
        keeper: keeper.clone(),
        views: views_tx,
        watchers: watchers.clone(),
        live: live.clone(),
        events: events.clone(),
        metrics: metrics.clone(),
        traces: traces.clone(),
    };
    let publisher = spawn_publisher(publisher, keeping, publish_inbox, stopped_tx.clone())?;
    let done = inputs.clone();
    let failed = stopped_tx.clone();
    let measured = metrics.clone();
    let told = traces.clone();
    thread("planner", move || {
        let plan = std::panic::AssertUnwindSafe(|| {
            control::planner(plans_inbox, done, &measured.placement, told.as_deref())
        });
        if std::panic::catch_unwind(plan).is_err() {
            stop(&failed, Stopped::Failed("placement failed".to_owned()));
        }
    })?;
    let reactor_config = reactor::control::Config {
        found: Some(identity.cluster()),
        lease_ms: model::LEASE_MS_DEFAULT,
        // The only voter there is.
        alone: Some(identity.node()),
    };
    // What history has not, or has lost, is told again by the entries, as far back as they reach.
    let follow = match history.mark() >= journal.newest_snapshot() {
        true => journal.follow_newest(),
        false => journal.follow(0),
    };
    let channels =
        control::Channels { inputs: inbox, own: inputs.clone(), publish, planner: plans };
    let control = control::Task::new(
        reactor_config,
        journal.clone(),
        follow,
        blobs.clone(),
        channels,
        metrics.clone(),
        traces.clone(),
    );
    spawn_control(control, stopped_tx.clone());
    let cluster = caught_up(&journal, &mut views, &mut stopped.clone()).await?;

    metrics.work.begin();
    let info = Info {
        node: identity.node(),
        name: config.name.clone(),
        cluster: cluster.id,
        incarnation: cluster.incarnation,
        version: config.version.clone(),
        level: machine::LEVEL,
        data_dir: data_dir.path.clone(),
        capacity,
    };
    let life = data_dir.next_life()?;
    let worker_config = reactor::worker::Config {
        life,
        node: info.node,
        name: config.name,
        capacity,
        labels: config.labels,
        version: config.version,
    };
    noop::start(config.noop, info.node, &info.version, life, &inputs);
    let reach = Reach {
        exe: config.exe,
        data_dir: data_dir.path.clone(),
        node: info.node,
        capacity,
        child: None,
        launches: 0,
    };
    let worker = worker::Task {
        worker: Worker::new(worker_config),
        secrets: secrets.clone(),
        node: info.node,
        reach,
        control: inputs.clone(),
        journal: journal.clone(),
        views: views.clone(),
        output: output.clone(),
        live: live.clone(),
        running: running.clone(),
        heard: heard.clone(),
        supervisor_pid: pid_tx,
        down: closed_rx,
        clock: Clock,
    };
    spawn_worker(worker, stopped_tx.clone());
    spawn_closer(down_rx, inputs.clone(), closed);
    let disk = Arc::new(Disk::new(data_dir.path.clone()));
    let upkeep = upkeep::Task {
        keeping: config.keeping,
        node: info.node,
        disk: disk.clone(),
        journal: journal.clone(),
        output: output.clone(),
        views: views.clone(),
        history: history.clone(),
        control: inputs.clone(),
        metrics: metrics.clone(),
    };
    let failed = stopped_tx;
    tokio::spawn(async move {
        if let Err(error) = tokio::spawn(upkeep.run()).await {
            stop(&failed, Stopped::Failed(format!("the upkeep failed: {error}")));
        }
    });
    // A supervisor that takes long is not a failed start: it may still have to prove that the
    // processes of a former one are gone. That there can be none is.
    let mut ended = stopped.clone();
    tokio::select! {
        _ = views.wait_for(|view| view.is_ready(info.node)) => {}
        () = tokio::time::sleep(SUPERVISOR_WITHIN) => {}
        why = ended.wait_for(|why| why.is_some()) => {
            if let Ok(Some(Stopped::Failed(reason))) = why.as_deref() {
                return Err(StartError::Ended(reason.clone()));
            }
        }
    }

    metrics.look_up(Now {
        version: info.version.clone(),
        node: info.node,
        views: views.clone(),
        running: running.clone(),
        heard,
        oldest_heartbeat_ms: metrics.leases.oldest_ms.clone(),
        journal: journal.clone(),
        history: history.clone(),
        behind: keeper.behind(),
        supervisor_pid: supervisor_pid.clone(),
    });
    let shared = Shared {
        info,
        journal,
        requests: inputs,
        views,
        history,
        blobs,
        keeper,
        output,
        disk,
        readers: Semaphore::new(READERS_MAX),
        live,
        watchers,
        metrics,
        events,
        token_uses: Default::default(),
        traces,
        secrets,
        running,
        down,
        stopped,
    };
    let handle = Handle { shared: Arc::new(shared), from: None, span: None };
    Ok(Node { handle, supervisor_pid, traced, publisher, _data_dir: data_dir })
}

impl Node {
    /// Asks the node.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// What is told for traces, where somebody wants it: given out once.
    pub fn take_traces(&mut self) -> Option<mpsc::Receiver<traces::Record>> {
        self.traced.take()
    }

    /// The supervisor's process; 0 while there is none.
    pub fn supervisor_pid(&self) -> u32 {
        *self.supervisor_pid.borrow()
    }

    /// Ends the node and leaves its tasks to the supervisor.
    pub async fn close(self) {
        self.handle.shared.journal.shutdown().await;
        let publisher = self.publisher;
        // It ends with the control part, which ends with the journal.
        let _ = tokio::task::spawn_blocking(move || publisher.join()).await;
    }
}

fn open_blobs(data_dir: &DataDir) -> Result<Arc<Blobs>, StartError> {
    let path = data_dir.path.join("blobs");
    let what = "cannot use it for lists of items";
    let blobs = Blobs::open(&path).map_err(|source| StartError::DataDir { path, what, source })?;
    Ok(Arc::new(blobs))
}

async fn open_journal(
    data_dir: &DataDir,
    node: u64,
    metrics: &Metrics,
) -> Result<Arc<Raft>, StartError> {
    let dir = data_dir.path.join("journal");
    let sync = metrics.journal.sync.clone();
    let syncs = Syncs::new(move |took| sync.took(took));
    let cache_bytes = JOURNAL_CACHE_BYTES;
    let config = raft::Config { dir, node, cache_bytes, syncs, ..raft::Config::default() };
    Ok(Arc::new(Raft::open(config).await?))
}

/// Waits until this node leads and has applied all that is committed.
async fn caught_up(
    journal: &Raft,
    views: &mut watch::Receiver<Arc<View>>,
    stopped: &mut watch::Receiver<Option<Stopped>>,
) -> Result<machine::Cluster, StartError> {
    let mut leadership = journal.leadership();
    let dead = |reason: String| StartError::JournalDied(reason);
    let leads = |now: &Leadership| matches!(now, Leadership::Leader(_) | Leadership::Dead(_));
    let now = leadership.wait_for(leads).await.map_err(|error| dead(error.to_string()))?.clone();
    if let Leadership::Dead(reason) = now {
        return Err(dead(reason.to_string()));
    }
    let index = journal.barrier().await.map_err(|error| dead(error.to_string()))?;
    let ready = |view: &Arc<View>| view.state.applied() >= index && view.state.cluster().is_some();
    tokio::select! {
        view = views.wait_for(ready) => {
            let view = view.map_err(|error| dead(error.to_string()))?;
            view.state.cluster().ok_or_else(|| dead("no cluster was founded".to_owned()))
        }
        stopped = stopped.wait_for(|stopped| stopped.is_some()) => {
            let why = match stopped.as_deref() {
                Ok(Some(Stopped::Failed(reason))) => reason.clone(),
                _ => "the node stops".to_owned(),
            };
            Err(dead(why))
        }
    }
}

/// The publisher, and the keeper, which it ends once it has ended itself.
fn spawn_publisher(
    publisher: Publisher,
    keeping: keeper::Work,
    inbox: mpsc::Receiver<Publish>,
    stopped: watch::Sender<Option<Stopped>>,
) -> Result<std::thread::JoinHandle<()>, StartError> {
    let failed = stopped.clone();
    let keeper = thread("history", move || {
        if let Err(error) = keeping.run() {
            stop(&failed, history_failed(&error));
        }
    })?;
    thread("publisher", move || {
        let mut inbox = inbox;
        // Neither is dropped before the reason is told: the control part notices and tells less.
        if let Err(error) = publisher.run(&mut inbox) {
            stop(&stopped, history_failed(&error));
        }
        publisher.keeper.stop();
        // It has told its reason, unless it had none.
        if keeper.join().is_err() {
            stop(&stopped, Stopped::Failed("the keeper of history failed".to_owned()));
        }
    })
}

fn history_failed(error: &history::Error) -> Stopped {
    let source = std::error::Error::source(error).map(|s| format!(": {s}"));
    let hint = match error.is_disk_full() {
        true => "\nhint: free some space on the disk of the data directory, then `windlass up`",
        false => "",
    };
    Stopped::Failed(format!("{error}{}{hint}", source.unwrap_or_default()))
}

fn spawn_control(control: control::Task<Raft>, stopped: watch::Sender<Option<Stopped>>) {
    tokio::spawn(async move {
        let reason = match tokio::spawn(control.run()).await {
            Ok(reason) => reason,
            Err(error) => format!("the control part failed: {error}"),
        };
        stop(&stopped, Stopped::Failed(reason));
    });
}

fn spawn_worker(worker: worker::Task, stopped: watch::Sender<Option<Stopped>>) {
    let down = worker.down.clone();
    tokio::spawn(async move {
        let end = match tokio::spawn(worker.run()).await {
            Ok(Ok(())) if *down.borrow() => Stopped::Down,
            Ok(Ok(())) => return, // The control part ended first and says why.
            Ok(Err(reason)) => Stopped::Failed(reason),
            Err(error) => Stopped::Failed(format!("the worker part failed: {error}")),
        };
        stop(&stopped, end);
    });
}

/// Going down, nothing more is placed. The control part hears it first: it would place again what
/// the worker part has stopped.
fn spawn_closer(
    mut down: watch::Receiver<bool>,
    control: mpsc::Sender<Input>,
    closed: watch::Sender<bool>,
) {
    tokio::spawn(async move {
        if down.wait_for(|down| *down).await.is_ok() {
            let _ = control.send(Input::Close).await;
            closed.send_replace(true);
        }
    });
}

/// The first reason stays.
fn stop(stopped: &watch::Sender<Option<Stopped>>, why: Stopped) {
    stopped.send_if_modified(|current| {
        let first = current.is_none();
        if first {
            *current = Some(why);
        }
        first
    });
}

fn thread<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<std::thread::JoinHandle<T>, StartError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map_err(StartError::Thread)
}

/// What the machine has, where nothing else is said.
fn capacity(wanted: Resources) -> Resources {
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get()) as u64;
    let memory = rustix::system::sysinfo();
    Resources {
        cpu_milli: match wanted.cpu_milli {
            0 => cpus * 1000,
            milli => milli,
        },
        memory_bytes: match wanted.memory_bytes {
            0 => memory.totalram as u64 * u64::from(memory.mem_unit.max(1)),
            bytes => bytes,
        },
    }
}
