//! The steps of a random sequence, and the commands they stand for.

use machine::State;
use model::{ArraySpec, JobSpec, MaxFailed, NodeId, OnLost, Placement, Policy, Retries};
use model::{TaskSpec, WhenFull};
use proptest::prelude::*;
use proto::record::{self, command::Kind};
use uuid::Uuid;

/// A step, told by small numbers; what they point at depends on the state at that moment.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Register { node: u8, supervisor: u8, cpus: u8 },
    Lose { node: u8, stale: bool },
    Drain { node: u8, wait_ms: Option<u16> },
    Resume { node: u8 },
    Remove { node: u8, force: bool, stale: bool },
    Submit { elements: u8, cpus: u8, key: u8, flavor: u8 },
    Place { node: u8, skip: u8, count: u8, ahead: bool, stale: bool },
    TurnAway { skip: u8, first: u8, last: u8 },
    Report { node: u8, which: u8, how: u8, stale: bool },
    Cancel { run: u8, first: u8, last: u8 },
    Wait { ms: u16 },
    Rerun { elements: u8, first: u8, last: u8 },
    CreateToken { which: u8, lasts_ms: u16 },
    RevokeToken { which: u8 },
    Recover { last_run: u8, above: u8 },
    EndRecovery { stale: bool },
    ForeignLeader,
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0..3u8, 0..3u8, 1..4u8)
            .prop_map(|(node, supervisor, cpus)| Step::Register { node, supervisor, cpus }),
        1 => (0..3u8, prop::bool::weighted(0.1)).prop_map(|(node, stale)| Step::Lose { node, stale }),
        1 => (0..3u8, prop::option::weighted(0.8, 0..3u16))
            .prop_map(|(node, wait)| Step::Drain { node, wait_ms: wait.map(|wait| wait * 150) }),
        1 => (0..3u8).prop_map(|node| Step::Resume { node }),
        1 => (0..3u8, prop::bool::weighted(0.3), prop::bool::weighted(0.1))
            .prop_map(|(node, force, stale)| Step::Remove { node, force, stale }),
        2 => (1..12u8, 1..3u8, 0..4u8, 0..192u8)
            .prop_map(|(elements, cpus, key, flavor)| Step::Submit { elements, cpus, key, flavor }),
        6 => (0..3u8, 0..3u8, 1..5u8, any::<bool>(), prop::bool::weighted(0.1))
            .prop_map(|(node, skip, count, ahead, stale)| Step::Place { node, skip, count, ahead, stale }),
        2 => (0..3u8, 0..12u8, 0..12u8)
            .prop_map(|(skip, first, last)| Step::TurnAway { skip, first, last }),
        6 => (0..3u8, any::<u8>(), 0..12u8, prop::bool::weighted(0.1))
            .prop_map(|(node, which, how, stale)| Step::Report { node, which, how, stale }),
        1 => (any::<u8>(), 0..12u8, 0..12u8)
            .prop_map(|(run, first, last)| Step::Cancel { run, first, last }),
        2 => (0..600u16).prop_map(|ms| Step::Wait { ms }),
        1 => (1..12u8, 0..12u8, 0..12u8)
            .prop_map(|(elements, first, last)| Step::Rerun { elements, first, last }),
        1 => (0..4u8, 0..3u16).prop_map(|(which, lasts)| Step::CreateToken { which, lasts_ms: lasts * 200 }),
        1 => (0..4u8).prop_map(|which| Step::RevokeToken { which }),
        1 => (0..40u8, 0..3u8).prop_map(|(last_run, above)| Step::Recover { last_run, above }),
        2 => prop::bool::weighted(0.1).prop_map(|stale| Step::EndRecovery { stale }),
        1 => Just(Step::ForeignLeader),
    ]
}

pub(crate) fn node_id(node: u8) -> NodeId {
    NodeId(Uuid::from_u128(u128::from(node) + 1))
}

pub(crate) fn register(node: u8, supervisor: u8, cpus: u8) -> Kind {
    Kind::RegisterNode(record::RegisterNode {
        node_id: node_id(node).to_bytes(),
        name: format!("n{node}"),
        capacity: Some(proto::job::Resources {
            cpu_milli: u64::from(cpus) * 1000,
            memory_bytes: 0,
        }),
        supervisor_id: Uuid::from_u128(u128::from(supervisor) + 100).as_bytes().to_vec(),
        // The last node keeps its tasks without a lease.
        lease_ms: if node == 2 { 0 } else { 1_000 },
        ..Default::default()
    })
}

pub(crate) fn lose(state: &State, node: u8, stale: bool) -> Option<Kind> {
    let epoch = state.node(node_id(node))?.epoch - u64::from(stale);
    Some(Kind::LoseNode(record::LoseNode { node_id: node_id(node).to_bytes(), epoch }))
}

/// Into the next incarnation but `above - 1`; 0 is none above.
pub(crate) fn recover(state: &State, last_run: u8, above: u8) -> Kind {
    let current = state.cluster().map_or(0, |cluster| u32::from(cluster.incarnation));
    Kind::Recover(record::Recover {
        incarnation: current + u32::from(above),
        last_run: last_run.into(),
        how: "restore".to_owned(),
        because: None,
    })
}

pub(crate) fn end_recovery(state: &State, stale: bool) -> Kind {
    let current = state.cluster().map_or(0, |cluster| u32::from(cluster.incarnation));
    Kind::EndRecovery(record::EndRecovery { incarnation: current - u32::from(stale) })
}

pub(crate) fn drain(node: u8, wait_ms: Option<u16>) -> Kind {
    Kind::DrainNode(record::DrainNode {
        node_id: node_id(node).to_bytes(),
        wait_ms: wait_ms.map(Into::into),
        because: Some(proto::job::Because { actor: "user:ann".into(), reason: "disk".into() }),
        ..Default::default()
    })
}

pub(crate) fn resume(node: u8) -> Kind {
    let node_id = node_id(node).to_bytes();
    Kind::ResumeNode(record::ResumeNode { node_id, ..Default::default() })
}

/// A stale one was asked for before the node's last hello.
pub(crate) fn remove(state: &State, node: u8, force: bool, stale: bool) -> Kind {
    let hello = state.node(node_id(node)).map_or(0, |node| node.hello);
    Kind::RemoveNode(record::RemoveNode {
        node_id: node_id(node).to_bytes(),
        force,
        hello: hello.saturating_sub(stale.into()),
        ..Default::default()
    })
}

pub(crate) fn submit(elements: u8, cpus: u8, key: u8, flavor: u8) -> Kind {
    let mut task = TaskSpec::new(vec!["true".into()]);
    task.resources.cpu_milli = u64::from(cpus) * 1000;
    let parallel_max = if flavor % 4 == 3 { 2 } else { 0 };
    let last = 5 + 3 * (u32::from(elements) - 1);
    task.array = Some(ArraySpec { first: 5, last, step: 3, parallel_max });
    task.on_lost = [OnLost::Requeue, OnLost::Fail, OnLost::Wait][flavor as usize % 3];
    task.at_most_once = flavor % 12 == 11;
    // The upper half of the flavor: what is tried again, given up, or over in time; above that, what
    // does not wait for a node.
    let upper = flavor / 12;
    if upper & 1 > 0 {
        task.retries = Retries { attempts: 2, base_ms: 100, max_ms: 150, ..Retries::default() };
    }
    if upper & 2 > 0 {
        task.max_failed = Some(MaxFailed::Percent(25));
        task.pending_timeout_ms = 300;
    }
    if upper & 4 > 0 {
        task.total_timeout_ms = 500;
        task.losses_max = 1;
    }
    if upper & 8 > 0 {
        let when_full = WhenFull::Fail;
        task.placement = Placement { policy: Policy::Spread, headroom_percent: 20, when_full };
    }
    let name = if flavor.is_multiple_of(5) { "nightly" } else { "" }.to_owned();
    let owner = format!("u{}", flavor % 2);
    let spec = JobSpec { name, owner, tasks: vec![task], ..JobSpec::default() };
    Kind::SubmitJob(record::SubmitJob {
        job: Some(proto::job::Job::from(&spec)),
        idempotency_key: if key == 0 { String::new() } else { key.to_string() },
        payload_hash: vec![elements, cpus, flavor],
        ..Default::default()
    })
}

/// A rerun of `first` to `last` where these are elements, else one that does not add up.
pub(crate) fn rerun(elements: u8, first: u8, last: u8) -> Kind {
    let Kind::SubmitJob(mut again) = submit(elements, 1, 0, 0) else { unreachable!() };
    let all = 0..elements;
    let repeated = all.filter(|at| (first..=last).contains(at)).count() as u64;
    let ordinals = vec![record::Range { first: first.into(), last: last.into() }];
    let count = u64::from(elements) - repeated;
    let taken = vec![record::StateCount { state: "succeeded".into(), count }];
    let task = record::RerunTask { ordinals, taken, failure: None };
    again.rerun = Some(record::Rerun { of: 1, tasks: vec![task] });
    Kind::SubmitJob(again)
}

pub(crate) fn create_token(which: u8, lasts_ms: u16) -> Kind {
    let token = record::Token {
        id: format!("t{which}"),
        // Two of the ids want one name.
        name: format!("n{}", which / 2),
        role: "submitter".into(),
        hash: vec![which; 32],
        ..Default::default()
    };
    Kind::CreateToken(record::CreateToken {
        token: Some(token),
        lasts_ms: lasts_ms.into(),
        ..Default::default()
    })
}

pub(crate) fn revoke_token(which: u8) -> Kind {
    Kind::RevokeToken(record::RevokeToken { id: format!("t{which}"), ..Default::default() })
}

pub(crate) fn place(
    state: &State,
    node: u8,
    skip: u8,
    count: u8,
    ahead: bool,
    stale: bool,
) -> Option<Kind> {
    let (_, run, task) = state.queue().iter().nth(skip as usize % state.queue().len().max(1))?;
    let mut queued = state.run(run)?.tasks[task as usize].queued.clone();
    let ordinals = proto::ranges(&queued.take_first(u64::from(count)));
    let epoch = state.node(node_id(node)).map_or(1, |node| node.epoch);
    let epoch = if stale { epoch.wrapping_sub(1) } else { epoch };
    let picks = vec![record::Pick { run: run.0, task, ordinals, ahead }];
    Some(Kind::Place(record::Place { node_id: node_id(node).to_bytes(), epoch, picks }))
}

/// Elements of a task that waits are to end, for there is no room; perhaps in the wrong order.
pub(crate) fn turn_away(state: &State, skip: u8, first: u8, last: u8) -> Option<Kind> {
    let (_, run, task) = state.queue().iter().nth(skip as usize % state.queue().len().max(1))?;
    let one = record::Range { first: first.into(), last: last.into() };
    let other = record::Range { first: 0, last: u32::from(first) / 2 };
    Some(Kind::TurnAway(record::TurnAway { run: run.0, task, ordinals: vec![one, other] }))
}

pub(crate) fn report(state: &State, node: u8, which: u8, how: u8, stale: bool) -> Option<Kind> {
    let home = state.node(node_id(node))?;
    let assigned = home.assigned.values().nth(which as usize % home.assigned.len().max(1))?;
    let run = state.run(assigned.run)?;
    let live = &run.tasks[assigned.task as usize].live[&assigned.ordinal];
    let number = live.number + u32::from(stale);
    let attempt = run.attempt(assigned.run, assigned.task, assigned.ordinal, number).into();
    let mut report = record::Report {
        node_id: node_id(node).to_bytes(),
        epoch: home.epoch,
        ..Default::default()
    };
    if how == 0 {
        report.starts.push(record::Start { attempt: Some(attempt), started_us: 7 });
        return Some(Kind::Report(report));
    }
    use proto::job::{Gone, NotStarted, Outcome, StopCause, outcome::Ending};
    let (ending, stopped) = match how {
        1 | 2 => (Ending::Exited(0), StopCause::None),
        3 => (Ending::Exited(1), StopCause::None),
        4 => (Ending::Signaled(15), StopCause::Down),
        5 => (Ending::Gone(Gone {}), StopCause::None),
        6 => (Ending::NotStarted(NotStarted::default()), StopCause::Cancel),
        7 => (Ending::NotStarted(NotStarted { kind: 4, why: String::new() }), StopCause::None),
        8 => (Ending::Signaled(9), StopCause::Deadline),
        9 => (Ending::Signaled(15), StopCause::Drain),
        10 => (Ending::NotStarted(NotStarted::default()), StopCause::Drain),
        _ => (Ending::Signaled(9), StopCause::Timeout),
    };
    let outcome = Outcome { ending: Some(ending), stopped: stopped as i32, ..Outcome::default() };
    report.ends.push(record::End { attempt: Some(attempt), outcome: Some(outcome) });
    Some(Kind::Report(report))
}

pub(crate) fn cancel(state: &State, run: u8, first: u8, last: u8) -> Kind {
    let run = 1 + u64::from(run) % state.last_run().0.max(1);
    let ordinals = match first <= last {
        true => vec![record::Range { first: first.into(), last: last.into() }],
        false => vec![],
    };
    Kind::Cancel(record::Cancel { run, task: None, ordinals, ..Default::default() })
}
