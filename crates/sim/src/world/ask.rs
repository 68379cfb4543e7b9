//! What clients ask for, and the marks by which the truth knows each request again.

use std::fmt;

use model::{Because, JobSpec, RunId};
use proto::record::{self, command::Kind};
use reactor::control::RequestId;

/// One wish, which may need several requests.
#[derive(Clone, Debug)]
pub(super) enum Ask {
    Submit { key: String, payload: u64, job: JobSpec, rerun: Option<record::Rerun> },
    Cancel { run: RunId, task: Option<u32>, ordinals: Option<(u32, u32)> },
}

impl Ask {
    /// The command of the request `id`, which carries its mark.
    pub(super) fn command(&self, id: RequestId) -> Kind {
        let mark = format!("request:{id}");
        match self {
            Ask::Submit { key, payload, job, rerun } => {
                let job = JobSpec { actor: mark, ..job.clone() };
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
                because: Some(Because::new(mark, "").into()),
                from: None,
            }),
        }
    }
}

/// The request that made a command; `None` where the control part made it itself.
pub(super) fn mark(command: &Kind) -> Option<RequestId> {
    let actor = match command {
        Kind::SubmitJob(submit) => &submit.job.as_ref()?.actor,
        Kind::Cancel(cancel) => &cancel.because.as_ref()?.actor,
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
        }
    }
}
