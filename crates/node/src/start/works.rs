//! What a control node does beside its tasks: it publishes, keeps history and plans.
//!
//! Each has a thread of its own, so that none holds up what decides. None of them ends without a
//! reason that the node tells when it stops.

use std::panic::AssertUnwindSafe;

use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::parts::Parts;
use super::thread;
use crate::control;
use crate::error::StartError;
use crate::info::Stopped;
use crate::keeper;
use crate::publish::{Failed, Publish, Publisher};
use crate::stopping::stop;

/// What is to be done, and where it comes in.
pub(super) struct Works {
    pub(super) publisher: Publisher,
    pub(super) inbox: mpsc::Receiver<Publish>,
    pub(super) keeping: keeper::Work,
    pub(super) plans: mpsc::Receiver<control::Plan>,
}

impl Works {
    /// Begins them; the thread that is returned ends last.
    pub(super) fn on_threads(
        self,
        parts: &Parts,
    ) -> Result<std::thread::JoinHandle<()>, StartError> {
        let Works { publisher, inbox, keeping, plans } = self;
        spawn_planner(parts, plans)?;
        spawn_publisher(parts, publisher, inbox, keeping)
    }
}

fn spawn_planner(parts: &Parts, plans: mpsc::Receiver<control::Plan>) -> Result<(), StartError> {
    let (done, failed) = (parts.inputs.clone(), parts.stopped.clone());
    let (measured, told) = (parts.metrics.clone(), parts.traces.clone());
    let runtime = Handle::current();
    thread("planner", move || {
        let plan = AssertUnwindSafe(|| {
            let plans = control::planner(plans, done, &measured.placement, told.as_deref());
            runtime.block_on(plans);
        });
        if std::panic::catch_unwind(plan).is_err() {
            stop(&failed, Stopped::Failed("placement failed".to_owned()));
        }
    })?;
    Ok(())
}

/// The publisher, and the keeper, which it ends once it has ended itself.
fn spawn_publisher(
    parts: &Parts,
    publisher: Publisher,
    inbox: mpsc::Receiver<Publish>,
    keeping: keeper::Work,
) -> Result<std::thread::JoinHandle<()>, StartError> {
    let (stopped, failed) = (parts.stopped.clone(), parts.stopped.clone());
    let runtime = Handle::current();
    let keeper = thread("history", move || {
        if let Err(error) = keeping.run() {
            stop(&failed, history_failed(&error));
        }
    })?;
    thread("publisher", move || {
        let mut inbox = inbox;
        // Neither is dropped before the reason is told: the control part notices and tells less.
        match runtime.block_on(publisher.run(&mut inbox)) {
            Ok(()) => {}
            Err(failed) => stop(&stopped, publishing_failed(&failed)),
        }
        publisher.keeper.stop();
        // It has told its reason, unless it had none.
        if keeper.join().is_err() {
            stop(&stopped, Stopped::Failed("the keeper of history failed".to_owned()));
        }
    })
}

pub(super) fn publishing_failed(failed: &Failed) -> Stopped {
    match failed {
        Failed::Written(error) => history_failed(error),
        Failed::Opened(error) => Stopped::Failed(error.to_string()),
    }
}

pub(super) fn history_failed(error: &history::Error) -> Stopped {
    let source = std::error::Error::source(error).map(|s| format!(": {s}"));
    let hint = match error.is_disk_full() {
        true => "\nhint: free some space on the disk of the data directory, then `windlass up`",
        false => "",
    };
    Stopped::Failed(format!("{error}{}{hint}", source.unwrap_or_default()))
}
