//! Groups of several: three or five journals in one process, with real files, over a network that fails on demand.

mod basics;
mod change;
mod chaos;
mod ends;
mod loss;
mod net;
mod partitions;
mod strangers;
mod streams;

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use net::{Net, Weather};

/// Patient enough for a machine with other things to do.
const PATIENCE: Duration = Duration::from_secs(60);

fn timing() -> Timing {
    Timing {
        heartbeat: Duration::from_millis(60),
        election_min: Duration::from_millis(400),
        election_max: Duration::from_millis(800),
        append: Duration::from_secs(5),
        stall: Duration::from_secs(2),
        seed: 1,
    }
}

/// One node: its directory and, while it runs, its journal.
struct Home {
    dir: TempDir,
    disk: Disk,
    start: Start,
    journal: Option<Arc<Raft>>,
}

struct Group {
    net: Arc<Net>,
    homes: BTreeMap<u64, Home>,
    /// Of those that are started from now on.
    incarnation: u64,
    /// Disks that remember what was synced, and do not sync.
    pretends: bool,
    timing: Timing,
}

impl Group {
    /// Nodes 1 to `count`, all of them voters.
    async fn of(count: u64) -> Self {
        let mut group = Self::empty(1);
        group.fill(count).await;
        group
    }

    /// The same, and whoever leads goes on to, however busy the machine is.
    async fn calm(count: u64) -> Self {
        let (election_min, election_max) = (Duration::from_secs(5), Duration::from_secs(8));
        let mut group = Self::empty(1);
        group.timing = Timing { election_min, election_max, ..timing() };
        group.fill(count).await;
        group
    }

    fn empty(seed: u64) -> Self {
        Self {
            net: Net::new(seed),
            homes: BTreeMap::new(),
            incarnation: 3,
            pretends: false,
            timing: timing(),
        }
    }

    /// Fills an empty one.
    async fn fill(&mut self, count: u64) {
        self.join(1, Start::Found).await;
        leads(&**self.journal(1)).await;
        for node in 2..=count {
            self.join(node, Start::Join).await;
            let member = self.journal(node).member();
            soon(self.journal(1).add_learner(member)).await.unwrap();
        }
        self.promote_all().await;
    }

    /// Starts a node with an empty directory.
    async fn join(&mut self, node: u64, start: Start) {
        let home =
            Home { dir: TempDir::new().unwrap(), disk: Disk::default(), start, journal: None };
        home.disk.faults.pretend_sync.store(self.pretends, SeqCst);
        self.homes.insert(node, home);
        self.start(node).await;
    }

    fn config(&self, node: u64) -> Config {
        let Home { dir, start, .. } = &self.homes[&node];
        Config {
            node,
            start: *start,
            cluster: Cluster { id: 77, incarnation: self.incarnation },
            timing: self.timing,
            ..config(dir.path())
        }
    }

    async fn start(&mut self, node: u64) {
        let (config, disk) = (self.config(node), self.homes[&node].disk.clone());
        let peers = Arc::new(self.net.end(node));
        let opening = async {
            loop {
                match Raft::open_on(disk.clone(), config.clone(), peers.clone()).await {
                    Ok(journal) => return Arc::new(journal),
                    // The one before it was dropped and closes its files.
                    Err(OpenError::InUse { .. }) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        };
        let journal = soon(opening).await;
        self.net.connect(node, &journal);
        self.homes.get_mut(&node).unwrap().journal = Some(journal);
    }

    /// Ends it without any order, as far as that goes within a process.
    fn crash(&mut self, node: u64) {
        self.homes.get_mut(&node).unwrap().journal = None;
    }

    async fn stop(&mut self, node: u64) {
        let journal = self.homes.get_mut(&node).unwrap().journal.take().unwrap();
        soon(journal.shutdown()).await;
    }

    fn journal(&self, node: u64) -> &Arc<Raft> {
        self.homes[&node].journal.as_ref().expect("it runs")
    }

    fn running(&self) -> impl Iterator<Item = (u64, &Arc<Raft>)> {
        let journal = |(node, home): (&u64, &'_ Home)| home.journal.as_ref().map(|_| *node);
        let nodes: Vec<u64> = self.homes.iter().filter_map(journal).collect();
        nodes.into_iter().map(|node| (node, self.journal(node)))
    }

    /// Waits for a leader among these nodes.
    async fn leader_of(&self, nodes: &[u64]) -> (u64, LeaderId) {
        until("a leader", async || {
            let leads = |node: &u64| match *self.journal(*node).leadership().borrow() {
                Leadership::Leader(leader) => Some((*node, leader)),
                _ => None,
            };
            nodes.iter().filter_map(leads).max_by_key(|(_, leader)| leader.term)
        })
        .await
    }

    async fn leader(&self) -> (u64, LeaderId) {
        let nodes: Vec<u64> = self.running().map(|(node, _)| node).collect();
        self.leader_of(&nodes).await
    }

    fn others(&self, node: u64) -> Vec<u64> {
        self.running().map(|(other, _)| other).filter(|other| *other != node).collect()
    }

    /// Commits a record, whoever leads among the nodes; tries again until it is acknowledged.
    async fn commit_among(&self, nodes: &[u64], record: Bytes) -> Index {
        until("a commit", async || {
            let (node, leader) = self.leader_of(nodes).await;
            self.journal(node).propose(leader, record.clone()).await.ok()
        })
        .await
    }

    async fn commit(&self, record: Bytes) -> Index {
        let nodes: Vec<u64> = self.running().map(|(node, _)| node).collect();
        self.commit_among(&nodes, record).await
    }

    /// Makes all of them voters once they have caught up.
    async fn promote_all(&self) {
        let numbers = self.running().map(|(_, journal)| journal.member().number()).collect();
        self.promote(&numbers).await;
    }

    async fn promote(&self, numbers: &std::collections::BTreeSet<u64>) {
        until("the promotion", async || {
            let (node, _) = self.leader().await;
            match self.journal(node).promote(numbers.clone()).await {
                Ok(()) => Some(()),
                Err(ChangeError::Dead { reason }) => panic!("{reason}"),
                Err(_) => None,
            }
        })
        .await;
    }

    /// Waits until every running node can follow up to `index`, and checks that they have the same.
    async fn check_same(&self, index: Index) -> Vec<crate::Delivery> {
        let mut first: Option<Vec<crate::Delivery>> = None;
        for (node, journal) in self.running() {
            let all = tokio::time::timeout(PATIENCE, take_to(&mut journal.follow(0), index)).await;
            let all = all.expect("everything arrives everywhere");
            let expected = first.get_or_insert_with(|| all.clone());
            assert_eq!(*expected, all, "node {node} has the same");
        }
        first.unwrap()
    }
}

/// Tries until there is something.
async fn until<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(done) = attempt().await {
            return done;
        }
        assert!(Instant::now() < end, "{what} did not come about");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
