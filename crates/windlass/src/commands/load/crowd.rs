//! Many clients at once, each with a connection of its own and one call under way.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::{JoinSet, LocalSet};
use tonic::{Code, Status};

use super::times::Times;
use crate::client::{Client, Target};
use crate::failure::Failure;

/// How long a node may refuse a call for want of room before that is a failure.
const REFUSED_MAX: Duration = Duration::from_secs(60);
/// Between a refusal for want of room and the next try.
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// How many clients make how many calls.
pub(super) struct Crowd {
    pub(super) clients: u32,
    pub(super) calls: u64,
}

/// What a call does, given its number.
pub(super) trait Call: 'static {
    /// Makes the call and waits for its answer.
    async fn make(&self, client: &mut Client, number: u64) -> Result<(), Status>;
    /// In words for a failure: `submit`.
    const WHAT: &str;
}

/// What all clients have in common.
struct Shared<C> {
    call: C,
    next: Cell<u64>,
    calls: u64,
    refused: Cell<u64>,
}

impl Crowd {
    /// Connects all, then makes the calls; gives the counts and times.
    pub(super) async fn make<C: Call>(&self, target: &Target, call: C) -> Result<Value, Failure> {
        let shared = Shared { call, next: Cell::new(0), calls: self.calls, refused: Cell::new(0) };
        let shared = Rc::new(shared);
        let mut clients = Vec::new();
        for _ in 0..self.clients.max(1) {
            clients.push(Client::connect(target).await?);
        }
        let start = Instant::now();
        let mut times = Times::default();
        let all = async {
            let mut tasks = JoinSet::new();
            for client in clients {
                tasks.spawn_local(one(client, shared.clone()));
            }
            while let Some(done) = tasks.join_next().await {
                times.merge(done.expect("a client does not panic")?);
            }
            Ok::<(), Failure>(())
        };
        LocalSet::new().run_until(all).await?;
        let mut summary = times.summary(start.elapsed());
        summary["clients"] = self.clients.into();
        summary["refused"] = shared.refused.get().into();
        Ok(summary)
    }
}

/// One client: it takes the next number until there are no more.
async fn one<C: Call>(mut client: Client, shared: Rc<Shared<C>>) -> Result<Times, Failure> {
    let mut times = Times::default();
    while let Some(number) = shared.take() {
        let start = Instant::now();
        while let Err(status) = shared.call.make(&mut client, number).await {
            let wait = status.code() == Code::ResourceExhausted && start.elapsed() < REFUSED_MAX;
            if !wait {
                return Err(client.failure(C::WHAT, &status));
            }
            shared.refused.set(shared.refused.get() + 1);
            tokio::time::sleep(TRY_AGAIN).await;
        }
        times.add(start.elapsed());
    }
    Ok(times)
}

impl<C> Shared<C> {
    fn take(&self) -> Option<u64> {
        let number = self.next.get();
        self.next.set(number + 1);
        (number < self.calls).then_some(number)
    }
}
