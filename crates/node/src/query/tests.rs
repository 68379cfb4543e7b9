//! Queries against a state and a history that were made for them.

use history::{AttemptFact, Fact, History, RunFilter, Settings, States};
use machine::State;
use model::{
    ArraySpec, Ending, Fence, JobSpec, NodeId, Outcome, RangeSet, RunId, TaskSpec, TaskState,
};
use proto::record::{self, Batch, Command, Header, command::Kind};

use super::*;
use crate::view::View;

/// A cluster of one node.
struct World {
    state: State,
    history: History,
    _dir: tempfile::TempDir,
    index: u64,
}

fn spec(count: u32) -> JobSpec {
    let mut task = TaskSpec::new(vec!["true".into()]);
    task.array = Some(ArraySpec { first: 1, last: 2 * count, step: 2, parallel_max: 0 });
    JobSpec { owner: "ann".into(), tasks: vec![task], ..JobSpec::default() }
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let history = History::open(dir.path(), Settings::default()).unwrap();
        let mut world = World { state: State::new(), history, _dir: dir, index: 0 };
        world.apply(Kind::Found(record::Found { cluster_id: vec![7; 16], incarnation: 1 }));
        world.apply(Kind::RegisterNode(record::RegisterNode {
            node_id: vec![1; 16],
            capacity: Some(proto::job::Resources { cpu_milli: 4_000_000, memory_bytes: 0 }),
            supervisor_id: vec![2; 16],
            ..Default::default()
        }));
        world
    }

    fn apply(&mut self, kind: Kind) {
        let incarnation = u32::from(self.state.cluster().is_some());
        let header = Some(Header { incarnation, ..Default::default() });
        let batch = Batch { header, commands: vec![Command { kind: Some(kind) }] };
        let applied = self.state.apply(self.state.applied() + 1, (0, 0), &batch);
        assert!(
            !matches!(applied.answers[..], [machine::Answer::Refused(_)]),
            "{:?}",
            applied.answers
        );
        let facts = crate::facts::facts(&applied.events, 1_000);
        self.history.add([(self.state.applied(), facts)]);
    }

    fn submit(&mut self, spec: &JobSpec) {
        let job = Some(spec.into());
        self.apply(Kind::SubmitJob(record::SubmitJob { job, ..Default::default() }));
    }

    fn place(&mut self, run: u64, first: u32, last: u32) {
        let ordinals = vec![record::Range { first, last }];
        let pick = record::Pick { run, task: 0, ordinals, ahead: false };
        self.apply(Kind::Place(record::Place {
            node_id: vec![1; 16],
            epoch: 1,
            picks: vec![pick],
        }));
    }

    fn cancel(&mut self, run: u64, first: u32, last: u32) {
        let ordinals = vec![record::Range { first, last }];
        self.apply(Kind::Cancel(record::Cancel { run, ordinals, ..Default::default() }));
    }

    /// The node reports how an attempt ended.
    fn end(&mut self, run: u64, ordinal: u32, code: i32) {
        let live = self.state.run(RunId(run)).unwrap().tasks[0].live[&ordinal].clone();
        let attempt =
            self.state.run(RunId(run)).unwrap().attempt(RunId(run), 0, ordinal, live.number);
        let ended = record::End {
            attempt: Some(attempt.into()),
            outcome: Some(Outcome::bare(Ending::Exited { code }).into()),
        };
        let (node_id, ends) = (vec![1; 16], vec![ended]);
        self.apply(Kind::Report(record::Report { node_id, epoch: 1, ends, ..Default::default() }));
    }

    /// History alone hears that an element ended: it may be newer than the state.
    fn tell(&mut self, run: u64, ordinal: u32, code: i32) {
        let outcome = Outcome::bare(Ending::Exited { code });
        let state = outcome.state(&[]);
        let fact = AttemptFact {
            run: RunId(run),
            task: 0,
            ordinal,
            number: 1,
            fence: Fence(1),
            node: NodeId::from_bytes(&[1; 16]).unwrap(),
            placed_ms: 5,
            outcome,
            because: None,
            state,
        };
        self.index = self.index.max(1_000_000) + 1;
        self.history.add([(self.index, vec![Fact::Attempt(fact)])]);
    }

    fn view(&self) -> View {
        View { state: self.state.clone(), ..View::default() }
    }

    fn resolve(&self, text: &str) -> Resolved {
        resolve(&self.view(), &self.history, text).unwrap()
    }

    /// Index and state of what is shown.
    fn shown(&self, text: &str, limit: usize) -> Vec<(u32, TaskState)> {
        let detail = detail(&self.view(), &self.history, &self.resolve(text), &[], limit);
        detail.elements.iter().map(|status| (status.element.index, status.state)).collect()
    }
}

use TaskState::{Canceled, Failed, Queued, Scheduled, Succeeded};

#[test]
fn what_has_ended_or_is_placed_comes_first_and_in_order() {
    let mut world = World::new();
    world.submit(&spec(10));
    world.place(1, 2, 3);
    world.cancel(1, 5, 7);
    world.tell(1, 0, 3);
    let told = [
        (1, Failed),
        (5, Scheduled),
        (7, Scheduled),
        (11, Canceled),
        (13, Canceled),
        (15, Canceled),
    ];
    let waiting = [(3, Queued), (9, Queued), (17, Queued), (19, Queued)];
    let all: Vec<_> = told.into_iter().chain(waiting).collect();
    for limit in 0..=11 {
        assert_eq!(world.shown("1", limit), all[..limit.min(10)], "{limit}");
    }
    assert_eq!(
        world.shown("1/main[5-9,13]", 9),
        [(5, Scheduled), (7, Scheduled), (13, Canceled), (9, Queued)]
    );
    world.history.flush().unwrap();
    assert_eq!(world.shown("1", 11), all);
}

#[test]
fn what_neither_waits_nor_is_placed_has_ended() {
    let mut world = World::new();
    world.submit(&spec(10));
    world.place(1, 2, 3);
    world.cancel(1, 5, 7);
    let check = |ordinals: RangeSet, ended| {
        let tasks = vec![(0, ordinals.clone())];
        let resolved = Resolved { tasks, whole: false, ..world.resolve("1") };
        let expected = Progress { ended, total: ordinals.len() };
        assert_eq!(progress(&world.view(), &resolved), expected, "{ordinals}");
    };
    check(RangeSet::from_iter([0..=9]), 3);
    check(RangeSet::from_iter([0..=1, 3..=5, 7..=8]), 2);
    check(RangeSet::from_iter([5..=7]), 3);
    check(RangeSet::from_iter([2..=3]), 0);
    let whole = progress(&world.view(), &world.resolve("1"));
    assert_eq!(whole, Progress { ended: 3, total: 10 });
}

#[test]
fn a_part_ends_as_its_first_failure() {
    let mut world = World::new();
    world.submit(&spec(10));
    world.place(1, 0, 9);
    [0, 0, 3, 0, 4].into_iter().zip(0..).for_each(|(code, ordinal)| world.tell(1, ordinal, code));
    let check = |text: &str, code, words: &str| {
        let end = end(&world.view(), &world.history, &world.resolve(text));
        assert_eq!((end.exit_code, end.summary.as_str()), (code, words), "{text}");
    };
    check("1/main[1,3,7]", 0, "succeeded");
    check("1/main[1-9]", 3, "failed: exit code 3");
    check("1/main[7-9]", 4, "failed: exit code 4");
}

#[test]
fn ten_million_elements_cost_no_more_than_ten() {
    let mut world = World::new();
    world.submit(&spec(10_000_000));
    world.place(1, 9_000_000, 9_000_001);
    world.cancel(1, 0, 4_999_999);
    let begun = std::time::Instant::now();
    for _ in 0..100 {
        assert_eq!(world.shown("1", 2), [(1, Canceled), (3, Canceled)]);
        assert_eq!(world.shown("1/main[18000001]", 2), [(18_000_001, Scheduled)]);
        let resolved = world.resolve("1/main[3-19999999]");
        let expected = Progress { ended: 4_999_999, total: 9_999_999 };
        assert_eq!(progress(&world.view(), &resolved), expected);
        let end = end(&world.view(), &world.history, &world.resolve("1/main[1-1001]"));
        assert_eq!((end.exit_code, end.summary.as_str()), (130, "canceled: before it started"));
    }
    // One look at each element would take a hundred times as long.
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "{:?}", begun.elapsed());
}

#[test]
fn one_list_has_the_live_and_the_ended_and_its_pages_join() {
    let mut world = World::new();
    for n in 1..=30u32 {
        let mut job = spec(2);
        job.name = if n % 2 == 0 { "even".into() } else { String::new() };
        job.labels = vec![("n".into(), (n % 5).to_string())];
        world.submit(&job);
        if n % 3 == 0 {
            world.cancel(u64::from(n), 0, 1);
        }
    }
    let list = |filter: &RunFilter, all| {
        let (mut found, mut before) = (Vec::new(), RunId(u64::MAX));
        loop {
            let page = runs(&world.view(), &world.history, filter, all, before, 4);
            assert!(page.runs.len() <= 4);
            found.extend(page.runs.iter().map(|run| run.run.0));
            match page.next {
                Some(next) => before = next,
                None => return found,
            }
        }
    };
    let check = |filter: RunFilter, all, wants: &dyn Fn(u64) -> bool| {
        let expected: Vec<u64> = (1..=30).rev().filter(|n| wants(*n)).collect();
        assert_eq!(list(&filter, all), expected, "{filter:?}");
    };
    let any = RunFilter::default;
    check(any(), true, &|_| true);
    check(any(), false, &|n| n % 3 > 0);
    check(RunFilter { name: Some("even".into()), ..any() }, true, &|n| n % 2 == 0);
    check(RunFilter { labels: vec![("n".into(), "1".into())], ..any() }, true, &|n| n % 5 == 1);
    let states = States::from_iter([Canceled]);
    check(RunFilter { states, ..any() }, true, &|n| n % 3 == 0);
    let states = States::from_iter([Queued]);
    check(RunFilter { states, ..any() }, true, &|n| n % 3 > 0);
    check(RunFilter { exit_code: Some(130), ..any() }, true, &|n| n % 3 == 0);
    check(RunFilter { owner: Some("bob".into()), ..any() }, true, &|_| false);
    let ended = world.resolve("even");
    assert_eq!((ended.run, ended.spec.name.as_str()), (RunId(30), "even"));
    let summary = detail(&world.view(), &world.history, &ended, &[], 0).summary;
    assert_eq!((summary.state, summary.exit_code, summary.elements), (Canceled, Some(130), 2));
}

#[test]
fn a_repetition_tells_of_what_it_took_over() {
    let mut world = World::new();
    world.submit(&spec(4));
    world.place(1, 0, 1);
    world.cancel(1, 2, 3);
    world.end(1, 0, 0);
    world.end(1, 1, 3);
    let ordinals = vec![record::Range { first: 1, last: 2 }];
    let taken = |state: TaskState| record::StateCount { state: state.name().into(), count: 1 };
    let failure = record::Failure { ordinal: 3, exit_code: 130, summary: "canceled".into() };
    let taken = vec![taken(Succeeded), taken(Canceled)];
    let task = record::RerunTask { ordinals, taken, failure: Some(failure) };
    let rerun = Some(record::Rerun { of: 1, tasks: vec![task] });
    let job = Some((&spec(4)).into());
    world.apply(Kind::SubmitJob(record::SubmitJob { job, rerun, ..Default::default() }));
    assert_eq!(world.shown("2", 9), [(1, Succeeded), (7, Canceled), (3, Queued), (5, Queued)]);
    world.place(2, 1, 2);
    world.end(2, 1, 0);
    assert_eq!(
        world.shown("2", 9),
        [(1, Succeeded), (3, Succeeded), (5, Scheduled), (7, Canceled)]
    );
    world.end(2, 2, 0);
    let all = [(1, Succeeded), (3, Succeeded), (5, Succeeded), (7, Canceled)];
    assert_eq!(world.shown("2", 9), all);
    let check = |text: &str, code| {
        assert_eq!(
            end(&world.view(), &world.history, &world.resolve(text)).exit_code,
            code,
            "{text}"
        );
    };
    check("2/main[1-5]", 0);
    check("2/main[7]", 130);
    check("1/main[1-5]", 3);
}

#[test]
fn damaged_facts_are_named_and_hide_no_others() {
    let mut world = World::new();
    world.submit(&spec(5_000));
    world.place(1, 0, 4_999);
    (0..5_000).for_each(|ordinal| world.tell(1, ordinal, i32::from(ordinal == 4_998)));
    world.history.flush().unwrap();
    let dir = world._dir.path();
    let mut paths = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let part = paths.find(|path| path.is_file()).unwrap();
    let mut bytes = std::fs::read(&part).unwrap();
    bytes[300] ^= 1; // In the first block of attempts, behind its header.
    std::fs::write(&part, bytes).unwrap();
    let status = |text: &str| {
        // The state has forgotten the run, as it does.
        let resolved = world.resolve(text);
        let detail = detail(
            &View::default(),
            &world.history,
            &Resolved { ended: Some(head()), ..resolved },
            &[],
            10,
        );
        detail.elements
    };
    let damaged = &status("1/main[1]")[0];
    assert_eq!(damaged.state, TaskState::Unknown);
    assert!(damaged.because.as_ref().unwrap().reason.contains("damaged"), "{damaged:?}");
    assert_eq!(status("1/main[9999]")[0].state, Succeeded);
    let resolved = Resolved { ended: Some(head()), ..world.resolve("1/main[1-9999]") };
    let ended = end(&View::default(), &world.history, &resolved);
    assert_eq!((ended.exit_code, ended.summary.as_str()), (1, "failed: exit code 1"));
    let resolved = Resolved { ended: Some(head()), ..world.resolve("1/main[1-9]") };
    let ended = end(&View::default(), &world.history, &resolved);
    assert_eq!(ended.exit_code, 0, "no element of that block failed, as its header says");
}

fn head() -> history::RunHead {
    let mut world = World::new();
    world.submit(&spec(1));
    world.cancel(1, 0, 0);
    match world.history.head(RunId(1)) {
        history::Found::Known(head) => head,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_summary_shows_the_beginning_of_a_command() {
    let mut job = spec(1);
    job.tasks[0].command = vec!["sh".into(), "x".repeat(1_000), "y".into()];
    let shown = crate::facts::command(&job);
    assert_eq!((shown.chars().count(), &shown[..5]), (200, "sh xx"));
    assert!(shown.ends_with('…'), "{shown}");
}
