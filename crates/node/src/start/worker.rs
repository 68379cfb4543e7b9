//! A node that only works: it has no journal and no state, and nothing can connect to it.
//!
//! It opens a session with any control node, and asks control nodes whatever it has to know.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use model::Because;
use peer::renew;
use proto::peer::{Contacts as Asked, ask, told};
use proto::record;
use reactor::worker::Worker as WorkerReactor;
use runner::output::{Limits, Store};
use tokio::sync::{mpsc, watch};
use tonic::body::Body;

use super::{SUPERVISOR_WITHIN, capacity, spawn_closer, spawn_ousted};
use crate::clock::Clock;
use crate::cluster::contacts::Contacts;
use crate::cluster::own::Own;
use crate::cluster::ways::{ask_at, ask_placed};
use crate::data_dir::DataDir;
use crate::error::{Refused, StartError};
use crate::info::{Config, Info, Stopped};
use crate::live::LiveOutput;
use crate::output::Local;
use crate::people::HandOn;
use crate::recovery;
use crate::session::{Doors, Line};
use crate::supervisor::Reach;
use crate::tokens::check_texts;
use crate::upkeep;
use crate::worker;

/// Words of control parts that wait for the worker part.
const WORDS_MAX: usize = 1024;
/// How often it asks where the control nodes are.
const CONTACTS_EVERY: Duration = Duration::from_secs(30);
/// How often old output is looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(10);
/// Calls that remove output, of 64 files each, in one go.
const SWEEPS_MAX: usize = 16;

/// What a node that only works is made of.
pub(super) struct Worker {
    pub(super) handle: WorkerHandle,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Worker {
    pub(super) fn close(self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

/// Asks a node that only works; cheap to clone.
#[derive(Clone)]
pub struct WorkerHandle {
    info: Arc<Info>,
    running: Arc<AtomicU64>,
    welcome: watch::Receiver<bool>,
    down: watch::Sender<bool>,
    stopped: watch::Receiver<Option<Stopped>>,
    hand_on: Arc<HandOn>,
}

impl WorkerHandle {
    /// What does not change while the node serves.
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// Attempts that run on this node.
    pub fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// Whether the node is registered with a leader.
    pub fn is_welcome(&self) -> bool {
        *self.welcome.borrow()
    }

    /// Takes the node down: its tasks are stopped, then it ends.
    pub fn down(&self, because: &Because) -> Result<(), Refused> {
        check_texts(because)?;
        let Because { actor, reason } = because;
        // The cluster's audit is not told: it believes a worker nothing but what concerns its tasks.
        tracing::info!(actor, reason, "the node was told to go down");
        self.down.send_replace(true);
        Ok(())
    }

    /// Has a control node answer a request of somebody here: HTTP, whose token that node looks at.
    pub async fn hand_on(
        &self,
        request: http::Request<Body>,
    ) -> Result<http::Response<Body>, Refused> {
        self.hand_on.answer(request).await
    }

    /// Answers when the node has stopped.
    pub async fn stopped(&self) -> Stopped {
        let mut stopped = self.stopped.clone();
        match stopped.wait_for(|stopped| stopped.is_some()).await {
            Ok(stopped) => stopped.clone().unwrap_or(Stopped::Closed),
            Err(_) => Stopped::Closed,
        }
    }
}

pub(super) async fn start(
    config: Config,
    data_dir: &DataDir,
    own: Arc<Own>,
) -> Result<(Worker, watch::Receiver<u32>), StartError> {
    recovery::enter(&data_dir.path, own.incarnation()).await?;
    let info = Info {
        node: own.node(),
        name: config.name.clone(),
        cluster: own.cluster(),
        incarnation: own.incarnation(),
        version: config.version.clone(),
        level: machine::LEVEL,
        data_dir: data_dir.path.clone(),
        capacity: capacity(config.capacity),
        roles: own.roles,
    };
    let running = Arc::new(AtomicU64::new(0));
    let (down, down_rx) = watch::channel(false);
    let (closed, closed_rx) = watch::channel(false);
    let (pid_tx, supervisor_pid) = watch::channel(0);
    let (welcome_tx, mut welcome) = watch::channel(false);
    let (stopped_tx, stopped) = watch::channel(None);
    let output = Arc::new(Store::open(data_dir.path.join("output")));
    let (out, line) = mpsc::channel(WORDS_MAX);
    let (dialer, contacts) = (own.dialer.clone(), own.contacts.clone());
    let live = Arc::new(LiveOutput::default());
    let local = Some(Local { store: output.clone(), live: live.clone() });
    let (at, session) = watch::channel(None);
    let hand_on = HandOn {
        dialer: dialer.clone(),
        contacts: contacts.clone(),
        session,
        last: Mutex::default(),
    };
    let doors = Doors::Others { dialer: dialer.clone(), contacts: contacts.clone(), local, at };
    let opening = tokio::spawn(Line { node: info.node, doors, out }.run());
    let worker_config = reactor::worker::Config {
        life: data_dir.next_life()?,
        node: info.node,
        name: config.name.clone(),
        capacity: info.capacity,
        labels: config.labels.clone(),
        version: config.version.clone(),
    };
    let reach = Reach {
        exe: config.exe.clone(),
        data_dir: data_dir.path.clone(),
        node: info.node,
        capacity: info.capacity,
        child: None,
        launches: 0,
    };
    let task = worker::Task {
        worker: WorkerReactor::new(worker_config),
        reach,
        line,
        words: None,
        truth: worker::Truth::There { dialer, contacts },
        output: output.clone(),
        live,
        running: running.clone(),
        heard: Arc::new(AtomicU64::new(0)),
        supervisor_pid: pid_tx,
        welcome: welcome_tx,
        down: closed_rx,
        clock: Clock::default(),
        timer: None,
    };
    let ousted = spawn_ousted(&own, stopped_tx.clone());
    worker::spawn(task, stopped_tx);
    spawn_closer(down_rx, None, closed);
    let certify =
        renew::ByPeers { dialer: own.dialer.clone(), credentials: own.credentials.clone() };
    let renewer = renew::Renewer {
        credentials: own.credentials.clone(),
        files: own.files.clone(),
        certify: Arc::new(certify),
    };
    let tasks = vec![
        ousted,
        opening,
        tokio::spawn(renewer.run()),
        tokio::spawn(keep_in_touch(own.clone(), config.name.clone())),
        tokio::spawn(sweep(output, own.clone(), config.keeping.output_bytes)),
    ];
    let handle = WorkerHandle {
        info: Arc::new(info),
        running,
        welcome: welcome.clone(),
        down,
        stopped: stopped.clone(),
        hand_on: Arc::new(hand_on),
    };
    let mut ended = stopped;
    tokio::select! {
        _ = welcome.wait_for(|welcome| *welcome) => {}
        () = tokio::time::sleep(SUPERVISOR_WITHIN) => {}
        why = ended.wait_for(|why| why.is_some()) => {
            if let Ok(Some(Stopped::Failed(reason))) = why.as_deref() {
                return Err(StartError::Ended(reason.clone()));
            }
        }
    }
    Ok((Worker { handle, tasks }, supervisor_pid))
}

/// Says what it is called, and hears where the control nodes are, which may move.
async fn keep_in_touch(own: Arc<Own>, name: String) {
    let member = record::Member {
        node_id: own.node().to_bytes(),
        name,
        control: own.roles.control,
        worker: own.roles.worker,
        ..record::Member::default()
    };
    let set = record::command::Kind::SetMember(record::SetMember { member: Some(member) });
    let mut introduced = false;
    loop {
        for (node, _) in own.contacts.all() {
            if !introduced {
                let command = record::Command { kind: Some(set.clone()) };
                let asked = ask_at(&own.dialer, node, ask::Kind::Command(command)).await;
                introduced = asked.is_ok();
            }
            let told = ask_at(&own.dialer, node, ask::Kind::Contacts(Asked {})).await;
            if let Ok(told::Kind::Contacts(list)) = told {
                note(&own.contacts, list);
                break;
            }
        }
        tokio::time::sleep(CONTACTS_EVERY).await;
    }
}

/// A list without any address is of a control node that knows nothing yet.
fn note(contacts: &Contacts, list: proto::peer::ContactList) {
    let known = list.members.into_iter().filter(|member| !member.address.is_empty());
    let known = known
        .filter_map(|member| Some((model::NodeId::from_bytes(&member.node_id)?, member.address)));
    let known: Vec<_> = known.collect();
    if !known.is_empty() {
        contacts.set(known.into_iter());
    }
}

/// Removes output that is too old or too much, while a control node says what still runs here.
async fn sweep(output: Arc<Store>, own: Arc<Own>, bytes_max: u64) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        // No supervisor has this id, so nothing that is placed here is left out.
        let nobody = vec![0; 16];
        let held = ask_placed(&own.dialer, &own.contacts, nobody).await;
        let Some(held) = held else { continue };
        let limits = Limits { bytes_max, oldest_us: upkeep::oldest_us() };
        let output = output.clone();
        let swept = tokio::task::spawn_blocking(move || {
            for _ in 0..SWEEPS_MAX {
                if !output.sweep(&limits, &|attempt| held.contains(&attempt))?.more {
                    break;
                }
            }
            Ok::<(), std::io::Error>(())
        });
        if let Ok(Err(error)) = swept.await {
            tracing::warn!(%error, "old output could not be removed");
        }
    }
}
