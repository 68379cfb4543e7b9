//! Whether there is room for one more run: refused here, before anything is written, so that what
//! was accepted goes on.

use std::collections::BTreeSet;
use std::time::Duration;

use model::job::Fault;
use model::{JobSpec, NodeId};
use prost::Message;
use proto::record::SubmitJob;

use crate::error::Refused;
use crate::shared::Shared;
use crate::view::View;

/// Runs that have not ended, of everybody, at most.
const RUNS_MAX: usize = 2_500_000;
/// Runs that have not ended, of one owner, at most.
const RUNS_OF_OWNER_MAX: u64 = 2_000_000;
/// Bytes of the jobs of all runs that have not ended, at most: they are in memory.
const BYTES_MAX: u64 = 2 << 30;
/// Bytes of one job as it is written to the journal, at most.
const JOB_BYTES_MAX: usize = 4 << 20;
/// When to try again where runs have to end first, and where somebody has to free space.
const QUEUE_RETRY: Duration = Duration::from_secs(5);
const SPACE_RETRY: Duration = Duration::from_secs(30);

/// Refuses what there is no room for.
pub(crate) fn check(
    shared: &Shared,
    view: &View,
    spec: &JobSpec,
    submit: &SubmitJob,
) -> Result<(), Refused> {
    let bytes = submit.job.as_ref().map_or(0, Message::encoded_len);
    let pieces = submit.rerun.as_ref().map_or(0, Message::encoded_len);
    if pieces > JOB_BYTES_MAX {
        return Err(Refused::Unfit(
            "what is to be repeated lies in too many pieces for one run: repeat a part of it, such as `ID[1-100000]`"
                .to_owned(),
        ));
    }
    if bytes > JOB_BYTES_MAX {
        let problem = format!(
            "the job has {}, at most {} are taken; give long lists as items of a file",
            model::text::size(bytes as u64),
            model::text::size(JOB_BYTES_MAX as u64)
        );
        return Err(Refused::Invalid(vec![Fault { field: "job".to_owned(), problem }]));
    }
    if shared.disk.is_low() {
        return Err(Refused::NoSpace {
            why: format!(
                "the disk of `{}` is nearly full: free some space there, or purge what has ended",
                shared.disk.path()
            ),
            retry_after: SPACE_RETRY,
        });
    }
    if shared.health.borrow().is_full() {
        let why = format!(
            "the disks of {} are nearly full, and no majority of those that vote has room: free some space there, or purge what has ended",
            names(view, &shared.health.borrow().full)
        );
        return Err(Refused::NoSpace { why, retry_after: SPACE_RETRY });
    }
    if let Some(why) = &*shared.keeper.behind().borrow() {
        return Err(Refused::NoSpace { why: why.clone(), retry_after: SPACE_RETRY });
    }
    let overloaded = |why: String| Err(Refused::Overloaded { why, retry_after: QUEUE_RETRY });
    if view.state.runs().bytes() + bytes as u64 > BYTES_MAX {
        let most = model::text::size(BYTES_MAX);
        return overloaded(format!("the jobs that have not ended take {most}, as much as may"));
    }
    let (all, of_owner) = (view.state.runs().len(), view.state.runs_of(&spec.owner));
    if all >= RUNS_MAX {
        return overloaded(format!("{all} runs have not ended, no more are taken before some do"));
    }
    if of_owner >= RUNS_OF_OWNER_MAX {
        let owner = &spec.owner;
        return overloaded(format!("{of_owner} runs of `{owner}` have not ended, as many as may"));
    }
    Ok(())
}

/// Nodes as people know them.
fn names(view: &View, nodes: &BTreeSet<NodeId>) -> String {
    let name = |node: &NodeId| match view.state.members().get(*node) {
        Some(member) => format!("`{}`", member.name),
        None => format!("`{node}`"),
    };
    nodes.iter().map(name).collect::<Vec<_>>().join(" and ")
}
