//! A state with something in it: a cluster, two nodes, jobs that are queued, placed, running and partly ended.
//!
//! It is made from batches like those of a real node, which are also the seeds of the corpus.

use std::sync::LazyLock;

use machine::State;
use model::job::{ArraySpec, MaxFailed, Retries};
use model::{JobSpec, NodeId, TaskSpec};
use proto::job::outcome::Ending;
use proto::record::command::Kind;
use proto::record::{self, Batch, Command, Header};
use uuid::Uuid;

/// Who wrote the batches: term and node.
pub(crate) const LEADER: (u64, u64) = (1, 1);
/// When, in Unix milliseconds; each batch a second later.
const START_MS: u64 = 1_700_000_000_000;

/// So many of the batches are from before the cluster is recovered.
const BEFORE: usize = 10;

/// The batches of a short life of a cluster, in order.
pub(crate) fn batches() -> Vec<Batch> {
    let kinds = [
        vec![Kind::Found(record::Found { cluster_id: bytes(9), incarnation: 1 })],
        vec![register(1), register(2)],
        vec![
            submit("one", None, ""),
            submit("many", Some(array(9)), "key"),
            submit("more", Some(array(4)), ""),
        ],
        vec![place(1, 1, 0, 0), place(1, 2, 0, 1), place(2, 2, 2, 2)],
        vec![started(1, 1, 0), started(1, 2, 0), ended(1, 2, 0, Ending::Exited(0))],
        vec![ended(1, 2, 1, Ending::Signaled(9)), ended(2, 2, 2, Ending::Exited(3))],
        vec![
            cancel(2, None, 7, 8),
            cancel(3, Some(0), 0, 1),
            submit("again", Some(array(9)), "key"),
        ],
        vec![register(2)],
        vec![Kind::Wake(record::Wake {})],
        vec![rerun(2, 3)],
        vec![Kind::Recover(record::Recover {
            incarnation: 2,
            last_run: 1_000,
            how: "restore".to_owned(),
            because: None,
        })],
        vec![Kind::EndRecovery(record::EndRecovery { incarnation: 2 })],
    ];
    let batch = |(number, kinds): (usize, Vec<Kind>)| Batch {
        header: Some(Header {
            leader_term: LEADER.0,
            leader_node: LEADER.1,
            level: machine::LEVEL,
            // The first founds it, and the last is of the second.
            incarnation: [0, 1, 2][usize::from(number > 0) + usize::from(number > BEFORE)],
            // The last ones find deadlines and waits that have passed.
            time_ms: START_MS + if number < 8 { 1_000 } else { 20_000 } * number as u64,
            number: number as u64 + 1,
        }),
        commands: kinds.into_iter().map(|kind| Command { kind: Some(kind) }).collect(),
    };
    kinds.into_iter().enumerate().map(batch).collect()
}

/// The state before the recovery, and the index of the last batch. Made once: a clone is a few pointers.
#[allow(dead_code, reason = "the seeds are made of the batches alone")]
pub(crate) fn state() -> (State, u64) {
    static STATE: LazyLock<(State, u64)> = LazyLock::new(|| {
        let (mut state, mut index) = (State::new(), 0);
        for batch in batches().into_iter().take(BEFORE) {
            index += 1;
            let applied = state.apply(index, LEADER, &batch);
            assert_eq!(applied.refused, None, "a batch of a short life is refused");
        }
        (state, index)
    });
    STATE.clone()
}

fn bytes(number: u128) -> Vec<u8> {
    Uuid::from_u128(number).as_bytes().to_vec()
}

fn node(number: u128) -> Vec<u8> {
    NodeId(Uuid::from_u128(number)).to_bytes()
}

fn register(number: u128) -> Kind {
    Kind::RegisterNode(record::RegisterNode {
        node_id: node(number),
        name: format!("n{number}"),
        capacity: Some(proto::job::Resources { cpu_milli: 8_000, memory_bytes: 1 << 33 }),
        supervisor_id: bytes(number + 100),
        containment: "weak".to_owned(),
        ..Default::default()
    })
}

fn array(last: u32) -> ArraySpec {
    ArraySpec { first: 1, last, step: 1, parallel_max: 3 }
}

fn submit(name: &str, array: Option<ArraySpec>, key: &str) -> Kind {
    let mut task = TaskSpec::new(vec!["/bin/true".to_owned(), name.to_owned()]);
    task.array = array;
    if array.is_some() {
        task.retries = Retries { attempts: 2, base_ms: 500, ..Retries::default() };
        task.max_failed = Some(MaxFailed::Percent(50));
        task.total_timeout_ms = 120_000;
        task.pending_timeout_ms = 60_000;
    }
    let spec = JobSpec {
        namespace: "default".to_owned(),
        owner: "ann".to_owned(),
        name: name.to_owned(),
        tasks: vec![task],
        ..JobSpec::default()
    };
    Kind::SubmitJob(record::SubmitJob {
        job: Some(proto::job::Job::from(&spec)),
        idempotency_key: key.to_owned(),
        payload_hash: if key.is_empty() { Vec::new() } else { vec![7; 32] },
        ..Default::default()
    })
}

/// Repeats one element of a run and takes over what the rest has come to.
fn rerun(of: u64, ordinal: u32) -> Kind {
    let Kind::SubmitJob(mut submit) = submit("again", Some(array(9)), "") else {
        unreachable!("a submit is a submit")
    };
    let taken = vec![record::StateCount { state: "succeeded".to_owned(), count: 8 }];
    let ordinals = vec![record::Range { first: ordinal, last: ordinal }];
    let task = record::RerunTask { ordinals, taken, failure: None };
    submit.rerun = Some(record::Rerun { of, tasks: vec![task] });
    Kind::SubmitJob(submit)
}

fn place(to: u128, run: u64, first: u32, last: u32) -> Kind {
    let ordinals = vec![record::Range { first, last }];
    let picks = vec![record::Pick { run, task: 0, ordinals, ahead: false }];
    Kind::Place(record::Place { node_id: node(to), epoch: 1, picks })
}

fn attempt(run: u64, ordinal: u32) -> Option<proto::job::Attempt> {
    // The single task counts from 0, the arrays from 1.
    let index = if run == 1 { 0 } else { ordinal + 1 };
    Some(proto::job::Attempt { run, task: 0, index, number: 1 })
}

fn started(at: u128, run: u64, ordinal: u32) -> Kind {
    let start = record::Start { attempt: attempt(run, ordinal), started_us: START_MS * 1_000 };
    Kind::Report(record::Report {
        node_id: node(at),
        epoch: 1,
        starts: vec![start],
        ..Default::default()
    })
}

fn ended(at: u128, run: u64, ordinal: u32, ending: Ending) -> Kind {
    let outcome = proto::job::Outcome { ending: Some(ending), ..Default::default() };
    let end = record::End { attempt: attempt(run, ordinal), outcome: Some(outcome) };
    Kind::Report(record::Report {
        node_id: node(at),
        epoch: 1,
        ends: vec![end],
        ..Default::default()
    })
}

fn cancel(run: u64, task: Option<u32>, first: u32, last: u32) -> Kind {
    let because =
        Some(proto::job::Because { actor: "user:ann".to_owned(), reason: "no".to_owned() });
    Kind::Cancel(record::Cancel {
        run,
        task,
        ordinals: vec![record::Range { first, last }],
        because,
        ..Default::default()
    })
}
