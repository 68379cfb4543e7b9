//! A control node: it holds the journal and the state, and may run tasks too.

use std::net::TcpListener;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use journal::{Journal, Leadership};
use model::NodeId;
use peer::renew;
use proto::peer::{Keys, ask, told};
use proto::record::Command;
use reactor::worker::Worker as WorkerReactor;
use tokio::sync::{Semaphore, mpsc, watch};

use super::parts::{Parts, deciding, open_journal};
use super::{SUPERVISOR_WITHIN, capacity, spawn_closer, spawn_ousted};
use crate::clock::Clock;
use crate::cluster::own::Own;
use crate::cluster::ways::{Way, ask_at};
use crate::data_dir::DataDir;
use crate::error::StartError;
use crate::handle::Handle;
use crate::info::{Config, Info, Stopped};
use crate::metrics::{Metrics, Now};
use crate::noop;
use crate::peers::follow::Follower;
use crate::peers::introduce::Introduction;
use crate::peers::serve::Serve;
use crate::peers::voters::Voters;
use crate::recovery;
use crate::secrets::Secrets;
use crate::session::{Doors, Line};
use crate::shared::Shared;
use crate::stopping::stop;
use crate::supervisor::Reach;
use crate::traces;
use crate::upkeep;
use crate::view::View;
use crate::worker;

/// Requests that read history at once.
const READERS_MAX: usize = 8;
/// Words of the control part that wait for the worker part.
const WORDS_MAX: usize = 1024;
/// How long one of several voters waits for a leader at its start; without one it serves, and says so.
const LEADER_WITHIN: Duration = Duration::from_secs(20);
/// How long a new control node asks for the cluster's keys.
const KEYS_WITHIN: Duration = Duration::from_secs(30);
const KEYS_AGAIN: Duration = Duration::from_millis(300);

/// What a control node is made of.
pub(super) struct Control {
    pub(super) handle: Handle,
    pub(super) traced: Option<mpsc::Receiver<traces::Record>>,
    publisher: std::thread::JoinHandle<()>,
    /// Waits to hear that the node was removed.
    ousted: tokio::task::JoinHandle<()>,
}

impl Control {
    pub(super) async fn close(self) {
        self.ousted.abort();
        let shared = &self.handle.shared;
        shared.set_people(None);
        shared.door.close().await;
        shared.journal.shutdown().await;
        let publisher = self.publisher;
        // It ends with the control part, which ends with the journal.
        let _ = tokio::task::spawn_blocking(move || publisher.join()).await;
    }
}

pub(super) async fn start(
    config: Config,
    data_dir: &DataDir,
    own: Arc<Own>,
    mut socket: Option<TcpListener>,
) -> Result<(Control, watch::Receiver<u32>), StartError> {
    let metrics = Arc::new(Metrics::new());
    fetch_keys(&own, &data_dir.path).await?;
    let journal = open_journal(data_dir, &own, &metrics).await?;
    let clock = Clock::default();
    let (parts, works, traced) =
        deciding(&config, &data_dir.path, own.clone(), journal, metrics, clock)?;
    let publisher = works.on_threads(&parts)?;
    let serve = Arc::new(Serve {
        journal: parts.journal.clone(),
        host: parts.host.clone(),
        copies: parts.copies.clone(),
        handle: OnceLock::new(),
        clock: parts.clock.clone(),
        disk: parts.disk.clone(),
    });
    parts.door.serve(serve.clone());
    let open = async |socket| match socket {
        Some(socket) => {
            let opened = parts.door.open(Some(socket)).await;
            opened.map_err(|source| StartError::Peer { address: config.place.peer, source })
        }
        None => Ok(()),
    };
    // An only voter needs nobody to know its incarnation, and whoever is of a former one must not
    // be let in before it does: its journal would be believed.
    if !parts.journal.is_only_voter() {
        open(socket.take()).await?;
    }
    let ousted = spawn_ousted(&own, parts.stopped.clone());
    let introducing = tokio::spawn(introduce(own.clone(), introduction(&config, &parts)));
    let caught = caught_up(&parts).await;
    introducing.abort();
    let view = caught?;
    if let Some(cluster) = view.state.cluster() {
        recovery::enter(&data_dir.path, cluster.incarnation).await?;
        own.enter(cluster.incarnation);
        parts.journal.set_incarnation(cluster.incarnation.into());
        tracing::info!(incarnation = cluster.incarnation, "all that was committed is applied");
    }
    open(socket).await?;

    parts.metrics.work.begin();
    let info = Info {
        node: own.node(),
        name: config.name.clone(),
        cluster: view.state.cluster().map_or(own.cluster(), |cluster| cluster.id),
        incarnation: view.state.cluster().map_or(own.incarnation(), |cluster| cluster.incarnation),
        version: config.version.clone(),
        level: machine::LEVEL,
        data_dir: data_dir.path.clone(),
        capacity: capacity(config.capacity),
        roles: own.roles,
    };
    let running = Arc::new(AtomicU64::new(0));
    let heard = Arc::new(AtomicU64::new(0));
    let (down, down_rx) = watch::channel(false);
    let (closed, closed_rx) = watch::channel(false);
    let (pid_tx, supervisor_pid) = watch::channel(0);
    let handle = handle(&config, &parts, &info, running.clone(), down);
    let _ = serve.handle.set(handle.clone());
    let life = data_dir.next_life()?;
    noop::start(config.noop, info.node, &info.version, life, &parts.host, &parts.outputs.remote);
    let (welcome_tx, mut welcome) = watch::channel(!own.roles.worker);
    if own.roles.worker {
        let worker_config = reactor::worker::Config {
            life,
            node: info.node,
            name: config.name.clone(),
            capacity: info.capacity,
            labels: config.labels.clone(),
            version: config.version.clone(),
        };
        let (out, line) = mpsc::channel(WORDS_MAX);
        let doors = Doors::Own(parts.host.clone());
        tokio::spawn(Line { node: info.node, doors, out }.run());
        let worker = worker::Task {
            worker: WorkerReactor::new(worker_config),
            reach: reach(&config, data_dir, &info),
            line,
            words: None,
            truth: worker::Truth::Here(handle.clone()),
            output: parts.outputs.local.store.clone(),
            live: parts.live.clone(),
            running: running.clone(),
            heard: heard.clone(),
            supervisor_pid: pid_tx,
            welcome: welcome_tx,
            down: closed_rx,
            clock: Clock::default(),
            timer: None,
        };
        worker::spawn(worker, parts.stopped.clone());
    }
    spawn_closer(down_rx, Some((parts.inputs.clone(), parts.journal.clone())), closed);
    spawn_upkeep(&config, &parts, &handle, info.node);
    spawn_cluster(&config, data_dir, &parts, &handle, own.clone());
    // A supervisor that takes long is not a failed start: it may still have to prove that the
    // processes of a former one are gone. That there can be none is.
    let mut ended = parts.stopped.subscribe();
    tokio::select! {
        _ = welcome.wait_for(|welcome| *welcome) => {}
        () = tokio::time::sleep(SUPERVISOR_WITHIN) => {}
        why = ended.wait_for(|why| why.is_some()) => {
            if let Ok(Some(Stopped::Failed(reason))) = why.as_deref() {
                return Err(StartError::Ended(reason.clone()));
            }
        }
    }
    parts.metrics.look_up(Now {
        version: info.version.clone(),
        node: info.node,
        views: parts.views.clone(),
        running,
        heard,
        oldest_heartbeat_ms: parts.metrics.leases.oldest_ms.clone(),
        journal: parts.journal.clone(),
        history: parts.history.clone(),
        behind: parts.keeper.behind(),
        supervisor_pid: supervisor_pid.clone(),
    });
    Ok((Control { handle, traced, publisher, ousted }, supervisor_pid))
}

pub(super) fn handle(
    config: &Config,
    parts: &Parts,
    info: &Info,
    running: Arc<AtomicU64>,
    down: watch::Sender<bool>,
) -> Handle {
    let shared = Shared {
        info: info.clone(),
        own: parts.own.clone(),
        ways: parts.ways.clone(),
        health: parts.health.clone(),
        door: parts.door.clone(),
        told: Default::default(),
        certificate_life: config.place.certificate_life,
        journal: parts.journal.clone(),
        requests: parts.inputs.clone(),
        views: parts.views.clone(),
        history: parts.history.clone(),
        blobs: parts.blobs.clone(),
        lists: parts.copies.lists.clone(),
        keeper: parts.keeper.clone(),
        outputs: parts.outputs.clone(),
        disk: parts.disk.clone(),
        readers: Arc::new(Semaphore::new(READERS_MAX)),
        watchers: parts.watchers.clone(),
        metrics: parts.metrics.clone(),
        events: parts.events.clone(),
        token_uses: Default::default(),
        traces: parts.traces.clone(),
        secrets: parts.secrets.clone(),
        people: Mutex::default(),
        running,
        down,
        stopped: parts.stopped.subscribe(),
    };
    Handle { shared: Arc::new(shared), from: None, span: None, is_stale: false }
}

pub(super) fn spawn_upkeep(config: &Config, parts: &Parts, handle: &Handle, node: NodeId) {
    let upkeep = upkeep::Task {
        keeping: config.keeping.clone(),
        node,
        disk: handle.shared.disk.clone(),
        journal: parts.journal.clone(),
        output: parts.outputs.local.store.clone(),
        tails: parts.outputs.tails.clone(),
        views: parts.views.clone(),
        history: parts.history.clone(),
        control: parts.inputs.clone(),
        metrics: parts.metrics.clone(),
    };
    let failed = parts.stopped.clone();
    tokio::spawn(async move {
        if let Err(error) = tokio::spawn(upkeep.run()).await {
            stop(&failed, Stopped::Failed(format!("the upkeep failed: {error}")));
        }
    });
}

/// What keeps a node at its place among the others. Each ends with the views, or the journal.
fn spawn_cluster(
    config: &Config,
    data_dir: &DataDir,
    parts: &Parts,
    handle: &Handle,
    own: Arc<Own>,
) {
    let follower = Follower {
        own: own.clone(),
        door: parts.door.clone(),
        data_dir: data_dir.path.clone(),
        views: parts.views.clone(),
        has_others: own.identity.joined,
    };
    tokio::spawn(follower.run());
    tokio::spawn(parts.copies.lists.clone().follow(parts.views.clone()));
    let introduction = introduction(config, parts);
    tokio::spawn(introduction.run(handle.clone(), parts.views.clone()));
    let voters = Voters {
        node: own.node(),
        journal: parts.journal.clone(),
        control: parts.inputs.clone(),
        views: parts.views.clone(),
        away: config.place.away,
    };
    tokio::spawn(voters.run());
    if let Some(authority) = own.authority.clone() {
        let life = config.place.certificate_life;
        let certify = renew::BySelf { authority, credentials: own.credentials.clone(), life };
        let renewer = renew::Renewer {
            credentials: own.credentials.clone(),
            files: own.files.clone(),
            certify: Arc::new(certify),
        };
        tokio::spawn(renewer.run());
    }
}

fn introduction(config: &Config, parts: &Parts) -> Introduction {
    Introduction {
        node: parts.own.node(),
        name: config.name.clone(),
        roles: parts.own.roles,
        journal_life: Some(parts.journal.member().life),
        address: parts.door.address(),
        api_address: config.api_address.clone(),
    }
}

/// Tells the others of a journal that the group does not know yet: before that knows it, this node
/// hears of no leader.
async fn introduce(own: Arc<Own>, introduction: Introduction) {
    if !own.identity.joined {
        return;
    }
    loop {
        for (node, _) in own.contacts.all() {
            let command = Command { kind: Some(introduction.command()) };
            let asked = ask_at(&own.dialer, node, ask::Kind::Command(command)).await;
            if let Ok(told::Kind::Committed(_)) = asked {
                return;
            }
        }
        tokio::time::sleep(KEYS_AGAIN).await;
    }
}

fn reach(config: &Config, data_dir: &DataDir, info: &Info) -> Reach {
    Reach {
        exe: config.exe.clone(),
        data_dir: data_dir.path.clone(),
        node: info.node,
        capacity: info.capacity,
        child: None,
        launches: 0,
    }
}

/// A node that has come into a cluster opens secrets with the cluster's keys, not with its own.
async fn fetch_keys(own: &Own, data_dir: &Path) -> Result<(), StartError> {
    if !own.identity.joined || Secrets::are_kept(data_dir) {
        return Ok(());
    }
    let until = tokio::time::Instant::now() + KEYS_WITHIN;
    loop {
        for (node, _) in own.contacts.all() {
            let asked = ask_at(&own.dialer, node, ask::Kind::Keys(Keys {})).await;
            if let Ok(told::Kind::Keys(text)) = asked {
                let text = String::from_utf8_lossy(&text);
                let kept = Secrets::keep(data_dir, &text);
                return kept.map_err(|source| StartError::DataDir {
                    path: data_dir.to_owned(),
                    what: "cannot keep the cluster's keys in it",
                    source,
                });
            }
        }
        if tokio::time::Instant::now() >= until {
            return Err(StartError::NoControlNode);
        }
        tokio::time::sleep(KEYS_AGAIN).await;
    }
}

/// Waits until a leader is known and this node has applied all that is committed. A node of a
/// group whose majority is away serves all the same: then it is asked most. The only voter waits for
/// nobody, and has always caught up here.
pub(super) async fn caught_up(parts: &Parts) -> Result<Arc<View>, StartError> {
    let dead = |reason: String| StartError::JournalDied(reason);
    let mut stopped = parts.stopped.subscribe();
    let mut views = parts.views.clone();
    let up = async {
        loop {
            let index = match parts.ways.wait().await {
                Ok(Way::There(leader)) => {
                    let barrier = proto::peer::Barrier::default();
                    match parts.ways.ask(leader, ask::Kind::Barrier(barrier)).await {
                        Ok(told::Kind::Confirmed(confirmed)) => Some(confirmed.index),
                        _ => None,
                    }
                }
                Ok(Way::Here) => parts.journal.barrier().await.ok(),
                Err(_) => None,
            };
            if let Leadership::Dead(reason) = &*parts.journal.leadership().borrow() {
                return Err(dead(reason.to_string()));
            }
            let Some(index) = index else {
                tokio::time::sleep(KEYS_AGAIN).await;
                continue;
            };
            let ready =
                |view: &Arc<View>| view.state.applied() >= index && view.state.cluster().is_some();
            return match views.wait_for(ready).await {
                Ok(view) => Ok(view.clone()),
                Err(error) => Err(dead(error.to_string())),
            };
        }
    };
    tokio::select! {
        up = up => up,
        stopped = stopped.wait_for(|stopped| stopped.is_some()) => {
            let why = match stopped.as_deref() {
                Ok(Some(Stopped::Failed(reason))) => reason.clone(),
                _ => "the node stops".to_owned(),
            };
            Err(dead(why))
        }
        () = tokio::time::sleep(LEADER_WITHIN), if parts.own.identity.joined => {
            tracing::warn!("no leader is known yet: the node serves what it knows");
            Ok(parts.views.borrow().clone())
        }
    }
}
