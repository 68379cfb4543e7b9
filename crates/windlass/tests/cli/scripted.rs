//! A node that is played by a script: it answers `Run`, `Wait` and `Logs` with given events and
//! then says nothing more, until the test takes it away in the middle.

use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};

use proto::api::windlass_server::{Windlass, WindlassServer};
use proto::api::*;
use tokio::runtime::Runtime;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

type Events<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// What it says.
#[derive(Clone, Default)]
pub(crate) struct Script {
    pub(crate) run: Vec<RunEvent>,
    pub(crate) wait: Vec<WaitEvent>,
    pub(crate) logs: Vec<OutputChunk>,
    pub(crate) snapshot: Vec<SnapshotPiece>,
    /// Refuse so many calls of `Run` first, for want of room.
    pub(crate) refuse: usize,
    /// Close the stream after the last event rather than say nothing more.
    pub(crate) close: bool,
}

/// What it was asked, over all its lives.
#[derive(Default)]
pub(crate) struct Heard {
    pub(crate) runs: Vec<SubmitRequest>,
    pub(crate) cancels: Vec<CancelRequest>,
    pub(crate) waits: Vec<WaitRequest>,
    /// Told of each of these.
    pub(crate) bell: Option<Sender<()>>,
}

impl Heard {
    fn ring(&self) {
        // A test that does not listen has dropped its end.
        let _ = self.bell.as_ref().map(|bell| bell.send(()));
    }
}

/// One life of the node. Dropping it breaks every connection.
pub(crate) struct Life {
    runtime: Option<Runtime>,
    pub(crate) addr: SocketAddr,
}

impl Life {
    /// Serves at `addr`; port 0 means any.
    pub(crate) fn begin(addr: SocketAddr, script: Script, heard: &Arc<Mutex<Heard>>) -> Life {
        let listener = TcpListener::bind(addr).unwrap();
        let addr = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let service = WindlassServer::new(Scripted { script, heard: Arc::clone(heard) });
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let incoming = tokio_stream::wrappers::TcpListenerStream::new(listener);
            tonic::transport::Server::builder()
                .add_service(service)
                .serve_with_incoming(incoming)
                .await
                .unwrap();
        });
        Life { runtime: Some(runtime), addr }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        drop(self.runtime.take());
    }
}

struct Scripted {
    script: Script,
    heard: Arc<Mutex<Heard>>,
}

impl Scripted {
    fn play<T: Send + 'static>(&self, events: Vec<T>) -> Result<Response<Events<T>>, Status> {
        let said = tokio_stream::iter(events.into_iter().map(Ok));
        Ok(Response::new(match self.script.close {
            true => Box::pin(said),
            false => Box::pin(said.chain(tokio_stream::pending())),
        }))
    }
}

fn unasked<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented("the script has no such answer"))
}

#[tonic::async_trait]
impl Windlass for Scripted {
    type RunStream = Events<RunEvent>;
    type WaitStream = Events<WaitEvent>;
    type LogsStream = Events<OutputChunk>;
    type DownStream = Events<DownEvent>;
    type EventsStream = Events<EventBatch>;
    type FollowAuditStream = Events<ChangeBatch>;
    type TakeSnapshotStream = Events<SnapshotPiece>;

    async fn run(
        &self,
        request: Request<SubmitRequest>,
    ) -> Result<Response<Self::RunStream>, Status> {
        let mut heard = self.heard.lock().unwrap();
        heard.runs.push(request.into_inner());
        heard.ring();
        if heard.runs.len() <= self.script.refuse {
            let mut status = Status::resource_exhausted("too many jobs wait; try again in 1 s");
            status.metadata_mut().insert("retry-after", "0".parse().unwrap());
            return Err(status);
        }
        drop(heard);
        self.play(self.script.run.clone())
    }

    async fn wait(
        &self,
        request: Request<WaitRequest>,
    ) -> Result<Response<Self::WaitStream>, Status> {
        let mut heard = self.heard.lock().unwrap();
        heard.waits.push(request.into_inner());
        heard.ring();
        drop(heard);
        self.play(self.script.wait.clone())
    }

    async fn logs(&self, _: Request<LogsRequest>) -> Result<Response<Self::LogsStream>, Status> {
        self.play(self.script.logs.clone())
    }

    async fn cancel(
        &self,
        request: Request<CancelRequest>,
    ) -> Result<Response<CancelResponse>, Status> {
        self.heard.lock().unwrap().cancels.push(request.into_inner());
        Ok(Response::new(CancelResponse::default()))
    }

    async fn submit(&self, _: Request<SubmitRequest>) -> Result<Response<SubmitResponse>, Status> {
        unasked()
    }

    async fn upload(
        &self,
        _: Request<Streaming<UploadRequest>>,
    ) -> Result<Response<UploadResponse>, Status> {
        unasked()
    }

    async fn rerun(&self, _: Request<RerunRequest>) -> Result<Response<SubmitResponse>, Status> {
        unasked()
    }

    async fn purge(&self, _: Request<PurgeRequest>) -> Result<Response<PurgeResponse>, Status> {
        unasked()
    }

    async fn list_runs(
        &self,
        _: Request<ListRunsRequest>,
    ) -> Result<Response<ListRunsResponse>, Status> {
        unasked()
    }

    async fn get_run(&self, _: Request<GetRunRequest>) -> Result<Response<GetRunResponse>, Status> {
        let run = RunSummary { run: 7, ..Default::default() };
        Ok(Response::new(GetRunResponse { run: Some(run), ..Default::default() }))
    }

    async fn list_nodes(
        &self,
        _: Request<ListNodesRequest>,
    ) -> Result<Response<ListNodesResponse>, Status> {
        unasked()
    }

    async fn get_node(&self, _: Request<GetNodeRequest>) -> Result<Response<NodeStatus>, Status> {
        unasked()
    }

    async fn drain_node(
        &self,
        _: Request<DrainNodeRequest>,
    ) -> Result<Response<NodeStatus>, Status> {
        unasked()
    }

    async fn resume_node(
        &self,
        _: Request<ResumeNodeRequest>,
    ) -> Result<Response<ResumeNodeResponse>, Status> {
        unasked()
    }

    async fn remove_node(
        &self,
        _: Request<RemoveNodeRequest>,
    ) -> Result<Response<RemoveNodeResponse>, Status> {
        unasked()
    }

    async fn list_elements(
        &self,
        _: Request<ListElementsRequest>,
    ) -> Result<Response<ListElementsResponse>, Status> {
        unasked()
    }

    async fn why(&self, _: Request<WhyRequest>) -> Result<Response<WhyResponse>, Status> {
        unasked()
    }

    async fn follow_audit(
        &self,
        _: Request<FollowAuditRequest>,
    ) -> Result<Response<Self::FollowAuditStream>, Status> {
        unasked()
    }

    async fn take_snapshot(
        &self,
        _: Request<TakeSnapshotRequest>,
    ) -> Result<Response<Self::TakeSnapshotStream>, Status> {
        self.play(self.script.snapshot.clone())
    }

    async fn events(
        &self,
        _: Request<EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        unasked()
    }

    async fn create_token(
        &self,
        _: Request<CreateTokenRequest>,
    ) -> Result<Response<CreateTokenResponse>, Status> {
        unasked()
    }

    async fn get_cluster(
        &self,
        _: Request<GetClusterRequest>,
    ) -> Result<Response<GetClusterResponse>, Status> {
        unasked()
    }

    async fn create_join_token(
        &self,
        _: Request<CreateJoinTokenRequest>,
    ) -> Result<Response<CreateJoinTokenResponse>, Status> {
        unasked()
    }

    async fn list_tokens(
        &self,
        _: Request<ListTokensRequest>,
    ) -> Result<Response<ListTokensResponse>, Status> {
        unasked()
    }

    async fn revoke_token(
        &self,
        _: Request<RevokeTokenRequest>,
    ) -> Result<Response<RevokeTokenResponse>, Status> {
        unasked()
    }

    async fn audit(&self, _: Request<AuditRequest>) -> Result<Response<AuditResponse>, Status> {
        unasked()
    }

    async fn get_server(
        &self,
        _: Request<GetServerRequest>,
    ) -> Result<Response<GetServerResponse>, Status> {
        unasked()
    }

    async fn get_authority(
        &self,
        _: Request<GetAuthorityRequest>,
    ) -> Result<Response<GetAuthorityResponse>, Status> {
        unasked()
    }

    async fn down(&self, _: Request<DownRequest>) -> Result<Response<Self::DownStream>, Status> {
        unasked()
    }
}
