//! A control node in a simulated world: no thread, no process, no socket of its own.
//!
//! It exists for the tests of whole clusters that a seed repeats; no node uses it. What decides,
//! commits, reads, publishes, keeps history and copies it is the node's own; calls between nodes go
//! over a network that is given. There is no worker part and no interface for people.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use journal::raft::{Peers, Raft};
use model::{ClusterId, NodeId, Resources, Roles};
use peer::files::{Files, Own as Shown};
use peer::simulated::Network;
use peer::{Authority, Carrier, Credentials, Dialer, Identity as Certificate, NodeKey, Trust};
use tokio::sync::watch;

use super::control::{caught_up, handle, spawn_upkeep};
use super::parts::{Parts, deciding};
use super::works::{Works, history_failed, publishing_failed};
use crate::clock::Clock;
use crate::cluster::Place;
use crate::cluster::contacts::Contacts;
use crate::cluster::own::Own;
use crate::control::planner;
use crate::data_dir::Identity;
use crate::error::StartError;
use crate::handle::Handle;
use crate::info::{Config, Info, Keeping, NoopWorkers, Stopped};
use crate::metrics::Metrics;
use crate::peers::serve::Serve;
use crate::stopping::stop;
use crate::view::View;

/// Of certificates, which nobody looks at.
const LIFE: Duration = Duration::from_secs(86_400);
const LEASE_MS: u64 = 30_000;

/// What a node is told.
pub struct Setup {
    /// Where it keeps all but the journal.
    pub data_dir: PathBuf,
    /// Who it is.
    pub node: NodeId,
    /// Its cluster.
    pub cluster: ClusterId,
    /// It founds the cluster.
    pub founds: bool,
    /// The other control nodes, and where they are.
    pub others: Vec<(NodeId, String)>,
    /// The way to them.
    pub network: Arc<dyn Network>,
    /// Its clocks.
    pub clock: Arc<dyn Fn() -> reactor::Now + Send + Sync>,
    /// After so many bytes of journal a snapshot is made.
    pub checkpoint_bytes: u64,
}

/// A node that has its place among the others, and no journal yet.
pub struct Placed {
    setup: Setup,
    own: Arc<Own>,
}

/// A node that runs, as long as its runtime.
pub struct Running {
    parts: Parts,
    serve: Arc<Serve>,
    config: Config,
    setup: Setup,
}

impl Placed {
    /// Takes its place.
    pub fn new(setup: Setup) -> Result<Placed, StartError> {
        let now_s = (setup.clock)().unix_ms / 1000;
        let (node, cluster) = (setup.node, setup.cluster);
        let roles = Roles { control: true, worker: false };
        let certificate = Certificate { cluster, incarnation: 1, node, roles };
        let authority = Authority::found(cluster, now_s)?;
        let key = NodeKey::draw()?;
        let issued = authority.certify(&certificate, &key.public(), LIFE, now_s)?;
        let trust = Trust::new(cluster, 1, authority.certificate().clone());
        let shown = Shown::new(issued, key)?;
        let credentials = Credentials::new(trust, &shown, peer::Clock::of(move || now_s))?;
        let dialer = Dialer::over(setup.network.clone(), credentials.clone());
        let files = Files::open(&setup.data_dir)?;
        let contacts = Contacts::open(&setup.data_dir, node, dialer.clone());
        contacts.set(setup.others.iter().cloned());
        let joined = !setup.founds;
        let identity = Identity { node_id: node.0, cluster_id: cluster.0, joined };
        let contacts = Arc::new(contacts);
        let own = Own { identity, roles, files, credentials, authority: None, dialer, contacts };
        Ok(Placed { setup, own: Arc::new(own) })
    }

    /// The journal's way to the other nodes.
    pub fn carrier(&self) -> Arc<dyn Peers> {
        Arc::new(Carrier(self.own.dialer.clone()))
    }

    /// Begins to decide, on this journal.
    pub fn start(self, journal: Arc<Raft>) -> Result<Running, StartError> {
        let Placed { setup, own } = self;
        let config = config(&setup);
        let now = setup.clock.clone();
        let clock = Clock::of(move || now());
        let metrics = Arc::new(Metrics::new());
        let (parts, works, _) = deciding(&config, &setup.data_dir, own, journal, metrics, clock)?;
        as_tasks(works, &parts);
        let serve = Arc::new(Serve {
            journal: parts.journal.clone(),
            host: parts.host.clone(),
            copies: parts.copies.clone(),
            handle: OnceLock::new(),
            clock: parts.clock.clone(),
            disk: parts.disk.clone(),
        });
        Ok(Running { parts, serve, config, setup })
    }
}

impl Running {
    /// What peers are answered by, from the first moment.
    pub fn service(&self) -> Arc<dyn peer::Service> {
        self.serve.clone()
    }

    /// What readers see.
    pub fn views(&self) -> watch::Receiver<Arc<View>> {
        self.parts.views.clone()
    }

    /// Why it has ended, once it has.
    pub async fn stopped(&self) -> Option<Stopped> {
        let mut stopped = self.parts.stopped.subscribe();
        stopped.wait_for(Option::is_some).await.ok()?.clone()
    }

    /// Answers once the node has caught up with the others, or gives up waiting for that.
    pub async fn serves(&self) -> Result<Handle, StartError> {
        let view = caught_up(&self.parts).await?;
        let (config, parts) = (&self.config, &self.parts);
        let info = Info {
            node: self.setup.node,
            name: config.name.clone(),
            cluster: self.setup.cluster,
            incarnation: view.state.cluster().map_or(1, |cluster| cluster.incarnation),
            version: config.version.clone(),
            level: machine::LEVEL,
            data_dir: config.data_dir.clone(),
            capacity: config.capacity,
            roles: parts.own.roles,
        };
        let (down, _) = watch::channel(false);
        let handle = handle(config, parts, &info, Arc::new(AtomicU64::new(0)), down);
        let _ = self.serve.handle.set(handle.clone());
        spawn_upkeep(config, parts, &handle, self.setup.node);
        Ok(handle)
    }
}

fn config(setup: &Setup) -> Config {
    let checkpoint_bytes = setup.checkpoint_bytes;
    Config {
        data_dir: setup.data_dir.clone(),
        name: setup.node.to_string(),
        labels: Vec::new(),
        capacity: Resources::default(),
        exe: PathBuf::new(),
        version: String::new(),
        keeping: Keeping { checkpoint_bytes, ..Keeping::default() },
        noop: NoopWorkers::default(),
        place: Place {
            roles: None,
            peer: ([127, 0, 0, 1], 0).into(),
            peer_named: false,
            advertise: None,
            join: None,
            away: Duration::MAX,
            certificate_life: LIFE,
        },
        api_address: String::new(),
        traced: None,
        lease_ms: LEASE_MS,
    }
}

/// What has threads otherwise.
fn as_tasks(works: Works, parts: &Parts) {
    let Works { publisher, mut inbox, keeping, plans } = works;
    let stopped = parts.stopped.clone();
    tokio::spawn(async move {
        if let Err(failed) = publisher.run(&mut inbox).await {
            stop(&stopped, publishing_failed(&failed));
        }
    });
    let (inputs, metrics) = (parts.inputs.clone(), parts.metrics.clone());
    tokio::spawn(async move { planner(plans, inputs, &metrics.placement, None).await });
    let stopped = parts.stopped.clone();
    tokio::spawn(async move {
        if let Err(error) = keeping.run_in_place().await {
            stop(&stopped, history_failed(&error));
        }
    });
}
