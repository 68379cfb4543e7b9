//! What clients ask for, and the marks by which the truth knows each request again.

use std::fmt;

use model::{Because, JobSpec, NodeId, RunId};
use proto::record::{self, command::Kind};
use reactor::control::RequestId;

/// One wish, which may need several requests.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Submit {
        key: String,
        payload: u64,
        job: JobSpec,
        rerun: Option<record::Rerun>,
    },
    Cancel {
        run: RunId,
        task: Option<u32>,
        ordinals: Option<(u32, u32)>,
    },
    Drain {
        node: NodeId,
        wait_ms: Option<u64>,
    },
    Resume {
        node: NodeId,
    },
    /// Of a node that had said this hello when somebody looked.
    Remove {
        node: NodeId,
        force: bool,
        hello: u64,
    },
}

impl Ask {
    /// The command of the request `id`, which carries its mark.
    pub(super) fn command(&self, id: RequestId) -> Kind {
        let mark = format!("request:{id}");
        let because = || Some(Because::new(mark.clone(), "").into());
        match self {
            Ask::Submit { key, payload, job, rerun } => {
                let job = JobSpec { actor: mark.clone(), ..job.clone() };
                Kind::SubmitJob(record::SubmitJob {
                    job: Some((&job).into()),
                    idempotency_key: key.clone(),
                    payload_hash: payload.to_be_bytes().to_vec(),
                    rerun: rerun.clone(),
                    from: None,
                })
            }
            Ask::Cancel { run, task, ordinals } => Kind::Cancel(record::Cancel {
                run: run.0,
                task: *task,
                ordinals: (ordinals.iter())
                    .map(|&(first, last)| record::Range { first, last })
                    .collect(),
                because: because(),
                from: None,
            }),
            Ask::Drain { node, wait_ms } => Kind::DrainNode(record::DrainNode {
                node_id: node.to_bytes(),
                wait_ms: *wait_ms,
                because: because(),
                from: None,
            }),
            Ask::Resume { node } => Kind::ResumeNode(record::ResumeNode {
                node_id: node.to_bytes(),
                because: because(),
                from: None,
            }),
            Ask::Remove { node, force, hello } => Kind::RemoveNode(record::RemoveNode {
                node_id: node.to_bytes(),
                force: *force,
                hello: *hello,
                because: because(),
                from: None,
                ..Default::default()
            }),
        }
    }
}

/// The request that made a command; `None` where the control part made it itself.
pub(super) fn mark(command: &Kind) -> Option<RequestId> {
    let actor = match command {
        Kind::SubmitJob(submit) => &submit.job.as_ref()?.actor,
        Kind::Cancel(cancel) => &cancel.because.as_ref()?.actor,
        Kind::DrainNode(drain) => &drain.because.as_ref()?.actor,
        Kind::ResumeNode(resume) => &resume.because.as_ref()?.actor,
        Kind::RemoveNode(remove) => &remove.because.as_ref()?.actor,
        _ => return None,
    };
    actor.strip_prefix("request:")?.parse().ok()
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ask::Submit { key, job, rerun, .. } => {
                write!(f, "submit `{key}`")?;
                if let Some(rerun) = rerun {
                    let repeated: Vec<_> = rerun.tasks.iter().map(|task| &task.ordinals).collect();
                    write!(f, " again {repeated:?}")?;
                }
                for task in &job.tasks {
                    let count = task.indices().count();
                    let milli = task.resources.cpu_milli;
                    write!(f, ", {count} × {:?} of {milli} milli", task.command)?;
                }
                Ok(())
            }
            Ask::Cancel { run, task, ordinals } => {
                write!(f, "cancel {run}, task {task:?}, ordinals {ordinals:?}")
            }
            Ask::Drain { node, wait_ms } => write!(f, "drain {node} within {wait_ms:?} ms"),
            Ask::Resume { node } => write!(f, "resume {node}"),
            Ask::Remove { node, force, .. } => write!(f, "remove {node}, by force: {force}"),
        }
    }
}
