//! One host: a control node in one of its lives.
//!
//! The journal and the node are the real ones. It ends with its host, and what it leaves is on its disk.

mod answer;
mod network;
mod observe;
mod orders;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use journal::raft::{Cluster, Config, Raft, Start, Timing};
use journal::{Journal, Leadership};
use model::{ClusterId, NodeId};
use node::simulated::{Placed, Running, Setup};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

pub(crate) use answer::job_name;

use crate::disk::Storage;
use crate::shared::{Phase, Shared};
use network::Wires;

/// The cluster that is founded.
const CLUSTER: u128 = 77;
/// How long the group waits before it tries again to come together.
const TRIES_AGAIN: Duration = Duration::from_millis(100);

/// What stays of a host from one life to the next.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) host: u64,
    pub(crate) storage: Rc<RefCell<Storage>>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) seed: u64,
    /// Who votes at first.
    pub(crate) voters: BTreeSet<u64>,
    /// All hosts.
    pub(crate) count: u64,
    pub(crate) clock_off_ms: i64,
    pub(crate) checkpoint_bytes: u64,
}

/// What a host is called in the network.
pub(crate) fn name(host: u64) -> String {
    format!("h{host}")
}

/// The id of the node on a host.
fn id_of(host: u64) -> NodeId {
    NodeId(Uuid::from_u64_pair(1, 2 * host + 1))
}

/// The host of a node, by the number that the journal knows it by.
pub(crate) fn host_of(journal_number: u64) -> u64 {
    journal_number / 2
}

impl Home {
    /// One life of the host. It ends when the host crashes; before that only where a promise is broken.
    pub(crate) async fn live(self) -> turmoil::Result {
        self.shared.restarts(self.host);
        let disk = self.storage.borrow().disk().clone();
        let ended = self.run().await;
        // What a lost power leads to is not seen by anybody.
        if disk.is_powered() {
            self.shared.broken(format!("the node on {} has ended: {ended}", name(self.host)));
        }
        std::future::pending().await
    }

    /// Returns why it has ended.
    async fn run(&self) -> String {
        let (journal, running) = match self.open().await {
            Ok(opened) => opened,
            Err(error) => return format!("{error:#}"),
        };
        let (host, shared) = (self.host, self.shared.clone());
        let (orders, ordered) = mpsc::unbounded_channel();
        shared.runs(host, &journal, orders);
        shared.note(&name(host), format_args!("is up as {}", journal.member()));
        tokio::spawn(orders::follow(host, journal.clone(), shared.clone(), ordered));
        tokio::spawn(observe::deliveries(host, journal.clone(), shared.clone()));
        tokio::spawn(observe::leadership(host, journal.clone(), shared.clone()));
        tokio::spawn(observe::views(host, running.views(), shared.clone()));
        if host == 1 && shared.phase() == Phase::Founding {
            let (voters, count) = (self.voters.clone(), self.count);
            tokio::spawn(gather(shared.clone(), journal, voters, count));
        }
        let (accepted, incoming) = network::incoming();
        let cluster = ClusterId(Uuid::from_u128(CLUSTER));
        let (handed_out, handle) = watch::channel(None);
        let serves = async {
            match running.serves().await {
                Ok(handle) => _ = handed_out.send_replace(Some(handle)),
                Err(error) => return error.to_string(),
            }
            std::future::pending().await
        };
        let served = async {
            match peer::simulated::serve(incoming, cluster, running.service()).await {
                Ok(()) => "nobody serves the other hosts any more".to_owned(),
                Err(error) => error.to_string(),
            }
        };
        tokio::select! {
            why = running.stopped() => format!("{why:?}"),
            why = serves => why,
            why = served => why,
            why = network::listen(host, shared.clone(), accepted) => why,
            why = answer::listen(shared.clone(), handle) => why,
        }
    }

    async fn open(&self) -> anyhow::Result<(Arc<Raft>, Running)> {
        let (disk, dir, data_dir) = {
            let storage = self.storage.borrow();
            (storage.disk().clone(), storage.dir().to_owned(), storage.kept().to_owned())
        };
        let others = (1..=self.count).filter(|other| *other != self.host);
        let clock_off_ms = self.clock_off_ms;
        let placed = Placed::new(Setup {
            data_dir,
            node: id_of(self.host),
            cluster: ClusterId(Uuid::from_u128(CLUSTER)),
            founds: self.host == 1 && self.shared.phase() == Phase::Founding,
            others: others.map(|other| (id_of(other), network::address(other))).collect(),
            network: Arc::new(Wires { host: self.host, shared: self.shared.clone() }),
            clock: Arc::new(move || now(clock_off_ms)),
            checkpoint_bytes: self.checkpoint_bytes,
        })?;
        let config = Config {
            dir,
            node: peer::journal_number(id_of(self.host)),
            start: if self.host == 1 { Start::Found } else { Start::Join },
            cluster: Cluster { id: CLUSTER, incarnation: 1 },
            timing: Timing { seed: self.seed, ..Timing::default() },
            // Small ones are changed often, and read in a moment.
            segment_bytes: 32 << 10,
            cache_bytes: 16 << 10,
            ..Config::default()
        };
        let journal = Arc::new(Raft::open_simulated(disk, config, placed.carrier()).await?);
        let running = placed.start(journal.clone())?;
        Ok((journal, running))
    }
}

/// What a host's clocks say: the one for people is off.
fn now(clock_off_ms: i64) -> reactor::Now {
    let since_epoch = turmoil::since_epoch().unwrap_or_default().as_millis() as u64;
    let steady = turmoil::sim_elapsed().unwrap_or_default();
    reactor::Now {
        unix_ms: since_epoch.saturating_add_signed(clock_off_ms),
        steady_ms: steady.as_millis() as u64,
    }
}

/// Makes one group of all hosts, as the first one.
async fn gather(shared: Arc<Shared>, journal: Arc<Raft>, voters: BTreeSet<u64>, count: u64) {
    for host in 2..=count {
        let member = loop {
            match shared.journal(host) {
                Some(other) => break other.member(),
                None => tokio::time::sleep(TRIES_AGAIN).await,
            }
        };
        while journal.add_learner(member).await.is_err() {
            tokio::time::sleep(TRIES_AGAIN).await;
        }
    }
    while journal.promote(orders::members(&journal, &voters)).await.is_err() {
        tokio::time::sleep(TRIES_AGAIN).await;
    }
}

/// Whether this host leads, as it thinks itself, and in which term.
pub(crate) fn leads(shared: &Shared, host: u64) -> Option<u64> {
    match &*shared.journal(host)?.leadership().borrow() {
        Leadership::Leader(leader) => Some(leader.term),
        _ => None,
    }
}
