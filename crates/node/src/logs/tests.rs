//! The reader of a run whose attempts ran on several nodes.

use std::sync::Arc;
use std::time::Duration;

use history::{History, Settings};
use machine::State;
use model::{ArraySpec, JobSpec, Outcome, TaskSpec};
use proto::record::{self, Batch, Command, Header, command::Kind};
use proto::session::{ToControl, to_control};
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};

use super::reader::Desk;
use super::*;
use crate::info::Stopped;
use crate::output::tests::{
    Control, PATIENCE, RUN, Session, Worker, attempt, node, numbered, report,
};
use crate::query;
use crate::view::View;
use crate::watchers::Watchers;

/// A control node, the workers 2 and 3, and a run of an array of four.
struct World {
    state: State,
    history: Arc<History>,
    control: Control,
    views: watch::Sender<Arc<View>>,
    watchers: Arc<Watchers>,
    _stop: watch::Sender<Option<Stopped>>,
    stopped: watch::Receiver<Option<Stopped>>,
    _dir: TempDir,
}

impl World {
    fn new() -> World {
        let dir = TempDir::new().unwrap();
        let history = Arc::new(History::open(dir.path(), Settings::default()).unwrap());
        let (stop, stopped) = watch::channel(None);
        let mut world = World {
            state: State::new(),
            history,
            control: Control::new(None),
            views: watch::channel(Arc::new(View::default())).0,
            watchers: Arc::new(Watchers::default()),
            _stop: stop,
            stopped,
            _dir: dir,
        };
        world.apply(Kind::Found(record::Found { cluster_id: vec![7; 16], incarnation: 1 }));
        for number in [2, 3] {
            world.apply(Kind::RegisterNode(record::RegisterNode {
                node_id: node(number).to_bytes(),
                name: format!("w{number}"),
                capacity: Some(proto::job::Resources { cpu_milli: 8_000, memory_bytes: 0 }),
                supervisor_id: vec![number; 16],
                lease_ms: 1,
                ..Default::default()
            }));
        }
        let mut task = TaskSpec::new(vec!["true".into()]);
        task.array = Some(ArraySpec { first: 1, last: 4, step: 1, parallel_max: 0 });
        let spec = JobSpec { owner: "ann".into(), tasks: vec![task], ..JobSpec::default() };
        let job = Some((&spec).into());
        world.apply(Kind::SubmitJob(record::SubmitJob { job, ..Default::default() }));
        world
    }

    fn apply(&mut self, kind: Kind) {
        let incarnation = u32::from(self.state.cluster().is_some());
        let header = Some(Header { incarnation, ..Default::default() });
        let batch = Batch { header, commands: vec![Command { kind: Some(kind) }] };
        let applied = self.state.apply(self.state.applied() + 1, (0, 0), &batch);
        let refused = matches!(applied.answers[..], [machine::Answer::Refused(_)]);
        assert!(!refused, "{:?}", applied.answers);
        let facts = crate::facts::facts(&applied.events, 1_000);
        self.history.add([(self.state.applied(), facts)]);
        self.views.send_replace(Arc::new(View { state: self.state.clone(), ..View::default() }));
        self.watchers.notify(RUN);
    }

    /// The element with this index is placed on a node.
    fn place(&mut self, on: u8, index: u32) {
        let ordinals = vec![record::Range { first: index - 1, last: index - 1 }];
        let pick = record::Pick { run: RUN.0, task: 0, ordinals, ahead: false };
        let (node_id, picks) = (node(on).to_bytes(), vec![pick]);
        self.apply(Kind::Place(record::Place { node_id, epoch: 1, picks }));
    }

    /// It is known how the element with this index has ended.
    fn end(&mut self, on: u8, index: u32, outcome: &Outcome) {
        let outcome = Some(outcome.clone().into());
        let ends = vec![record::End { attempt: Some(attempt(index).into()), outcome }];
        let node_id = node(on).to_bytes();
        self.apply(Kind::Report(record::Report { node_id, epoch: 1, ends, ..Default::default() }));
    }

    fn lose(&mut self, number: u8) {
        let node_id = node(number).to_bytes();
        self.apply(Kind::LoseNode(record::LoseNode { node_id, epoch: 1 }));
    }

    fn read(&self, id: &str, follow: bool) -> Logs {
        let view = self.views.borrow().clone();
        let resolved = query::resolve(&view, &self.history, id).unwrap();
        let desk = Desk {
            views: self.views.subscribe(),
            watchers: self.watchers.clone(),
            history: self.history.clone(),
            readers: Arc::new(Semaphore::new(2)),
            ways: self.control.ways.clone(),
            stopped: self.stopped.clone(),
        };
        start_on(desk, resolved, LogsRequest { follow, streams: Streams::Both })
    }
}

/// What comes up to this text.
async fn up_to(logs: &mut Logs, end: &str) -> String {
    let mut all = String::new();
    while !all.ends_with(end) {
        let chunk = tokio::time::timeout(PATIENCE, logs.next()).await;
        let chunk = chunk.unwrap_or_else(|_| panic!("waited for {end:?} after {all:?}"));
        all += &shown(&chunk.unwrap().unwrap());
    }
    all
}

async fn rest(logs: &mut Logs) -> String {
    let mut all = String::new();
    while let Some(chunk) = tokio::time::timeout(PATIENCE, logs.next()).await.unwrap() {
        all += &shown(&chunk.unwrap());
    }
    all
}

fn shown(chunk: &Chunk) -> String {
    let text = String::from_utf8(chunk.data.clone()).unwrap();
    if chunk.stream == 3 { format!("{text}\n") } else { text }
}

/// The node's report is heard; what came before it is kept.
async fn reported(session: &mut Session, index: u32, outcome: &Outcome) {
    session.words.send(report(&[(attempt(index), outcome)])).await.unwrap();
    let heard: ToControl = session.hear().await;
    assert!(matches!(heard.kind, Some(to_control::Kind::Report(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_on_two_nodes_is_one_by_time() {
    let mut world = World::new();
    let (mut two, mut three) = (Worker::new(), Worker::new());
    let _sessions =
        [Session::open(&two, 2, &world.control), Session::open(&three, 3, &world.control)];
    for (on, index) in [(2, 1), (3, 2), (3, 3)] {
        world.place(on, index);
    }
    two.write(attempt(1), 10, b"a\n");
    three.write(attempt(2), 20, b"b\n");
    two.write(attempt(1), 30_000, b"c\n");
    three.write(attempt(3), 40_000, b"d\n");
    two.write(attempt(1), 60_000, b"e\n");
    assert_eq!(rest(&mut world.read("1", false)).await, "a\nb\nc\nd\ne\n");
    assert_eq!(rest(&mut world.read("1[2-3]", false)).await, "b\nd\n");
    world.end(2, 1, &two.end(attempt(1)));
    two.local.live.forget(&[attempt(1)]);
    world.end(3, 2, &three.end(attempt(2)));
    assert_eq!(rest(&mut world.read("1", false)).await, "a\nb\nc\nd\ne\n", "ended or not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_followed_to_nodes_that_it_comes_to() {
    let mut world = World::new();
    let (mut two, mut three) = (Worker::new(), Worker::new());
    let _sessions =
        [Session::open(&two, 2, &world.control), Session::open(&three, 3, &world.control)];
    world.place(2, 1);
    let mut logs = world.read("1[1-3]", true);
    two.write(attempt(1), 10, b"first\n");
    assert_eq!(up_to(&mut logs, "first\n").await, "first\n");
    world.place(3, 2);
    three.write(attempt(2), 20, b"elsewhere\n");
    assert_eq!(up_to(&mut logs, "elsewhere\n").await, "elsewhere\n");
    // This one ends before anybody has looked where it ran.
    three.write(attempt(3), 30, b"quick\n");
    let quick = three.end(attempt(3));
    three.local.live.forget(&[attempt(3)]);
    two.write(attempt(1), 40, b"last words\n");
    world.end(2, 1, &two.end(attempt(1)));
    world.end(3, 2, &three.end(attempt(2)));
    world.place(3, 3);
    world.end(3, 3, &quick);
    let mut lines: Vec<String> = rest(&mut logs).await.lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["last words", "quick"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_cut_and_comes_back_costs_nothing_and_doubles_nothing() {
    for follow in [false, true] {
        let mut world = World::new();
        let mut two = Worker::new();
        let words = numbered(0..100_000);
        for (count, part) in words.chunks(10_000).enumerate() {
            two.write(attempt(1), count as u64 * 100_000, part);
        }
        world.place(2, 1);
        let mut session = Session::open(&two, 2, &world.control);
        let mut logs = world.read("1[1]", follow);
        let mut all = up_to(&mut logs, "\n").await;
        for part in 1..4 {
            while all.len() < part * words.len() / 5 {
                all += &up_to(&mut logs, "\n").await;
            }
            session.cut().await;
            session = Session::open(&two, 2, &world.control);
        }
        world.end(2, 1, &two.end(attempt(1)));
        all += &rest(&mut logs).await;
        assert!(all.as_bytes() == words, "{} of {} bytes", all.len(), words.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_node_that_is_gone_the_tail_is_shown_and_a_mark_for_the_rest() {
    let mut world = World::new();
    let mut two = Worker::new();
    let words = numbered(0..100_000);
    let mut session = Session::open(&two, 2, &world.control);
    (1..=4).for_each(|index| world.place(2, index));
    for (count, part) in words.chunks(50_000).enumerate() {
        two.write(attempt(1), count as u64 * 100_000, part);
    }
    two.write(attempt(2), 7, b"all of it\n");
    two.write(attempt(3), 8, b"half of it\n");
    for index in [1, 2] {
        let outcome = two.end(attempt(index));
        reported(&mut session, index, &outcome).await;
        world.end(2, index, &outcome);
    }
    let mut logs = world.read("1[1-3]", true);
    let followed = up_to(&mut logs, std::str::from_utf8(&words[799_000..]).unwrap()).await;
    assert_eq!(followed.len(), words.len() + "all of it\nhalf of it\n".len());
    session.cut().await;
    world.lose(2);
    world.apply(Kind::Cancel(record::Cancel { run: RUN.0, ..Default::default() }));
    let gone = "it lay on node w2, which is gone]\n";
    // Whoever has read it misses nothing of what has ended; of the others nobody knows.
    assert_eq!(rest(&mut logs).await, format!("[windlass: output may be missing here: {gone}"));
    let tail = std::str::from_utf8(&words[words.len() - (64 << 10)..]).unwrap();
    let mark = format!("[windlass: 717 KiB of output missing here: {gone}");
    assert_eq!(rest(&mut world.read("1[1]", false)).await, format!("{mark}{tail}"));
    assert_eq!(
        rest(&mut world.read("1[2]", false)).await,
        "all of it\n",
        "no mark where nothing is missing"
    );
    let marks = rest(&mut world.read("1[3-4]", false)).await;
    assert_eq!(marks, format!("[windlass: output may be missing here: {gone}").repeat(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_does_not_come_back_in_time_is_named() {
    let mut world = World::new();
    let mut two = Worker::new();
    world.place(2, 1);
    world.place(2, 2);
    two.write(attempt(1), 7, b"words\n");
    let outcome = two.end(attempt(1));
    world.end(2, 1, &outcome);
    let begun = std::time::Instant::now();
    let all = rest(&mut world.read("1[1-2]", false)).await;
    let reason = "on node w2, which cannot be reached: it has no session]\n";
    let running = "[windlass: what one attempt has written so far cannot be shown: it lies ";
    let missing = "[windlass: 6 B of output missing here: it lay ";
    let mut lines: Vec<&str> = all.split_inclusive('\n').collect();
    lines.sort();
    assert_eq!(lines, [format!("{missing}{reason}"), format!("{running}{reason}")]);
    assert!(begun.elapsed() >= Duration::from_secs(4), "it was waited for");
    // Once it is back everything is there.
    let _session = Session::open(&two, 2, &world.control);
    assert_eq!(rest(&mut world.read("1", false)).await, "words\n");
}
