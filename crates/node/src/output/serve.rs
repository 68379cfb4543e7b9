//! The worker's side: answers those who read this node's output through its session.
//!
//! Each reading is a task of its own, which sends no more than its reader allows. All of them share
//! one short queue, which the session empties when nothing else waits. They end with the session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use proto::session::{
    OutputWanted, ReadOutput, StopReading, ToControl, ToWorker, read_output, to_control, to_worker,
};
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;

use super::local::Local;
use super::reading::Broken;
use super::{Wanted, wire};

/// Readings at a time.
const READINGS_MAX: usize = 64;
/// Attempts that all of them list.
const LISTED_MAX: usize = 1_000_000;
/// What one reading is allowed before its reader has taken something.
pub(super) const WINDOW: usize = 256 << 10;

/// The readings of one session.
pub(crate) struct Server {
    local: Local,
    out: mpsc::Sender<ToControl>,
    readings: BTreeMap<u64, Running>,
}

enum Running {
    /// The messages that say what is wanted are not all there.
    Asked(Wanted),
    /// It is not read, and the rest of what is wanted does not count.
    Refused,
    Reading {
        listed: usize,
        credit: Arc<Credit>,
        task: AbortHandle,
    },
}

impl Running {
    fn listed(&self) -> usize {
        match self {
            Running::Asked(wanted) => wanted.ended.len() + wanted.places.len(),
            Running::Refused => 0,
            Running::Reading { listed, .. } => *listed,
        }
    }
}

impl Server {
    /// Serves a session that begins; what is to be sent goes to `out`.
    pub(crate) fn new(local: Local, out: mpsc::Sender<ToControl>) -> Server {
        Server { local, out, readings: BTreeMap::new() }
    }

    /// Hears what a control node says; what is of no reader comes back. It never waits.
    pub(crate) fn heard(&mut self, message: ToWorker) -> Option<ToWorker> {
        match message.kind {
            Some(to_worker::Kind::ReadOutput(ReadOutput { number, kind })) => {
                match kind {
                    Some(read_output::Kind::Wanted(wanted)) => self.wanted(number, wanted),
                    Some(read_output::Kind::Credit(credit)) => self.credit(number, credit),
                    None => {}
                }
                None
            }
            Some(to_worker::Kind::StopReading(StopReading { number })) => {
                self.stop(number);
                None
            }
            kind => Some(ToWorker { kind }),
        }
    }

    fn wanted(&mut self, number: u64, message: OutputWanted) {
        let more = message.more;
        let wanted = match self.readings.remove(&number) {
            Some(Running::Asked(mut wanted)) => {
                wanted.add(message);
                wanted
            }
            Some(Running::Refused) if !more => return,
            Some(running) => {
                // It reads already, or never will.
                self.readings.insert(number, running);
                return;
            }
            None => Wanted::begin(message),
        };
        self.forget_ended();
        let listed: usize = self.readings.values().map(Running::listed).sum();
        let all = listed + wanted.ended.len() + wanted.places.len();
        let running = if self.readings.len() >= READINGS_MAX || all > LISTED_MAX {
            self.refuse(number, Broken::cut("it has too many readers of its output"), more)
        } else if wanted.is_too_long() {
            self.refuse(number, Broken::failed("too many attempts were asked for at once"), more)
        } else if more {
            Some(Running::Asked(wanted))
        } else {
            Some(self.begin(number, wanted))
        };
        self.readings.extend(running.map(|running| (number, running)));
    }

    fn begin(&self, number: u64, wanted: Wanted) -> Running {
        let listed = wanted.ended.len() + wanted.places.len();
        let credit = Arc::new(Credit::new(WINDOW));
        let mut reading = self.local.read(wanted);
        let (out, left) = (self.out.clone(), credit.clone());
        let task = tokio::spawn(async move {
            loop {
                left.some().await;
                let piece = reading.next().await;
                let is_last = !matches!(piece, Some(Ok(_)));
                if let Some(Ok(piece)) = &piece {
                    left.take(piece.cost());
                }
                // The session may be over.
                if out.send(message(number, piece)).await.is_err() || is_last {
                    return;
                }
            }
        });
        Running::Reading { listed, credit, task: task.abort_handle() }
    }

    fn credit(&mut self, number: u64, more: u64) {
        if let Some(Running::Reading { credit, .. }) = self.readings.get(&number) {
            credit.give(more);
        }
    }

    fn stop(&mut self, number: u64) {
        if let Some(Running::Reading { task, .. }) = self.readings.remove(&number) {
            task.abort();
        }
    }

    fn forget_ended(&mut self) {
        self.readings.retain(|_, running| match running {
            Running::Asked(_) | Running::Refused => true,
            Running::Reading { task, .. } => !task.is_finished(),
        });
    }

    fn refuse(&self, number: u64, broken: Broken, more: bool) -> Option<Running> {
        let out = self.out.clone();
        // Bounded by the control nodes, which wait for this before they ask again.
        tokio::spawn(async move { out.send(message(number, Some(Err(broken)))).await });
        more.then_some(Running::Refused)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for running in self.readings.values() {
            if let Running::Reading { task, .. } = running {
                task.abort();
            }
        }
    }
}

fn message(number: u64, piece: Option<Result<super::Piece, Broken>>) -> ToControl {
    ToControl { kind: Some(to_control::Kind::Output(wire::output(number, piece))) }
}

/// What a reader allows; the last piece may go beyond it.
struct Credit {
    left: AtomicI64,
    bell: Notify,
}

impl Credit {
    fn new(window: usize) -> Credit {
        Credit { left: AtomicI64::new(window as i64), bell: Notify::new() }
    }

    fn give(&self, more: u64) {
        // A reader allows little more than it has taken; whoever says otherwise gets no further.
        let more = more.min(i64::from(u32::MAX) as u64) as i64;
        self.left.fetch_add(more, Ordering::AcqRel);
        self.bell.notify_one();
    }

    fn take(&self, cost: usize) {
        self.left.fetch_sub(cost as i64, Ordering::AcqRel);
    }

    async fn some(&self) {
        while self.left.load(Ordering::Acquire) <= 0 {
            self.bell.notified().await;
        }
    }
}
