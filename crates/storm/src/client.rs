//! Clients: each asks one thing after the other, of any host, and tells the history of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::chance::Chance;
use crate::host::name;
use crate::shared::{Phase, Shared};
use crate::wire::{self, Ask, Reply};

/// How long a client waits for an answer.
const PATIENCE: Duration = Duration::from_secs(4);
/// How often a client that has nothing to do looks around.
const LOOKS_EVERY: Duration = Duration::from_millis(100);
/// Names that are asked for most.
const LATEST: u64 = 6;

/// One client.
pub(crate) struct Client {
    pub(crate) number: u64,
    /// How many there are.
    pub(crate) of: u64,
    pub(crate) hosts: u64,
    pub(crate) shared: Arc<Shared>,
    pub(crate) chance: Chance,
}

/// The name of a machine of clients.
pub(crate) fn client_machine(machine: u64) -> String {
    format!("m{machine}")
}

/// The clients of one machine.
pub(crate) async fn work_all(clients: Vec<Client>) -> turmoil::Result {
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn(client.work());
    }
    while let Some(done) = tasks.join_next().await {
        done?;
    }
    Ok(())
}

impl Client {
    /// Works while the world is hostile; once it is healed it asks for all there is.
    async fn work(mut self) {
        while self.shared.phase() < Phase::Hostile {
            tokio::time::sleep(LOOKS_EVERY).await;
        }
        while self.shared.phase() == Phase::Hostile {
            let (name, ask) = self.draw();
            let host = self.chance.within(1, self.hosts);
            self.ask(host, name, ask).await;
            let pause = Duration::from_millis(self.chance.below(150));
            tokio::time::sleep(pause).await;
        }
        self.look_at_all().await;
    }

    /// What to ask next, mostly of what was asked lately: that is where answers meet.
    fn draw(&mut self) -> (u64, Ask) {
        let (last, runs) = self.shared.with_history(|history| {
            (history.names().max().unwrap_or_default(), history.runs().collect::<Vec<_>>())
        });
        let latest = last.saturating_sub(LATEST - 1).max(1);
        let runs: Vec<(u64, u64)> = runs.into_iter().filter(|(_, name)| *name >= latest).collect();
        let name = self.chance.within(latest, last.max(1));
        match (self.chance.below(100), self.chance.pick(&runs)) {
            (0..20, _) | (_, None) if self.chance.percent(60) => {
                let name = last + 1;
                (name, Ask::Submit { name })
            }
            (20..55, Some((run, name))) => (name, Ask::Status { run }),
            (55..70, Some((run, name))) => (name, Ask::Cancel { run }),
            (85.., _) if Ask::has_key(name) => (name, Ask::Submit { name }),
            _ => (name, Ask::Named { name }),
        }
    }

    async fn ask(&mut self, host: u64, about: u64, ask: Ask) -> Reply {
        let who = format!("c{}", self.number);
        let asked = self.shared.with_history(|history| history.asks(about, ask));
        self.shared.note(&who, format_args!("asks {} {ask:?}", name(host)));
        let host_name = name(host);
        let exchange = wire::exchange(&host_name, ask);
        let reply = match tokio::time::timeout(PATIENCE, exchange).await {
            Ok(Ok(reply)) => reply,
            Ok(Err(_)) | Err(_) => Reply::Unknown,
        };
        self.shared.with_history(|history| history.answered(asked, reply));
        self.shared.note(&who, format_args!("is answered {reply:?}"));
        reply
    }

    /// Asks for every name and every run, of one host after the other, until there is an answer.
    async fn look_at_all(&mut self) {
        let mine = |name: &u64| *name % self.of == self.number % self.of;
        let all: Vec<(u64, Ask)> = self.shared.with_history(|history| {
            let names = history.names().filter(mine).map(|name| (name, Ask::Named { name }));
            let runs = history.runs().filter(|(_, name)| mine(name));
            let runs = runs.map(|(run, name)| (name, Ask::Status { run }));
            names.chain(runs).collect()
        });
        for (at, (name, ask)) in all.into_iter().enumerate() {
            let mut host = at as u64 % self.hosts + 1;
            while !is_told(self.ask(host, name, ask).await) {
                host = host % self.hosts + 1;
                tokio::time::sleep(LOOKS_EVERY).await;
            }
        }
    }
}

fn is_told(reply: Reply) -> bool {
    !matches!(reply, Reply::NotDone | Reply::Unknown)
}
