//! The ring, its readers, and what events tell.

use machine::{Event as Change, State};
use model::{
    ArraySpec, Attempt, Because, Element, Ending, JobSpec, Outcome, RangeSet, RunId, TaskSpec,
};
use proto::record::{self, Batch, Command, Header, command::Kind};

use super::*;
use crate::error::Refused;

fn event(kind: EventKind, run: u64) -> Event {
    Event {
        kind,
        time_ms: 0,
        run: Some(RunId(run)),
        name: "nightly".into(),
        labels: Arc::new([("team".to_owned(), "a".to_owned())]),
        task: "".into(),
        is_array: false,
        elements: Vec::new(),
        count: 0,
        attempt: 0,
        node: None,
        node_name: "n1".into(),
        state: None,
        exit_code: None,
        summary: String::new(),
        because: None,
    }
}

fn created(run: u64) -> Vec<Event> {
    vec![event(EventKind::RunCreated, run)]
}

fn events(ring: &Arc<Ring>, filter: EventFilter, after: Option<u64>) -> Result<Events, Refused> {
    Events::new(ring.clone(), filter, after)
}

/// The indices a reader gets now.
fn indices(events: &mut Events) -> Vec<u64> {
    std::iter::from_fn(|| events.next_now().unwrap().map(|batch| batch.index)).collect()
}

#[tokio::test]
async fn a_reader_resumes_after_any_index_and_gets_each_batch_once() {
    let ring = Arc::new(Ring::default());
    for index in 1..=20 {
        let changes = if index % 2 == 0 { created(index) } else { Vec::new() };
        ring.add(index, changes);
    }
    for after in 1..=20 {
        let mut reader = events(&ring, EventFilter::default(), Some(after)).unwrap();
        let wanted: Vec<u64> = (after + 1..=20).filter(|index| index % 2 == 0).collect();
        assert_eq!(indices(&mut reader), wanted, "after {after}");
        assert_eq!(reader.seen(), 20);
    }
    let mut reader = events(&ring, EventFilter::default(), None).unwrap();
    assert!(indices(&mut reader).is_empty());
    ring.add(21, created(21));
    assert_eq!(reader.next().await.unwrap().index, 21);
}

#[tokio::test]
async fn what_is_gone_is_told_to_who_resumes_and_to_who_reads_too_slowly() {
    let ring = Arc::new(Ring::bounded(10, 1 << 20));
    ring.add(5, Vec::new());
    let mut slow = events(&ring, EventFilter::default(), Some(5)).unwrap();
    assert_eq!(
        events(&ring, EventFilter::default(), Some(4)).err(),
        Some(Refused::TooOld { oldest: 5 })
    );
    (6..=30).for_each(|index| ring.add(index, created(index)));
    assert_eq!(ring.begins_after(), 20, "ten are kept");
    assert_eq!(slow.next_now(), Err(Refused::TooOld { oldest: 20 }));
    let mut reader = events(&ring, EventFilter::default(), Some(20)).unwrap();
    assert_eq!(indices(&mut reader), (21..=30).collect::<Vec<_>>());
    let ahead = events(&ring, EventFilter::default(), Some(31)).err();
    assert!(matches!(ahead, Some(Refused::Unfit(_))), "{ahead:?}");
}

#[test]
fn the_ring_is_bounded_in_bytes_and_keeps_its_latest_batch() {
    let ring = Ring::bounded(1_000, 2_000);
    (1..=100).for_each(|index| ring.add(index, created(index)));
    assert!((50..99).contains(&ring.begins_after()), "{}", ring.begins_after());
    ring.add(101, (0..5_000).map(|run| event(EventKind::RunCreated, run)).collect());
    assert_eq!(ring.begins_after(), 100);
}

#[test]
fn what_is_packed_comes_out_as_it_was() {
    let full = Event {
        time_ms: 1_790_000_000_123,
        task: "crunch".into(),
        is_array: true,
        elements: vec![(0, 0), (7, u32::MAX)],
        count: u64::MAX,
        attempt: 3,
        node: Some(model::NodeId(uuid::Uuid::from_bytes([9; 16]))),
        state: Some(TaskState::Dead),
        exit_code: Some(-1),
        summary: "exit 1".to_owned(),
        because: Some(Arc::new(Because::new("user:ann", ""))),
        ..event(EventKind::AttemptEnded, RunId::MAX.0)
    };
    let states = TaskState::ALL.map(|state| Event { state: Some(state), ..full.clone() });
    let kinds = EventKind::ALL.map(|kind| event(kind, 0));
    let all: Vec<Event> = [full].into_iter().chain(states).chain(kinds).collect();
    assert_eq!(super::packed::unpack(&super::packed::pack(&all)), all);
}

#[test]
fn a_change_of_one_element_is_small() {
    let one = Event {
        task: "main".into(),
        node: Some(model::NodeId(uuid::Uuid::from_bytes([9; 16]))),
        elements: vec![(0, 0)],
        time_ms: 1_790_000_000_123,
        ..event(EventKind::Started, 40_000)
    };
    assert!(super::packed::pack(&[one]).len() < 80);
}

#[tokio::test]
async fn how_nodes_are_connected_is_told_again_rather_than_not() {
    let ring = Arc::new(Ring::default());
    ring.add(1, created(1));
    ring.add(1, vec![event(EventKind::NodeConnected, 1)]);
    let mut reader = events(&ring, EventFilter::default(), Some(1)).unwrap();
    let batch = reader.next_now().unwrap().unwrap();
    assert_eq!((batch.index, batch.events[0].kind), (1, EventKind::NodeConnected));
}

#[tokio::test(start_paused = true)]
async fn who_wants_little_still_hears_from_where_to_resume() {
    let ring = Arc::new(Ring::default());
    let filter = EventFilter { runs: vec![RunId(7)], ..EventFilter::default() };
    ring.add(1, Vec::new());
    let mut reader = events(&ring, filter, None).unwrap();
    (2..=50).for_each(|index| ring.add(index, created(1_000 + index)));
    let batch = reader.next().await.unwrap();
    assert_eq!((batch.index, batch.events.len()), (50, 0));
}

#[tokio::test]
async fn the_end_of_the_node_ends_every_watch() {
    let ring = Arc::new(Ring::default());
    ring.add(1, Vec::new());
    let mut reader = events(&ring, EventFilter::default(), None).unwrap();
    ring.add(2, created(2));
    ring.close();
    assert_eq!(reader.next().await.unwrap().index, 2);
    assert!(matches!(reader.next().await, Err(Refused::Unavailable(_))));
}

#[test]
fn a_filter_wants_what_it_says() {
    let some = event(EventKind::RunCreated, 1);
    let wants = |filter: EventFilter| filter.wants(&some);
    let none = EventFilter::default;
    assert!(wants(none()));
    assert!(wants(EventFilter { runs: vec![RunId(2), RunId(1)], ..none() }));
    assert!(!wants(EventFilter { runs: vec![RunId(2)], ..none() }));
    assert!(!wants(EventFilter { kinds: vec![EventKind::Started], ..none() }));
    assert!(!wants(EventFilter { states: vec![TaskState::Failed], ..none() }));
    assert!(wants(EventFilter { node: Some("n1".into()), ..none() }));
    assert!(!wants(EventFilter { name: Some("hourly".into()), ..none() }));
    assert!(wants(EventFilter { labels: vec![("team".into(), "a".into())], ..none() }));
    assert!(!wants(EventFilter { labels: vec![("team".into(), "b".into())], ..none() }));
}

/// A state with one run of an array of `1-19:2`, and what was told of it.
fn world(commands: Vec<Kind>) -> (State, Vec<Change>) {
    let mut state = State::new();
    let mut told = Vec::new();
    for (index, kind) in commands.into_iter().enumerate() {
        let header = Some(Header {
            incarnation: u32::from(state.cluster().is_some()),
            time_ms: 1_000,
            ..Header::default()
        });
        let batch = Batch { header, commands: vec![Command { kind: Some(kind) }] };
        told.extend(state.apply(index as u64 + 1, (0, 0), &batch).events);
    }
    (state, told)
}

fn start() -> Vec<Kind> {
    let mut task = TaskSpec::new(vec!["true".into()]);
    task.array = Some(ArraySpec { first: 1, last: 19, step: 2, parallel_max: 0 });
    let spec = JobSpec { name: "nightly".into(), tasks: vec![task], ..JobSpec::default() };
    let picks = [(0, 2), (6, 7)].map(|(first, last)| record::Pick {
        run: 1,
        task: 0,
        ordinals: vec![record::Range { first, last }],
        ahead: false,
    });
    vec![
        Kind::Found(record::Found { cluster_id: vec![7; 16], incarnation: 1 }),
        Kind::RegisterNode(record::RegisterNode {
            node_id: vec![1; 16],
            name: "n1".into(),
            capacity: Some(proto::job::Resources { cpu_milli: 9_000, memory_bytes: 9 << 30 }),
            supervisor_id: vec![2; 16],
            ..Default::default()
        }),
        Kind::SubmitJob(record::SubmitJob { job: Some((&spec).into()), ..Default::default() }),
        Kind::Place(record::Place { node_id: vec![1; 16], epoch: 1, picks: picks.into() }),
    ]
}

fn attempt(index: u32) -> Attempt {
    Attempt { element: Element { run: RunId(1), task: 0, index }, number: 1 }
}

#[test]
fn neighbours_are_one_event_with_ranges_of_the_arrays_own_indices() {
    let end = |index, code| record::End {
        attempt: Some(attempt(index).into()),
        outcome: Some(Outcome::bare(Ending::Exited { code }).into()),
    };
    let mut commands = start();
    commands.push(Kind::Report(record::Report {
        node_id: vec![1; 16],
        epoch: 1,
        ends: vec![end(1, 0), end(3, 2), end(5, 0), end(13, 2)],
        ..Default::default()
    }));
    let (state, told) = world(commands);
    let events = describe(&told, &state);
    let told: Vec<_> = events.iter().map(|e| (e.kind, e.id(), e.count, e.exit_code)).collect();
    let ended = EventKind::AttemptEnded;
    assert_eq!(
        told,
        [
            (EventKind::NodeRegistered, String::new(), 0, None),
            (EventKind::RunCreated, "1".to_owned(), 10, None),
            (EventKind::Assigned, "1/main[1-5,13-15]#1".to_owned(), 5, None),
            (ended, "1/main[1,5]#1".to_owned(), 2, Some(0)),
            (ended, "1/main[3,13]#1".to_owned(), 2, Some(2)),
        ]
    );
    assert!(events[2..].iter().all(|e| &*e.node_name == "n1" && &*e.name == "nightly"));
    assert_eq!(events[3].state, Some(TaskState::Succeeded));
}

#[test]
fn a_cancel_tells_who_wanted_it_and_of_a_million_as_one() {
    let mut commands = start();
    let because = Because::new("user:ann", "no longer needed");
    let cancel =
        record::Cancel { run: 1, because: Some(because.clone().into()), ..Default::default() };
    commands.push(Kind::Cancel(cancel));
    let (state, told) = world(commands);
    let events = describe(&told, &state);
    let [ended, stopping] = &events[events.len() - 2..] else { panic!("{events:?}") };
    assert_eq!((ended.kind, ended.count), (EventKind::ElementsEnded, 5));
    assert_eq!((stopping.kind, stopping.count), (EventKind::Stopping, 5));
    assert_eq!(ended.because.as_deref(), Some(&because));
    assert_eq!(stopping.because.as_deref(), Some(&because));
    assert_eq!(ended.exit_code, Some(130));

    let ordinals = RangeSet::from_iter([0..=999_999]);
    let because = Arc::new(because);
    let end = Change::ElementsEnded {
        run: RunId(1),
        task: 0,
        ordinals,
        state: TaskState::Canceled,
        because,
    };
    let events = describe(&[end], &state);
    assert_eq!((events.len(), events[0].count), (1, 1_000_000));
}

#[test]
fn the_end_of_a_run_tells_how_it_ended() {
    let mut commands = start();
    let ordinals = vec![record::Range { first: 3, last: 9 }];
    commands.pop();
    commands.push(Kind::Cancel(record::Cancel { run: 1, ordinals, ..Default::default() }));
    commands.push(Kind::Cancel(record::Cancel { run: 1, ..Default::default() }));
    let (state, told) = world(commands);
    let events = describe(&told, &state);
    let last = events.last().unwrap();
    assert_eq!((last.kind, last.state), (EventKind::RunEnded, Some(TaskState::Canceled)));
    assert_eq!((last.exit_code, last.count, &*last.name), (Some(130), 10, "nightly"));
}
