//! The calls of `windlass.v1.Windlass`, each turned into calls of the node's handle.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use model::{Because, Selector};
use node::query::{Progress, Purged};
use node::{Handle, Submitted};
use proto::api::windlass_server::Windlass;
use proto::api::*;
use tokio::sync::watch;
use tonic::{Request, Response, Status, Streaming};

use crate::convert;
use crate::filter;
use crate::output;
use crate::refusal::{invalid, status};
use crate::streams::{Caller, Messages, answer};
use crate::upload::upload;

/// Where a request names no limit.
const LIMIT_DEFAULT: u32 = 100;
/// Runs or elements of one answer; above this it would not fit a message.
const LIMIT_MAX: u32 = 10_000;
/// Ids of one request.
const IDS_MAX: usize = 100;
/// How often `Down` looks how many tasks are left.
const DOWN_INTERVAL: Duration = Duration::from_millis(100);

/// Answers for one node.
pub(crate) struct Service {
    pub(crate) handle: Handle,
}

#[tonic::async_trait]
impl Windlass for Service {
    type RunStream = Messages<RunEvent>;
    type WaitStream = Messages<WaitEvent>;
    type LogsStream = Messages<OutputChunk>;
    type DownStream = Messages<DownEvent>;

    async fn submit(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        Ok(Response::new(self.submit_job(request.into_inner()).await?))
    }

    async fn run(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<Self::RunStream>, Status> {
        let submitted = self.submit_job(request.into_inner()).await?;
        let handle = self.handle.clone();
        Ok(answer(|caller| run(handle, submitted, caller)))
    }

    async fn upload(
        &self,
        request: Request<Streaming<UploadRequest>>,
    ) -> Result<Response<UploadResponse>, Status> {
        Ok(Response::new(upload(&self.handle, request.into_inner()).await?))
    }

    async fn rerun(
        &self,
        request: Request<RerunRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        let RerunRequest { id, failed, idempotency_key, actor } = request.into_inner();
        let actor = if actor.is_empty() { "user:api".to_owned() } else { actor };
        let submitted = self.handle.rerun(&id, failed, actor, &idempotency_key).await;
        let Submitted { run, repeated } = submitted.map_err(|refused| status(&refused))?;
        Ok(Response::new(SubmitResponse { run: run.0, repeated }))
    }

    async fn purge(
        &self,
        request: Request<PurgeRequest>,
    ) -> Result<Response<PurgeResponse>, Status> {
        let PurgeRequest { filter, dry_run } = request.into_inner();
        let filter = filter::runs(filter.unwrap_or_default())?;
        let purged = self.handle.purge(filter, dry_run).await;
        let Purged { runs, elements, bytes } = purged.map_err(|refused| status(&refused))?;
        Ok(Response::new(PurgeResponse { runs, elements, bytes }))
    }

    async fn list_runs(
        &self,
        request: Request<ListRunsRequest>,
    ) -> Result<Response<ListRunsResponse>, Status> {
        let ListRunsRequest { all, limit: most, before, filter } = request.into_inner();
        let filter = filter::runs(filter.unwrap_or_default())?;
        let page = self.handle.runs(&filter, all, before, limit(most)).await;
        let page = page.map_err(|refused| status(&refused))?;
        Ok(Response::new(ListRunsResponse {
            runs: page.runs.iter().map(convert::run).collect(),
            next_before: page.next.map_or(0, |run| run.0),
            damaged: page.damaged,
        }))
    }

    async fn get_run(
        &self,
        request: Request<GetRunRequest>,
    ) -> Result<Response<GetRunResponse>, Status> {
        let GetRunRequest { id, limit: most, states } = request.into_inner();
        let states = filter::states(&states)?;
        let detail = self.handle.run(&id, &states, limit(most)).await;
        Ok(Response::new(convert::detail(detail.map_err(|refused| status(&refused))?)))
    }

    async fn wait(
        &self,
        request: Request<WaitRequest>,
    ) -> Result<Response<Self::WaitStream>, Status> {
        let ids = ids(request.into_inner().ids)?;
        let handle = self.handle.clone();
        Ok(answer(|caller| wait(handle, ids, caller)))
    }

    async fn cancel(
        &self,
        request: Request<CancelRequest>,
    ) -> Result<Response<CancelResponse>, Status> {
        let CancelRequest { ids: wanted, reason, actor } = request.into_inner();
        let actor = if actor.is_empty() { "user:api".to_owned() } else { actor };
        let because = Because { actor, reason };
        let mut canceled = Vec::new();
        for id in ids(wanted)? {
            let one = self.handle.cancel(&id, because.clone()).await;
            let one = one.map_err(|refused| status(&refused))?;
            canceled.push(Canceled {
                id,
                ended: one.ended,
                stopping: one.stopping,
                already_ended: one.already_ended,
            });
        }
        Ok(Response::new(CancelResponse { canceled }))
    }

    async fn logs(
        &self,
        request: Request<LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let LogsRequest { id, follow, streams } = request.into_inner();
        let streams = output::streams(streams)?;
        let request = node::LogsRequest { follow, streams };
        let logs = self.handle.logs(&id, request).await.map_err(|refused| status(&refused))?;
        Ok(answer(|caller| output::forward(logs, caller, |chunk| chunk)))
    }

    async fn list_nodes(
        &self,
        _: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        let nodes = self.handle.nodes().await.map_err(|refused| status(&refused))?;
        let nodes = nodes.into_iter().map(convert::node).collect();
        Ok(Response::new(ListNodesResponse { nodes }))
    }

    async fn get_server(
        &self,
        _: Request<GetServerRequest>,
    ) -> Result<Response<GetServerResponse>, Status> {
        let view = self.handle.view().await.map_err(|refused| status(&refused))?;
        Ok(Response::new(convert::server(&self.handle, &view)))
    }

    async fn down(&self, _: Request<DownRequest>) -> Result<Response<Self::DownStream>, Status> {
        let handle = self.handle.clone();
        // Counted before, for short tasks are gone before anybody could look.
        let left = handle.running();
        handle.down();
        Ok(answer(move |caller| down(handle, left, caller)))
    }
}

impl Service {
    async fn submit_job(&self, request: SubmitRequest) -> Result<SubmitResponse, Status> {
        let job = request.job.ok_or_else(|| invalid("job: there is none"))?;
        let job = convert::job(job).map_err(invalid)?;
        let submitted = self.handle.submit(job, &request.idempotency_key).await;
        let Submitted { run, repeated } = submitted.map_err(|refused| status(&refused))?;
        Ok(SubmitResponse { run: run.0, repeated })
    }
}

/// The number, all output, the end.
async fn run(
    handle: Handle,
    submitted: SubmitResponse,
    caller: Caller<RunEvent>,
) -> Result<(), Status> {
    use run_event::Kind;
    let event = |kind| RunEvent { kind: Some(kind) };
    let id = submitted.run.to_string();
    caller.send(event(Kind::Submitted(submitted))).await?;
    let request = node::LogsRequest { follow: true, streams: node::Streams::Both };
    let logs = handle.logs(&id, request).await.map_err(|refused| status(&refused))?;
    output::forward(logs, caller.clone(), move |chunk| event(Kind::Output(chunk))).await?;
    let end = handle.wait(&id, |_| ()).await.map_err(|refused| status(&refused))?;
    caller.send(event(Kind::Ended(convert::end(&end)))).await
}

/// The ends in the order of the ids, and meanwhile how far all of them are together.
async fn wait(handle: Handle, ids: Vec<String>, caller: Caller<WaitEvent>) -> Result<(), Status> {
    use wait_event::Kind;
    let event = |kind| WaitEvent { kind: Some(kind) };
    let nothing = Progress { ended: 0, total: 0 };
    let (all, mut seen) = watch::channel(vec![nothing; ids.len()]);
    let (handle, all) = (&handle, &all);
    let mut ends: FuturesOrdered<_> = ids
        .iter()
        .enumerate()
        .map(|(at, id)| handle.wait(id, move |one| all.send_modify(|all| all[at] = one)))
        .collect();
    loop {
        tokio::select! {
            biased;
            end = ends.next() => match end {
                Some(end) => {
                    let end = end.map_err(|refused| status(&refused))?;
                    caller.send(event(Kind::Ended(convert::end(&end)))).await?;
                }
                None => return Ok(()),
            },
            Ok(()) = seen.changed() => {
                let (ended, total) = seen.borrow_and_update().iter().fold((0, 0), |sum, one| {
                    (sum.0 + one.ended, sum.1 + one.total)
                });
                caller.send(event(Kind::Progress(WaitProgress { ended, total }))).await?;
            }
        }
    }
}

/// How many tasks are left, until the node has stopped.
async fn down(handle: Handle, mut left: u64, caller: Caller<DownEvent>) -> Result<(), Status> {
    caller.send(DownEvent { tasks_left: left }).await?;
    let mut ticks = tokio::time::interval(DOWN_INTERVAL);
    let stopped = handle.stopped();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            _ = ticks.tick() => {
                let now = handle.running();
                if now != std::mem::replace(&mut left, now) {
                    caller.send(DownEvent { tasks_left: left }).await?;
                }
            }
            _ = &mut stopped => return caller.send(DownEvent { tasks_left: 0 }).await,
        }
    }
}

/// Ids that can be read, not too many.
fn ids(ids: Vec<String>) -> Result<Vec<String>, Status> {
    if ids.is_empty() || ids.len() > IDS_MAX {
        return Err(invalid(format!("ids: {} given, 1 to {IDS_MAX} are allowed", ids.len())));
    }
    for id in &ids {
        Selector::parse(id).map_err(invalid)?;
    }
    Ok(ids)
}

fn limit(wanted: u32) -> usize {
    let wanted = if wanted == 0 { LIMIT_DEFAULT } else { wanted };
    wanted.min(LIMIT_MAX) as usize
}
