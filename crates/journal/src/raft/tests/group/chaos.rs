//! Everything at once: members lose their power, are cut off and slow, while clients propose.
//!
//! What must hold: nobody is ever handed two different entries at one index, what was acknowledged is at the index
//! that was told, once, under the leader it was proposed to, and at the end all have the same.

use std::sync::Mutex;

use super::*;
use crate::Delivered;
use crate::log::tests::faults::Chance;
use crate::member::mix;
use crate::simulated::Durable;

const LASTS: Duration = Duration::from_secs(9);
const CLIENTS: u64 = 4;
/// Long enough to lose the power in.
const SYNC_MICROS: u64 = 8000;

/// What anybody has seen.
#[derive(Default)]
struct History {
    delivered: Mutex<BTreeMap<Index, (LeaderId, Bytes)>>,
    acknowledged: Mutex<Vec<(Index, LeaderId, Bytes)>>,
    /// What must not be.
    faults: Mutex<Vec<String>>,
}

impl History {
    fn deliver(&self, node: u64, entry: crate::Delivery) {
        let mut delivered = self.delivered.lock().unwrap();
        let found = (entry.leader, entry.record);
        let first = delivered.entry(entry.index).or_insert_with(|| found.clone());
        if *first != found {
            let fault = format!("node {node} at {}: {found:?}, not {first:?}", entry.index);
            self.faults.lock().unwrap().push(fault);
        }
    }
}

/// Those who propose find the journals here, each with the life it is in.
type Running = Mutex<BTreeMap<u64, Arc<Raft>>>;

struct World {
    group: Group,
    running: Arc<Running>,
    history: Arc<History>,
    chance: Chance,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl World {
    async fn new(seed: u64) -> Self {
        let mut group = Group::empty(seed);
        group.pretends = true;
        group.fill(3).await;
        let world = Self {
            group,
            running: Arc::default(),
            history: Arc::default(),
            chance: Chance(mix(seed) | 1),
            tasks: Vec::new(),
        };
        for node in 1..=3 {
            let faults = &world.group.homes[&node].disk.faults;
            faults.sync_micros.store(SYNC_MICROS, SeqCst);
            world.publish(node);
        }
        world
    }

    /// Lets clients find it, and follows it.
    fn publish(&self, node: u64) {
        let journal = self.group.journal(node).clone();
        let (mut follow, history) = (journal.follow(0), self.history.clone());
        self.running.lock().unwrap().insert(node, journal);
        tokio::spawn(async move {
            while let Some(next) = follow.next().await {
                if let Delivered::Entry(entry) = next {
                    history.deliver(node, entry);
                }
            }
        });
    }

    fn propose_all_the_time(&mut self, seed: u64) {
        for client in 0..CLIENTS {
            let (running, history) = (self.running.clone(), self.history.clone());
            let mut chance = Chance(mix(seed ^ client) | 1);
            self.tasks.push(tokio::spawn(async move {
                for number in 0u64.. {
                    let node = 1 + chance.below(3);
                    let journal = running.lock().unwrap().get(&node).cloned();
                    let leads = journal.as_ref().map(|one| one.leadership().borrow().clone());
                    let (Some(journal), Some(Leadership::Leader(leader))) = (journal, leads) else {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                        continue;
                    };
                    let length = 1 + chance.below(3000) as usize;
                    let record: Bytes = format!("{client}/{number}/").repeat(length / 6 + 1).into();
                    let proposed = journal.propose(leader, record.clone()).await;
                    let lives = running.lock().unwrap();
                    // What a machine says behind its death nobody hears.
                    if lives.get(&node).is_some_and(|now| Arc::ptr_eq(now, &journal))
                        && let Ok(index) = proposed
                    {
                        history.acknowledged.lock().unwrap().push((index, leader, record));
                    }
                }
            }));
        }
    }

    /// The machines lose their power at once; what their disks have kept is what they start with again.
    async fn lose_power(&mut self, nodes: &[u64]) {
        for node in nodes {
            // From here on nothing it says is heard, and nothing gets to its disk.
            self.running.lock().unwrap().remove(node);
            self.group.net.disconnect(*node);
            self.group.homes[node].disk.faults.operations.store(0, SeqCst);
        }
        for node in nodes {
            self.take_down(*node).await;
        }
    }

    async fn take_down(&mut self, node: u64) {
        let home = self.group.homes.get_mut(&node).unwrap();
        let journal = home.journal.take().expect("it runs");
        journal.shutdown().await;
        let left = TempDir::new().unwrap();
        let chance = &mut self.chance;
        let durable = home.disk.faults.durable.lock().unwrap();
        durable.lose_power(home.dir.path(), left.path(), || chance.coin()).unwrap();
        drop(durable);
        home.disk = Disk::default();
        home.disk.faults.pretend_sync.store(true, SeqCst);
        home.disk.faults.sync_micros.store(SYNC_MICROS, SeqCst);
        *home.disk.faults.durable.lock().unwrap() = Durable::of(left.path()).unwrap();
        home.dir = left;
    }

    async fn start(&mut self, node: u64) {
        self.group.start(node).await;
        self.publish(node);
    }

    async fn strike(&mut self) {
        let node = 1 + self.chance.below(3);
        let other = 1 + self.chance.below(3);
        match self.chance.below(10) {
            0 | 1 => {
                self.lose_power(&[node]).await;
                self.pause().await;
                self.start(node).await;
            }
            2 | 9 => {
                // While they are at work: what was acknowledged last is what is lost first.
                self.group.net.heal();
                self.group.net.set(Weather::default());
                self.group.commit("all is well".into()).await;
                self.pause().await;
                self.lose_power(&[1, 2, 3]).await;
                for node in 1..=3 {
                    self.start(node).await;
                }
            }
            3 => self.group.net.isolate(node),
            4 => self.group.net.cut(node, other),
            5 => self.group.net.set(Weather { delay_ms: 20, lost_of: 10, twice_of: 4 }),
            6 => self.group.net.set(Weather::default()),
            7 => {
                let journal = self.group.journal(node);
                let upto = journal.shared.extent.borrow().committed;
                let content: Snapshot = Box::new(move |out| write!(out, "up to {upto}"));
                // It is refused where it is too early; what it has broken is found by the rest.
                let _ = journal.checkpoint(upto, content).await;
            }
            _ => self.group.journal(node).resign().await,
        }
        self.pause().await;
        if self.chance.coin() {
            self.group.net.heal();
        }
    }

    async fn pause(&mut self) {
        let millis = 50 + self.chance.below(500);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }
}

async fn survives(seed: u64) {
    println!("seed {seed}");
    let mut world = World::new(seed).await;
    world.propose_all_the_time(seed);
    let end = Instant::now() + LASTS;
    let mut strikes = 0;
    while Instant::now() < end {
        world.strike().await;
        strikes += 1;
    }
    world.group.net.heal();
    world.group.net.set(Weather::default());
    let last = world.group.commit("the end".into()).await;
    world.tasks.iter().for_each(|client| client.abort());
    for task in &mut world.tasks {
        let _ = task.await;
    }
    for (node, journal) in world.group.running() {
        let mut follow = journal.follow(0);
        let mut at = 0;
        while at < last {
            let next = tokio::time::timeout(PATIENCE, follow.next()).await;
            match next.expect("all arrives everywhere").expect("it is alive") {
                Delivered::Snapshot { index, .. } => at = index,
                Delivered::Entry(entry) => {
                    at = entry.index;
                    world.history.deliver(node, entry);
                }
            }
        }
    }
    assert_eq!(*world.history.faults.lock().unwrap(), Vec::<String>::new());
    let delivered = world.history.delivered.lock().unwrap();
    let acknowledged = world.history.acknowledged.lock().unwrap();
    println!("{strikes} strikes, {} acknowledged, {last} entries", acknowledged.len());
    for (index, leader, record) in acknowledged.iter() {
        let found = delivered.get(index).unwrap_or_else(|| panic!("entry {index} is lost"));
        assert_eq!(*found, (*leader, record.clone()), "entry {index}");
    }
    let mut records: Vec<_> = delivered
        .values()
        .map(|(_, record)| record)
        .filter(|record| !record.is_empty() && record[0].is_ascii_digit())
        .collect();
    let count = records.len();
    records.sort();
    records.dedup();
    assert_eq!(records.len(), count, "no record is there twice");
    assert!(acknowledged.len() > 20, "it went on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_that_is_always_the_same() {
    survives(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seed_of_its_own() {
    survives(crate::member::draw_life()).await;
}
