//! A worker node and a control node in one process, joined by channels as a session joins them.

mod order;
mod peers;
mod sessions;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{Attempt, Element, Ending, NodeId, Outcome, RangeSet, RunId};
use proto::session::{End, Report, ToControl, to_control};
use proto::supervisor::Output;
use runner::output::{Config, Store, Stream, Writer, Written};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::*;
use crate::live::LiveOutput;

/// Patient enough for a machine with other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const RUN: RunId = RunId(1);

pub(crate) fn node(number: u8) -> NodeId {
    NodeId(Uuid::from_bytes([number; 16]))
}

pub(crate) fn attempt(index: u32) -> Attempt {
    Attempt { element: Element { run: RUN, task: 0, index }, number: 1 }
}

/// A node whose tasks are played: what they write goes the way of real output.
pub(crate) struct Worker {
    writer: Writer,
    pub(crate) local: Local,
    ended: BTreeMap<Attempt, Outcome>,
    _dir: TempDir,
}

impl Worker {
    pub(crate) fn new() -> Worker {
        let dir = TempDir::new().unwrap();
        let writer = Writer::start(Config { dir: dir.path().into(), ..Config::default() }).unwrap();
        let store = Arc::new(Store::open(dir.path()));
        let local = Local { store, live: Arc::new(LiveOutput::default()) };
        Worker { writer, local, ended: BTreeMap::new(), _dir: dir }
    }

    /// An attempt writes, and the disk has it.
    pub(crate) fn write(&mut self, attempt: Attempt, time_us: u64, bytes: &[u8]) {
        self.write_to(attempt, Stream::Stdout, time_us, bytes);
    }

    pub(crate) fn write_to(
        &mut self,
        attempt: Attempt,
        stream: Stream,
        time_us: u64,
        bytes: &[u8],
    ) {
        self.writer.append(attempt, stream, time_us, bytes);
        self.wait(
            |written, _| matches!(written, Written::Output { attempt: a, .. } if *a == attempt),
        );
    }

    /// An attempt ends.
    pub(crate) fn end(&mut self, attempt: Attempt) -> Outcome {
        let mut outcome = Outcome::bare(Ending::Exited { code: 0 });
        outcome.ended_us = 1_000_000_000;
        self.writer.end(attempt, outcome);
        self.wait(
            |written, _| matches!(written, Written::Ended { attempt: a, .. } if *a == attempt),
        );
        self.ended[&attempt].clone()
    }

    fn wait(&mut self, is_it: impl Fn(&Written, &Attempt) -> bool) {
        let end = Instant::now() + PATIENCE;
        loop {
            let mut found = false;
            for written in self.writer.poll() {
                found |= is_it(&written, &attempt(0));
                match written {
                    Written::Output { attempt, extents } => {
                        let attempt = Some(attempt.into());
                        self.local.live.told(Output { attempt, extents, all: false });
                    }
                    Written::Ended { attempt, outcome } => {
                        self.ended.insert(attempt, outcome);
                    }
                }
            }
            if found {
                return;
            }
            assert!(Instant::now() < end, "the disk takes too long");
            std::thread::yield_now();
        }
    }
}

/// What a control node has for output.
pub(crate) struct Control {
    pub(crate) ways: Arc<Ways>,
    pub(crate) keeping: Arc<Keeping>,
    _dir: TempDir,
}

impl Control {
    pub(crate) fn new(elsewhere: Option<Arc<dyn Elsewhere>>) -> Control {
        let dir = TempDir::new().unwrap();
        let store = Arc::new(Store::open(dir.path().join("output")));
        let tails = Arc::new(Tails::open(dir.path().join("tails")));
        let keeping = Keeping::new(tails.clone(), elsewhere.clone());
        let ways = Ways {
            own: node(1),
            local: Local { store, live: Arc::new(LiveOutput::default()) },
            remote: Remote::new(),
            tails,
            elsewhere,
        };
        Control { ways: Arc::new(ways), keeping, _dir: dir }
    }
}

/// A session: what the reactors say to each other, too.
pub(crate) struct Session {
    pub(crate) words: mpsc::Sender<ToControl>,
    /// What arrived for the control part.
    pub(crate) arrived: mpsc::UnboundedReceiver<ToControl>,
    tasks: Vec<JoinHandle<()>>,
}

impl Session {
    pub(crate) fn open(worker: &Worker, number: u8, control: &Control) -> Session {
        let (to_worker, mut inbox) = mpsc::unbounded_channel();
        let (words, reactor) = mpsc::channel(64);
        let (out, output) = mpsc::channel(4);
        let (line, mut from_worker) = mpsc::channel(4);
        let (arrives, arrived) = mpsc::unbounded_channel();
        let mut server = Server::new(worker.local.clone(), out);
        let serving = async move {
            while let Some(message) = inbox.recv().await {
                assert_eq!(server.heard(message), None, "nothing of the reactor's was said");
            }
        };
        let mut outbound = Outbound::new(reactor, output, worker.local.store.clone());
        let sending = async move {
            while let Some(message) = outbound.next().await {
                if line.send(message).await.is_err() {
                    return;
                }
            }
        };
        let connection = control.ways.remote.opened(node(number), to_worker);
        let mut inbound = Inbound::new(connection, control.keeping.clone());
        let hearing = async move {
            while let Some(message) = inbound.next(&mut from_worker).await {
                let _ = arrives.send(message);
            }
        };
        let tasks = vec![tokio::spawn(serving), tokio::spawn(sending), tokio::spawn(hearing)];
        Session { words, arrived, tasks }
    }

    /// Cuts it off wherever it is.
    pub(crate) async fn cut(self) {
        for task in self.tasks {
            task.abort();
            let _ = task.await;
        }
    }

    pub(crate) async fn hear(&mut self) -> ToControl {
        tokio::time::timeout(PATIENCE, self.arrived.recv()).await.unwrap().unwrap()
    }
}

pub(crate) fn report(ends: &[(Attempt, &Outcome)]) -> ToControl {
    let end = |(attempt, outcome): &(Attempt, &Outcome)| End {
        attempt: Some((*attempt).into()),
        outcome: Some((*outcome).clone().into()),
    };
    let ends = ends.iter().map(end).collect();
    ToControl { kind: Some(to_control::Kind::Report(Report { number: 1, starts: vec![], ends })) }
}

/// All that lives of a run.
pub(crate) fn live(follow: bool) -> Wanted {
    let all = BTreeMap::from([(0, RangeSet::from_iter([0..=u32::MAX]))]);
    Wanted { run: RUN, live: all, follow, ..Wanted::default() }
}

/// What an ended attempt has.
pub(crate) fn ended(attempt: Attempt, outcome: &Outcome) -> Ended {
    Ended {
        attempt,
        list: List::End(outcome.output.unwrap()),
        bytes: outcome.output_bytes,
        ended_us: outcome.ended_us,
    }
}

/// The next piece that has something in it.
pub(crate) async fn some(reading: &mut Reading) -> Option<Result<Piece, Broken>> {
    loop {
        let next = tokio::time::timeout(PATIENCE, reading.next()).await.unwrap();
        match next {
            Some(Ok(piece)) if piece.chunks.is_empty() => {}
            next => return next,
        }
    }
}

pub(crate) fn text(piece: &Piece) -> String {
    let data = piece.chunks.iter().flat_map(|placed| placed.chunk.data.clone());
    String::from_utf8(data.collect()).unwrap()
}

/// Bytes that say where they stand.
pub(crate) fn numbered(words: std::ops::Range<u64>) -> Vec<u8> {
    words.flat_map(|word| format!("{word:07}\n").into_bytes()).collect()
}
