//! Every call that answers once: with its caller, from message to message.
//!
//! gRPC and REST both call these, so that the two cannot differ, neither in what they do nor in
//! which role it takes.

use model::{Because, Role, Selector};
use node::cluster_snapshot::Taking;
use node::query::Purged;
use node::{Handle, Refused, Submitted};
use proto::api::*;

use crate::caller::Caller;
use crate::refusal::invalid;
use crate::{convert, filter};

/// Where a request names no limit.
const LIMIT_DEFAULT: u32 = 100;
/// Runs or elements of one answer; above this it would not fit a message.
const LIMIT_MAX: u32 = 10_000;
/// Ids of one request.
const IDS_MAX: usize = 100;

/// Answers for one node.
pub(crate) struct Service {
    pub(crate) handle: Handle,
}

impl Service {
    pub(crate) async fn submit(
        &self,
        caller: &Caller,
        request: SubmitRequest,
    ) -> Result<SubmitResponse, Refused> {
        caller.need(Role::Submitter, "submit a job")?;
        let mut job = request.job.ok_or_else(|| invalid("job: there is none"))?;
        job.owner = caller.owner(&job.owner);
        job.actor = match job.actor.as_str() {
            "" => caller.actor(&format!("user:{}", job.owner))?,
            claimed => caller.actor(claimed)?,
        };
        job.run_as = caller.run_as(&job.run_as)?;
        // What is sealed is the node's own alone: whoever copied it somewhere must not get it opened.
        if job.tasks.iter().flat_map(|task| &task.secrets).any(|secret| secret.key != 0) {
            return Err(invalid("secrets: give the value; nodes seal it"));
        }
        let job = convert::job(job).map_err(invalid)?;
        let submitted = self.handle(caller).submit(job, &request.idempotency_key).await?;
        Ok(self::submitted(submitted))
    }

    pub(crate) async fn rerun(
        &self,
        caller: &Caller,
        request: RerunRequest,
    ) -> Result<SubmitResponse, Refused> {
        let RerunRequest { id, failed, idempotency_key, actor } = request;
        caller.need(Role::Submitter, "repeat a run")?;
        let actor = caller.actor(&actor)?;
        if caller.token.is_some() {
            let of = self.handle.whose(&id).await?;
            caller.need_own(&of.owner, "repeat a run of somebody else's")?;
            // An empty one is the node's own user, who is not theirs where the token names others.
            if caller.run_as(&of.run_as)? != of.run_as {
                return Err(Refused::Forbidden(format!(
                    "run `{id}` runs as the node's own user, which the token `{}` may not",
                    caller.name
                )));
            }
        }
        Ok(submitted(self.handle(caller).rerun(&id, failed, actor, &idempotency_key).await?))
    }

    pub(crate) async fn cancel(
        &self,
        caller: &Caller,
        request: CancelRequest,
    ) -> Result<CancelResponse, Refused> {
        let CancelRequest { ids: wanted, reason, actor } = request;
        caller.need(Role::Submitter, "cancel a run")?;
        let because = Because { actor: caller.actor(&actor)?, reason };
        let wanted = ids(wanted)?;
        if !caller.may_change_all() {
            for id in &wanted {
                let of = self.handle.whose(id).await?;
                caller.need_own(&of.owner, "cancel a run of somebody else's")?;
            }
        }
        let handle = self.handle(caller);
        let mut canceled = Vec::new();
        for id in wanted {
            let one = handle.cancel(&id, because.clone()).await?;
            canceled.push(Canceled {
                id,
                ended: one.ended,
                stopping: one.stopping,
                already_ended: one.already_ended,
            });
        }
        Ok(CancelResponse { canceled })
    }

    pub(crate) async fn purge(
        &self,
        caller: &Caller,
        request: PurgeRequest,
    ) -> Result<PurgeResponse, Refused> {
        let PurgeRequest { filter, dry_run, reason, actor } = request;
        caller.need(Role::Operator, "purge runs")?;
        let filter = filter.unwrap_or_default();
        let what = filter::words(&filter);
        let because = Because { actor: caller.actor(&actor)?, reason };
        let because = (!dry_run).then_some(because);
        let purged = self.handle(caller).purge(filter::runs(filter)?, what, because).await?;
        let Purged { runs, elements, bytes } = purged;
        Ok(PurgeResponse { runs, elements, bytes })
    }

    pub(crate) async fn list_runs(
        &self,
        caller: &Caller,
        request: ListRunsRequest,
    ) -> Result<ListRunsResponse, Refused> {
        let ListRunsRequest { all, limit: most, before, filter } = request;
        caller.need(Role::Viewer, "list runs")?;
        let filter = filter::runs(filter.unwrap_or_default())?;
        let page = self.handle.runs(&filter, all, before, limit(most)).await?;
        Ok(ListRunsResponse {
            runs: page.runs.iter().map(convert::run).collect(),
            next_before: page.next.map_or(0, |run| run.0),
            damaged: page.damaged,
        })
    }

    pub(crate) async fn get_run(
        &self,
        caller: &Caller,
        request: GetRunRequest,
    ) -> Result<GetRunResponse, Refused> {
        let GetRunRequest { id, limit: most, states } = request;
        caller.need(Role::Viewer, "look at a run")?;
        let states = filter::states(&states)?;
        Ok(convert::detail(self.handle.run(&id, &states, limit(most)).await?))
    }

    pub(crate) async fn get_server(&self, caller: &Caller) -> Result<GetServerResponse, Refused> {
        caller.need(Role::Viewer, "look at the node")?;
        // What it tells is of the node itself: it is asked too where nobody leads.
        Ok(convert::server(&self.handle, &self.handle.view_now()))
    }

    /// A snapshot of the cluster, on its way out.
    pub(crate) async fn take_snapshot(&self, caller: &Caller) -> Result<Taking, Refused> {
        caller.need(Role::Admin, "take a snapshot of the cluster")?;
        self.handle(caller).take_snapshot().await
    }

    /// Tells the node to go down; how many tasks are left.
    pub(crate) async fn go_down(
        &self,
        caller: &Caller,
        request: DownRequest,
    ) -> Result<u64, Refused> {
        let DownRequest { reason, actor } = request;
        caller.need(Role::Operator, "take a node down")?;
        let because = Because { actor: caller.actor(&actor)?, reason };
        // Counted before, for short tasks are gone before anybody could look.
        let left = self.handle.running();
        self.handle(caller).down(because).await;
        Ok(left)
    }

    /// The node's handle, through which the audit knows the caller.
    pub(crate) fn handle(&self, caller: &Caller) -> Handle {
        let token = caller.token.as_deref().unwrap_or_default();
        self.handle.through(token, &caller.address).within(caller.span)
    }
}

/// Ids that can be read, not too many.
pub(crate) fn ids(ids: Vec<String>) -> Result<Vec<String>, Refused> {
    if ids.is_empty() || ids.len() > IDS_MAX {
        return Err(invalid(format!("ids: {} given, 1 to {IDS_MAX} are allowed", ids.len())));
    }
    for id in &ids {
        Selector::parse(id)?;
    }
    Ok(ids)
}

pub(crate) fn limit(wanted: u32) -> usize {
    let wanted = if wanted == 0 { LIMIT_DEFAULT } else { wanted };
    wanted.min(LIMIT_MAX) as usize
}

fn submitted(submitted: Submitted) -> SubmitResponse {
    let Submitted { run, repeated } = submitted;
    SubmitResponse { run: run.0, repeated }
}
