//! A program that speaks to a node which dies again and again: it asks until it is answered.

use std::future::Future;
use std::time::Duration;

use proto::api::windlass_client::WindlassClient;
use proto::api::*;
use proto::job::Job;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::patience::find;

/// A node that lives answers a short question sooner; one that hangs fails the test.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

pub(crate) type Rpc = WindlassClient<InterceptedService<Channel, Bearer>>;

/// Brings the token.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

/// One caller with a thread of its own.
pub(crate) struct Caller {
    runtime: tokio::runtime::Runtime,
    rpc: Rpc,
}

impl Caller {
    pub(crate) fn new(api: &str, token: &str) -> Caller {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let endpoint = Endpoint::from_shared(format!("http://{api}")).unwrap();
        let channel = {
            let _inside = runtime.enter();
            endpoint.tcp_nodelay(true).connect_timeout(ANSWER_WITHIN).connect_lazy()
        };
        let bearer = Bearer(MetadataValue::try_from(format!("Bearer {}", token.trim())).unwrap());
        let rpc =
            WindlassClient::with_interceptor(channel, bearer).max_decoding_message_size(64 << 20);
        Caller { runtime, rpc }
    }

    /// Asks once.
    pub(crate) fn once<T, F>(&self, call: impl FnOnce(Rpc) -> F) -> Result<T, Status>
    where
        F: Future<Output = Result<T, Status>>,
    {
        let call = call(self.rpc.clone());
        self.runtime.block_on(async {
            match tokio::time::timeout(ANSWER_WITHIN, call).await {
                Ok(answer) => answer,
                Err(_) => panic!("no answer within {ANSWER_WITHIN:?}"),
            }
        })
    }

    /// Asks until there is an answer. A refusal that is none of a node's absence fails the test.
    pub(crate) fn ask<T, F>(&self, call: impl Fn(Rpc) -> F) -> T
    where
        F: Future<Output = Result<T, Status>>,
    {
        find(|| match self.once(&call) {
            Err(status) if !passes(&status) => panic!("refused: {status:?}"),
            answer => answer.map_err(|status| format!("no answer: {status:?}")),
        })
    }

    /// Submits until it is acknowledged.
    pub(crate) fn submit(&self, job: &Job, key: &str) -> u64 {
        let request = SubmitRequest { job: Some(job.clone()), idempotency_key: key.to_owned() };
        let submit = |mut rpc: Rpc| {
            let request = request.clone();
            async move { rpc.submit(request).await }
        };
        self.ask(submit).into_inner().run
    }

    pub(crate) fn cancel(&self, run: u64, reason: &str) {
        let request = CancelRequest {
            ids: vec![run.to_string()],
            reason: reason.to_owned(),
            actor: "user:ann".to_owned(),
        };
        self.ask(|mut rpc: Rpc| {
            let request = request.clone();
            async move { rpc.cancel(request).await }
        });
    }

    /// All of one run.
    pub(crate) fn run(&self, run: u64) -> GetRunResponse {
        let request = GetRunRequest { id: run.to_string(), limit: 10_000, states: vec![] };
        let get = |mut rpc: Rpc| {
            let request = request.clone();
            async move { rpc.get_run(request).await }
        };
        self.ask(get).into_inner()
    }

    /// Asks for a run until it is as wanted; the last answer.
    pub(crate) fn until(
        &self,
        run: u64,
        wanted: impl Fn(&GetRunResponse) -> bool,
    ) -> GetRunResponse {
        find(|| {
            let shown = self.run(run);
            if wanted(&shown) { Ok(shown) } else { Err(format!("{shown:#?}")) }
        })
    }

    /// Asks for a run until it is in this state.
    pub(crate) fn until_state(&self, run: u64, state: &str) -> GetRunResponse {
        self.until(run, |shown| shown.run.as_ref().unwrap().state == state)
    }

    /// Runs that have not ended.
    pub(crate) fn live(&self) -> Vec<RunSummary> {
        let request = ListRunsRequest { limit: 1000, ..ListRunsRequest::default() };
        let ask = |mut rpc: Rpc| {
            let request = request.clone();
            async move { rpc.list_runs(request).await }
        };
        self.ask(ask).into_inner().runs
    }

    /// Waits until nothing is queued and nothing runs.
    pub(crate) fn until_all_ended(&self) {
        find(|| match self.live() {
            none if none.is_empty() => Ok(()),
            some => Err(format!("not ended: {some:#?}")),
        });
    }

    /// The end of a run, which is waited for.
    pub(crate) fn end(&self, run: u64) -> RunEnd {
        self.ask(|mut rpc: Rpc| async move {
            let ids = vec![run.to_string()];
            let mut events = rpc.wait(WaitRequest { ids }).await?.into_inner();
            while let Some(event) = events.message().await? {
                if let Some(wait_event::Kind::Ended(end)) = event.kind {
                    return Ok(end);
                }
            }
            Err(Status::unavailable("the stream ended before the run"))
        })
    }

    /// All output of a run.
    pub(crate) fn output(&self, run: u64) -> Vec<OutputChunk> {
        self.ask(|mut rpc: Rpc| async move {
            let request = LogsRequest { id: run.to_string(), ..LogsRequest::default() };
            let mut chunks = rpc.logs(request).await?.into_inner();
            let mut all = Vec::new();
            while let Some(chunk) = chunks.message().await? {
                all.push(chunk);
            }
            Ok(all)
        })
    }
}

/// Whether the node was not there, or is on its way out.
fn passes(status: &Status) -> bool {
    let lost = std::error::Error::source(status).is_some();
    lost || matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
}
