//! A collector of traces in this process, which takes whatever comes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use proto::otlp::any_value::Value;
use proto::otlp::trace_service_server::{TraceService, TraceServiceServer};
use proto::otlp::{ExportTraceServiceRequest, ExportTraceServiceResponse, KeyValue, Span};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

/// How long to wait for spans.
const PATIENCE: Duration = Duration::from_secs(30);

/// A collector at an address of its own.
pub(crate) struct Collector {
    pub(crate) addr: SocketAddr,
    taken: Arc<Taken>,
    _runtime: Runtime,
}

#[derive(Default)]
struct Taken {
    requests: Mutex<Vec<ExportTraceServiceRequest>>,
    news: Condvar,
}

/// One span, with what is asked of it most.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) name: String,
    pub(crate) trace: String,
    pub(crate) id: String,
    pub(crate) parent: String,
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) span: Span,
}

impl Collector {
    pub(crate) fn new() -> Collector {
        let runtime = Runtime::new().unwrap();
        let taken = Arc::new(Taken::default());
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let addr = listener.local_addr().unwrap();
        let service = TraceServiceServer::from_arc(taken.clone());
        let incoming = TcpListenerStream::new(listener);
        runtime.spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
        Collector { addr, taken, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Waits until the spans that have come are as wanted, and gives them.
    pub(crate) fn until(&self, what: &str, wanted: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let deadline = Instant::now() + PATIENCE;
        let mut requests = self.taken.requests.lock().unwrap();
        loop {
            let all = seen(&requests);
            if wanted(&all) {
                return all;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let names: Vec<_> = all.iter().map(|seen| &seen.name).collect();
            assert!(!left.is_zero(), "there is no {what} among {names:?}");
            requests = self.taken.news.wait_timeout(requests, left).unwrap().0;
        }
    }

    /// All spans of a run, once its own is among them.
    pub(crate) fn run(&self, run: &str) -> Trace {
        let of = |seen: &Seen| seen.attributes["windlass.run"] == run;
        let whole = |all: &[Seen]| all.iter().any(|seen| of(seen) && seen.name == "run");
        let all = self.until(&format!("run {run}"), whole);
        Trace(all.into_iter().filter(of).collect())
    }

    /// What the spans of the first request share.
    pub(crate) fn resource(&self) -> BTreeMap<String, String> {
        let requests = self.taken.requests.lock().unwrap();
        let resource = requests[0].resource_spans[0].resource.as_ref().unwrap();
        texts(&resource.attributes)
    }
}

#[tonic::async_trait]
impl TraceService for Taken {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.requests.lock().unwrap().push(request.into_inner());
        self.news.notify_all();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// The spans of one run.
#[derive(Debug)]
pub(crate) struct Trace(pub(crate) Vec<Seen>);

impl Trace {
    pub(crate) fn named(&self, name: &str) -> Vec<&Seen> {
        self.0.iter().filter(|seen| seen.name == name).collect()
    }

    pub(crate) fn one(&self, name: &str) -> &Seen {
        let [one] = self.named(name)[..] else { panic!("not one `{name}` in {self:#?}") };
        one
    }

    pub(crate) fn below(&self, name: &str, parent: &Seen) -> &Seen {
        let below = |seen: &&&Seen| seen.parent == parent.id;
        let named = self.named(name);
        let [one] = named.iter().filter(below).collect::<Vec<_>>()[..] else {
            panic!("not one `{name}` below `{}` in {self:#?}", parent.name)
        };
        one
    }

    /// One trace, every parent there, every span once and within its parent.
    pub(crate) fn check(&self) {
        self.check_but(&[]);
    }

    /// As [`Trace::check`], but these may begin before their parent does.
    pub(crate) fn check_but(&self, early: &[&str]) {
        let root = self.one("run");
        assert_eq!((root.parent.as_str(), root.trace.len()), ("", 32));
        let by_id: BTreeMap<_, _> = self.0.iter().map(|seen| (&seen.id, seen)).collect();
        assert_eq!(by_id.len(), self.0.len(), "{self:#?}");
        for seen in &self.0 {
            assert_eq!(seen.trace, root.trace);
            assert!(seen.span.start_time_unix_nano > 0);
            let Some(parent) = by_id.get(&seen.parent) else {
                assert_eq!(seen.id, root.id, "{seen:?} has no parent in {self:#?}");
                continue;
            };
            let (own, above) = (&seen.span, &parent.span);
            let begins_within = above.start_time_unix_nano <= own.start_time_unix_nano;
            let within = (begins_within || early.contains(&seen.name.as_str()))
                && own.start_time_unix_nano <= own.end_time_unix_nano
                && own.end_time_unix_nano <= above.end_time_unix_nano;
            assert!(within, "{seen:?} sticks out of {parent:?}");
        }
    }
}

fn seen(requests: &[ExportTraceServiceRequest]) -> Vec<Seen> {
    let resources = requests.iter().flat_map(|request| &request.resource_spans);
    let spans = resources.flat_map(|one| &one.scope_spans).flat_map(|scope| &scope.spans);
    spans
        .map(|span| Seen {
            name: span.name.clone(),
            trace: hex(&span.trace_id),
            id: hex(&span.span_id),
            parent: hex(&span.parent_span_id),
            attributes: texts(&span.attributes),
            span: span.clone(),
        })
        .collect()
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |one: &KeyValue| match one.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(truth)) => truth.to_string(),
        other => panic!("{}: {other:?}", one.key),
    };
    attributes.iter().map(|one| (one.key.clone(), text(one))).collect()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
