//! From what a node tells to the messages of the public interface.

use std::collections::{BTreeMap, HashMap};

use model::{JobSpec, TaskSpec, TaskState};
use node::query;
use proto::{api, job};

/// A submitted job, with what the caller left out.
pub(crate) fn job(mut job: job::Job) -> Result<JobSpec, proto::Invalid> {
    let default = |field: &mut String, value: String| {
        if field.is_empty() {
            *field = value;
        }
    };
    default(&mut job.namespace, "default".to_owned());
    default(&mut job.owner, "api".to_owned());
    default(&mut job.actor, format!("user:{}", job.owner));
    default(&mut job.origin, "api".to_owned());
    let usual = TaskSpec::new(Vec::new());
    if let [task] = &mut job.tasks[..] {
        default(&mut task.name, usual.name);
    }
    for task in &mut job.tasks {
        task.resources.get_or_insert_with(|| usual.resources.into());
        task.priority.get_or_insert(usual.priority);
        task.grace_ms.get_or_insert(usual.grace_ms);
        if let Some(array) = &mut task.array {
            array.step = array.step.max(1);
        }
    }
    JobSpec::try_from(job)
}

pub(crate) fn run(run: &query::RunSummary) -> api::RunSummary {
    api::RunSummary {
        run: run.run.0,
        name: run.name.clone(),
        owner: run.owner.clone(),
        submitted_ms: run.submitted_ms,
        ended_ms: run.ended_ms,
        counts: state_counts(&run.counts),
        command: run.command.clone(),
        state: run.state.to_string(),
        elements: run.elements,
        started_us: run.started_us,
        labels: (run.labels.iter())
            .map(|(name, value)| job::Variable { name: name.clone(), value: value.clone() })
            .collect(),
        exit_code: run.exit_code,
    }
}

pub(crate) fn end(end: &query::RunEnd) -> api::RunEnd {
    api::RunEnd { exit_code: end.exit_code, summary: end.summary.clone(), run: Some(run(&end.run)) }
}

fn state_counts(counts: &BTreeMap<TaskState, u64>) -> Vec<api::StateCount> {
    let count = |(state, count): (&TaskState, &u64)| api::StateCount {
        state: state.to_string(),
        count: *count,
    };
    counts.iter().map(count).collect()
}

pub(crate) fn detail(detail: query::RunDetail) -> api::GetRunResponse {
    api::GetRunResponse {
        run: Some(run(&detail.summary)),
        job: Some(shown(&detail.spec)),
        tasks: (detail.spec.tasks.iter().zip(&detail.counts))
            .map(|(task, counts)| api::TaskStatus {
                name: task.name.clone(),
                elements: u64::from(task.indices().count()),
                counts: state_counts(counts),
            })
            .collect(),
        elements: detail.elements.into_iter().map(element).collect(),
        elements_total: detail.elements_total,
        canceled: detail.canceled.map(Into::into),
        rerun_of: detail.rerun_of.map_or(0, |run| run.0),
    }
}

/// A job without the values of its secrets, sealed or not.
fn shown(spec: &JobSpec) -> job::Job {
    let mut job = job::Job::from(spec);
    for secret in job.tasks.iter_mut().flat_map(|task| &mut task.secrets) {
        (secret.key, secret.value) = (0, Vec::new());
    }
    job
}

pub(crate) fn element(status: query::ElementStatus) -> api::ElementStatus {
    api::ElementStatus {
        id: status.id,
        uuid: status.element.uuid().to_string(),
        task: status.task,
        index: status.element.index,
        state: status.state.to_string(),
        attempts: status.attempts.into_iter().map(attempt).collect(),
        because: status.because.map(Into::into),
    }
}

pub(crate) fn attempt(status: query::AttemptStatus) -> api::AttemptStatus {
    let outcome = status.outcome;
    api::AttemptStatus {
        number: status.number,
        state: status.state.to_string(),
        node: status.node,
        fence: status.fence.0,
        placed_ms: status.placed_ms,
        started_us: status.started_us,
        ended_us: outcome.as_ref().map_or(0, |outcome| outcome.ended_us),
        summary: outcome.as_ref().map(model::Outcome::describe).unwrap_or_default(),
        outcome: outcome.map(Into::into),
        because: status.because.map(Into::into),
    }
}

pub(crate) fn node(node: query::NodeStatus) -> api::NodeStatus {
    api::NodeStatus {
        id: node.id.to_string(),
        name: node.name,
        state: node.state.to_owned(),
        reason: node.reason,
        capacity: Some(node.capacity.into()),
        reserved: Some(node.reserved.into()),
        running: node.running,
        waiting: node.waiting,
        epoch: node.epoch,
        version: node.version,
        containment: node.containment,
        labels: node.labels.into_iter().collect::<HashMap<_, _>>(),
        drain: node.drain.map(|drain| api::Drain {
            because: Some(drain.because.into()),
            since_ms: drain.since_ms,
            until_ms: drain.until_ms,
            stops: drain.stops,
        }),
        elements: Vec::new(),
    }
}

pub(crate) fn server(handle: &node::Handle, view: &node::View) -> api::GetServerResponse {
    let info = handle.info();
    api::GetServerResponse {
        version: info.version.clone(),
        cluster_id: info.cluster.to_string(),
        incarnation: u32::from(info.incarnation),
        node_id: info.node.to_string(),
        node_name: info.name.clone(),
        applied_index: view.state.applied(),
        pid: std::process::id(),
        voters: handle.voters(),
        tasks_running: handle.running(),
        tasks_queued: view.state.waiting(),
        level: info.level,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_caller_leaves_out_is_filled_in() {
        let array = Some(job::Array { first: 1, last: 3, ..Default::default() });
        let task = job::Task { command: vec!["true".into()], array, ..Default::default() };
        let none = job::Task { priority: Some(0), grace_ms: Some(0), ..task.clone() };
        let spec = |task| job(job::Job { tasks: vec![task], ..Default::default() }).unwrap();
        let (spec, none) = (spec(task), spec(none));
        assert_eq!(spec.faults(), []);
        assert_eq!((spec.actor.as_str(), spec.origin.as_str()), ("user:api", "api"));
        assert_eq!(spec.tasks[0].resources.cpu_milli, 1000);
        assert_eq!((spec.tasks[0].priority, spec.tasks[0].grace_ms), (50, 30_000));
        assert_eq!((none.tasks[0].priority, none.tasks[0].grace_ms), (0, 0));
    }
}
