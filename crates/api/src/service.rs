//! The calls of `windlass.v1.Windlass`, each turned into calls of the node's handle.

use futures::StreamExt;
use futures::stream::FuturesOrdered;
use model::Role;
use node::query::Progress;
use node::{Handle, Refused};
use proto::api::windlass_server::Windlass;
use proto::api::*;
use tokio::sync::watch as watched;
use tonic::{Request, Response, Status, Streaming};

use crate::audit;
use crate::caller::Caller;
use crate::calls::{Service, ids};
use crate::convert;
use crate::going::going;
use crate::output;
use crate::refusal::status;
use crate::streams::{Messages, Recipient, answer};
use crate::upload::upload;
use crate::watch;

#[tonic::async_trait]
impl Windlass for Service {
    type RunStream = Messages<RunEvent>;
    type WaitStream = Messages<WaitEvent>;
    type LogsStream = Messages<OutputChunk>;
    type DownStream = Messages<DownEvent>;
    type EventsStream = Messages<EventBatch>;
    type FollowAuditStream = Messages<ChangeBatch>;
    type TakeSnapshotStream = Messages<SnapshotPiece>;

    async fn submit(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::submit(self, &caller, request).await)
    }

    async fn run(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<Self::RunStream>, Status> {
        let (caller, request) = open(request)?;
        let submitted = Service::submit(self, &caller, request).await;
        let submitted = submitted.map_err(|refused| status(&refused))?;
        let handle = self.handle.clone();
        Ok(answer(|recipient| run(handle, submitted, recipient)))
    }

    async fn upload(
        &self,
        request: Request<Streaming<UploadRequest>>,
    ) -> Result<Response<UploadResponse>, Status> {
        let (caller, pieces) = open(request)?;
        needs(&caller, Role::Submitter, "upload a list")?;
        Ok(Response::new(upload(&self.handle, pieces).await?))
    }

    async fn rerun(
        &self,
        request: Request<RerunRequest>,
    ) -> Result<Response<SubmitResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::rerun(self, &caller, request).await)
    }

    async fn purge(
        &self,
        request: Request<PurgeRequest>,
    ) -> Result<Response<PurgeResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::purge(self, &caller, request).await)
    }

    async fn list_runs(
        &self,
        request: Request<ListRunsRequest>,
    ) -> Result<Response<ListRunsResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::list_runs(self, &caller, request).await)
    }

    async fn get_run(
        &self,
        request: Request<GetRunRequest>,
    ) -> Result<Response<GetRunResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::get_run(self, &caller, request).await)
    }

    async fn wait(
        &self,
        request: Request<WaitRequest>,
    ) -> Result<Response<Self::WaitStream>, Status> {
        let (caller, request) = open(request)?;
        needs(&caller, Role::Viewer, "wait for a run")?;
        let ids = ids(request.ids).map_err(|refused| status(&refused))?;
        let handle = self.handle.clone();
        Ok(answer(|recipient| wait(handle, ids, recipient)))
    }

    async fn cancel(
        &self,
        request: Request<CancelRequest>,
    ) -> Result<Response<CancelResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::cancel(self, &caller, request).await)
    }

    async fn logs(
        &self,
        request: Request<LogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let (caller, LogsRequest { id, follow, streams }) = open(request)?;
        needs(&caller, Role::Viewer, "read output")?;
        let streams = output::streams(streams).map_err(|refused| status(&refused))?;
        let request = node::LogsRequest { follow, streams };
        let logs = self.handle.logs(&id, request).await.map_err(|refused| status(&refused))?;
        Ok(answer(|recipient| output::forward(logs, recipient, |chunk| chunk)))
    }

    async fn list_elements(
        &self,
        request: Request<ListElementsRequest>,
    ) -> Result<Response<ListElementsResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::list_elements(self, &caller, request).await)
    }

    async fn why(&self, request: Request<WhyRequest>) -> Result<Response<WhyResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::why(self, &caller, request).await)
    }

    async fn events(
        &self,
        request: Request<EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        let (caller, request) = open(request)?;
        let events = Service::events(self, &caller, &request).await;
        let events = events.map_err(|refused| status(&refused))?;
        Ok(answer(|recipient| watch::forward(events, request.follow, recipient)))
    }

    async fn follow_audit(
        &self,
        request: Request<FollowAuditRequest>,
    ) -> Result<Response<Self::FollowAuditStream>, Status> {
        let (caller, request) = open(request)?;
        let changes = Service::follow_audit(self, &caller, &request).await;
        let changes = changes.map_err(|refused| status(&refused))?;
        Ok(answer(|recipient| audit::forward(changes, request.follow, recipient)))
    }

    async fn get_node(
        &self,
        request: Request<GetNodeRequest>,
    ) -> Result<Response<NodeStatus>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::get_node(self, &caller, request).await)
    }

    async fn drain_node(
        &self,
        request: Request<DrainNodeRequest>,
    ) -> Result<Response<NodeStatus>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::drain_node(self, &caller, request).await)
    }

    async fn resume_node(
        &self,
        request: Request<ResumeNodeRequest>,
    ) -> Result<Response<ResumeNodeResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::resume_node(self, &caller, request).await)
    }

    async fn remove_node(
        &self,
        request: Request<RemoveNodeRequest>,
    ) -> Result<Response<RemoveNodeResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::remove_node(self, &caller, request).await)
    }

    async fn list_nodes(
        &self,
        request: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        let (caller, _) = open(request)?;
        plain(Service::list_nodes(self, &caller).await)
    }

    async fn get_server(
        &self,
        request: Request<GetServerRequest>,
    ) -> Result<Response<GetServerResponse>, Status> {
        let (caller, _) = open(request)?;
        plain(Service::get_server(self, &caller).await)
    }

    async fn get_authority(
        &self,
        request: Request<GetAuthorityRequest>,
    ) -> Result<Response<GetAuthorityResponse>, Status> {
        let (caller, _) = open(request)?;
        plain(Service::get_authority(self, &caller))
    }

    async fn down(
        &self,
        request: Request<DownRequest>,
    ) -> Result<Response<Self::DownStream>, Status> {
        let (caller, request) = open(request)?;
        let left = self.go_down(&caller, request).await.map_err(|refused| status(&refused))?;
        let handle = self.handle.clone();
        Ok(answer(move |recipient| {
            let stopped = handle.clone();
            let stopped = async move { stopped.stopped().await };
            going(move || handle.running(), stopped, left, recipient)
        }))
    }

    async fn take_snapshot(
        &self,
        request: Request<TakeSnapshotRequest>,
    ) -> Result<Response<Self::TakeSnapshotStream>, Status> {
        let (caller, _) = open(request)?;
        let taking = Service::take_snapshot(self, &caller).await;
        let mut taking = taking.map_err(|refused| status(&refused))?;
        Ok(answer(|recipient| async move {
            while let Some(data) = taking.next().await {
                recipient.send(SnapshotPiece { data }).await?;
            }
            Ok(())
        }))
    }

    async fn get_cluster(
        &self,
        request: Request<GetClusterRequest>,
    ) -> Result<Response<GetClusterResponse>, Status> {
        let (caller, _) = open(request)?;
        plain(Service::get_cluster(self, &caller).await)
    }

    async fn create_join_token(
        &self,
        request: Request<CreateJoinTokenRequest>,
    ) -> Result<Response<CreateJoinTokenResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::create_join_token(self, &caller, request).await)
    }

    async fn create_token(
        &self,
        request: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::create_token(self, &caller, request).await)
    }

    async fn list_tokens(
        &self,
        request: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        let (caller, _) = open(request)?;
        plain(Service::list_tokens(self, &caller).await)
    }

    async fn audit(
        &self,
        request: Request<AuditRequest>,
    ) -> Result<Response<AuditResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::audit(self, &caller, request).await)
    }

    async fn revoke_token(
        &self,
        request: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        let (caller, request) = open(request)?;
        plain(Service::revoke_token(self, &caller, request).await)
    }
}

/// The caller and the message of a request.
fn open<T>(request: Request<T>) -> Result<(Caller, T), Status> {
    let caller = Caller::of(request.extensions()).map_err(|refused| status(&refused))?;
    Ok((caller, request.into_inner()))
}

fn needs(caller: &Caller, role: Role, what: &str) -> Result<(), Status> {
    caller.need(role, what).map_err(|refused| status(&refused))
}

fn plain<T>(answered: Result<T, Refused>) -> Result<Response<T>, Status> {
    answered.map(Response::new).map_err(|refused| status(&refused))
}

/// The number, all output, the end.
async fn run(
    handle: Handle,
    submitted: SubmitResponse,
    recipient: Recipient<RunEvent>,
) -> Result<(), Status> {
    use run_event::Kind;
    let event = |kind| RunEvent { kind: Some(kind) };
    let id = submitted.run.to_string();
    recipient.send(event(Kind::Submitted(submitted))).await?;
    let request = node::LogsRequest { follow: true, streams: node::Streams::Both };
    let logs = handle.logs(&id, request).await.map_err(|refused| status(&refused))?;
    output::forward(logs, recipient.clone(), move |chunk| event(Kind::Output(chunk))).await?;
    let end = handle.wait(&id, |_| ()).await.map_err(|refused| status(&refused))?;
    recipient.send(event(Kind::Ended(convert::end(&end)))).await
}

/// The ends in the order of the ids, and meanwhile how far all of them are together.
async fn wait(
    handle: Handle,
    ids: Vec<String>,
    recipient: Recipient<WaitEvent>,
) -> Result<(), Status> {
    use wait_event::Kind;
    let event = |kind| WaitEvent { kind: Some(kind) };
    let nothing = Progress { ended: 0, total: 0 };
    let (all, mut seen) = watched::channel(vec![nothing; ids.len()]);
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
                    recipient.send(event(Kind::Ended(convert::end(&end)))).await?;
                }
                None => return Ok(()),
            },
            Ok(()) = seen.changed() => {
                let (ended, total) = seen.borrow_and_update().iter().fold((0, 0), |sum, one| {
                    (sum.0 + one.ended, sum.1 + one.total)
                });
                recipient.send(event(Kind::Progress(WaitProgress { ended, total }))).await?;
            }
        }
    }
}
