//! Starting a node, in the order its parts need each other, and ending it.
//!
//! A control node has the journal, the state and history; a node that only works has neither, and
//! asks control nodes. What runs tasks is the same on both.

mod control;
mod parts;
pub mod simulated;
mod worker;
mod works;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use journal::raft::Raft;
use model::Resources;
use peer::Authority;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::cluster::door;
use crate::cluster::own::Own;
use crate::control::Input;
use crate::data_dir::DataDir;
use crate::error::StartError;
use crate::handle::Handle;
use crate::info::{Config, Info, Stopped};
use crate::memory;
use crate::recovery;
use crate::stopping::stop;
use crate::traces;
pub use worker::WorkerHandle;

/// How long a start waits for the supervisor; a slow one is waited for in the background.
const SUPERVISOR_WITHIN: Duration = Duration::from_secs(10);

/// What a node says that was removed, and hears of it.
const REMOVED: &str = "this node was removed from the cluster\nhint: to bring its machine back, remove the data directory and `windlass join` with a new token";

/// A node that serves. End it with [`Node::close`].
pub struct Node {
    part: Made,
    supervisor_pid: watch::Receiver<u32>,
    /// Held until the last file is closed.
    _data_dir: DataDir,
}

enum Made {
    Control(Box<control::Control>),
    Worker(Box<worker::Worker>),
}

/// Asks a node, as far as it can be asked.
#[derive(Clone)]
pub enum Part {
    /// A control node, which can be asked anything.
    Control(Handle),
    /// A node that only works.
    Worker(WorkerHandle),
}

/// Starts a node. It answers once it knows a leader and has applied everything committed, and its
/// worker part is registered (or takes long).
pub async fn start(mut config: Config) -> Result<Node, StartError> {
    memory::keep_small();
    let data_dir = DataDir::open(&config.data_dir)?;
    recovery::check_finished(&data_dir.path)?;
    // A joining node says where it is reached, and others know where it was.
    let joins = config.place.join.is_some();
    let among = joins || data_dir.identity()?.is_some_and(|identity| identity.joined);
    let socket = match among && listens(&data_dir, &config) || config.place.peer_named {
        true => Some(door::bind_early(&data_dir.path, &mut config.place)?),
        false => None,
    };
    let own = Arc::new(Own::open(&data_dir, &config.name, &config.place).await?);
    recovery::join_again(&data_dir.path, own.incarnation()).await?;
    let (part, supervisor_pid) = match own.roles.control {
        true => {
            let (part, pid) = control::start(config, &data_dir, own, socket).await?;
            (Made::Control(Box::new(part)), pid)
        }
        false => {
            drop(socket);
            let (part, pid) = worker::start(config, &data_dir, own).await?;
            (Made::Worker(Box::new(part)), pid)
        }
    };
    Ok(Node { part, supervisor_pid, _data_dir: data_dir })
}

/// A node that only works is called by nobody.
fn listens(data_dir: &DataDir, config: &Config) -> bool {
    config.place.asked_roles().map_or_else(|| control_before(&data_dir.path), |roles| roles.control)
}

fn control_before(data_dir: &Path) -> bool {
    data_dir.join("journal").exists()
}

impl Node {
    /// Asks the node.
    pub fn part(&self) -> Part {
        match &self.part {
            Made::Control(control) => Part::Control(control.handle.clone()),
            Made::Worker(worker) => Part::Worker(worker.handle.clone()),
        }
    }

    /// What does not change while the node serves.
    pub fn info(&self) -> &Info {
        match &self.part {
            Made::Control(control) => control.handle.info(),
            Made::Worker(worker) => worker.handle.info(),
        }
    }

    /// Where its listener for peers is reached; empty while there is none.
    pub fn peer_address(&self) -> String {
        match &self.part {
            Made::Control(control) => control.handle.peer_address(),
            Made::Worker(_) => String::new(),
        }
    }

    /// The cluster's authority, to certify the listener for people and programs with; nodes that
    /// only work do not have it.
    pub fn authority(&self) -> Option<Arc<Authority>> {
        match &self.part {
            Made::Control(control) => control.handle.authority(),
            Made::Worker(_) => None,
        }
    }

    /// Attempts that run on this node.
    pub fn running(&self) -> u64 {
        match &self.part {
            Made::Control(control) => control.handle.running(),
            Made::Worker(worker) => worker.handle.running(),
        }
    }

    /// Answers when the node has stopped.
    pub async fn stopped(&self) -> Stopped {
        match &self.part {
            Made::Control(control) => control.handle.stopped().await,
            Made::Worker(worker) => worker.handle.stopped().await,
        }
    }

    /// What is told for traces, where somebody wants it: given out once.
    pub fn take_traces(&mut self) -> Option<mpsc::Receiver<traces::Record>> {
        match &mut self.part {
            Made::Control(control) => control.traced.take(),
            Made::Worker(_) => None,
        }
    }

    /// The supervisor's process; 0 while there is none.
    pub fn supervisor_pid(&self) -> u32 {
        *self.supervisor_pid.borrow()
    }

    /// Ends the node and leaves its tasks to the supervisor.
    pub async fn close(self) {
        match self.part {
            Made::Control(control) => control.close().await,
            Made::Worker(worker) => worker.close(),
        }
    }
}

/// Going down, nothing more is placed. The control part hears it first: it would place again what
/// the worker part has stopped. Where others vote, one of them leads from now on.
fn spawn_closer(
    mut down: watch::Receiver<bool>,
    control: Option<(mpsc::Sender<Input>, Arc<Raft>)>,
    closed: watch::Sender<bool>,
) {
    tokio::spawn(async move {
        if down.wait_for(|down| *down).await.is_err() {
            return;
        }
        if let Some((inputs, _)) = &control {
            let _ = inputs.send(Input::Close).await;
        }
        closed.send_replace(true);
        if let Some((_, journal)) = control {
            let voters = journal.membership().borrow().voters().count();
            if voters > 1 {
                journal.resign().await;
            }
        }
    });
}

/// A node that the others say was removed stops: nobody takes it for one of theirs any more.
fn spawn_ousted(own: &Arc<Own>, stopped: watch::Sender<Option<Stopped>>) -> JoinHandle<()> {
    let own = own.clone();
    tokio::spawn(async move {
        let mut ended = stopped.subscribe();
        tokio::select! {
            () = own.credentials.removed() => stop(&stopped, Stopped::Failed(REMOVED.to_owned())),
            _ = ended.wait_for(|why| why.is_some()) => {}
        }
    })
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
