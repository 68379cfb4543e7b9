//! The one task that takes records, makes spans of them and sends them.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use node::traces::Record;
use node::{Handle, metrics};
use proto::otlp::trace_service_client::TraceServiceClient;
use proto::otlp::{
    ExportTraceServiceRequest, InstrumentationScope, Resource, ResourceSpans, ScopeSpans, Span,
};
use tokio::sync::{mpsc, oneshot};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::endpoint::Endpoint;
use super::ids::Ids;
use super::queue::Queue;
use super::resource::{Given, resource};
use super::spans::Spans;

/// Records taken at once.
const RECORDS: usize = 256;
/// What reaching the collector may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// What one request may take.
const SEND_WITHIN: Duration = Duration::from_secs(10);
/// What the last spans may take when the node ends.
const FAREWELL: Duration = Duration::from_secs(1);
/// Where nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// Sends traces to a collector.
pub struct Exporter {
    records: mpsc::Receiver<Record>,
    handle: Handle,
    endpoint: Endpoint,
    channel: Channel,
    resource: Resource,
    spans: Spans,
    queue: Queue,
    failing: bool,
}

/// A request that is under way, with how many spans it carries.
type Sending = Pin<Box<dyn Future<Output = (usize, Result<i64, Status>)> + Send>>;

impl Exporter {
    /// Of what the node of `handle` tells, to `endpoint`; `host` is this machine's name. Nothing is
    /// connected before there is something to send. It must be called within a runtime.
    pub fn new(
        records: mpsc::Receiver<Record>,
        handle: Handle,
        endpoint: Endpoint,
        host: &str,
    ) -> Exporter {
        let info = handle.info();
        let ids = Ids { cluster: info.cluster, incarnation: info.incarnation };
        let channel = Channel::from_shared(endpoint.as_str().to_owned())
            .expect("an endpoint is an address")
            .connect_timeout(CONNECT_WITHIN)
            .timeout(SEND_WITHIN)
            .connect_lazy();
        Exporter {
            resource: resource(info, host, &Given::by_environment()),
            spans: Spans::new(ids),
            queue: Queue::new(handle.metrics().traces.dropped.clone()),
            records,
            handle,
            endpoint,
            channel,
            failing: false,
        }
    }

    /// Runs until `end` is told or dropped; what is there then has a second to go.
    pub async fn run(mut self, mut end: oneshot::Receiver<()>) {
        tracing::info!(endpoint = %self.endpoint, "traces go to a collector");
        let mut sending: Option<Sending> = None;
        let mut records = Vec::with_capacity(RECORDS);
        loop {
            let due = self.queue.due().filter(|_| sending.is_none());
            let wake = due.unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                count = self.records.recv_many(&mut records, RECORDS) => {
                    if count == 0 {
                        break;
                    }
                    self.take(&mut records);
                }
                (count, sent) = under_way(&mut sending) => {
                    sending = None;
                    self.sent(count, sent);
                }
                () = tokio::time::sleep_until(wake.into()), if due.is_some() => {
                    sending = Some(self.send());
                }
                _ = &mut end => break,
            }
        }
        let _ = tokio::time::timeout(FAREWELL, self.farewell(sending)).await;
    }

    /// Sends what there is, as long as the collector takes it.
    async fn farewell(mut self, mut sending: Option<Sending>) {
        let mut records = Vec::with_capacity(RECORDS);
        loop {
            while records.len() < RECORDS
                && let Ok(record) = self.records.try_recv()
            {
                records.push(record);
            }
            self.take(&mut records);
            if sending.is_none() {
                if self.queue.is_empty() {
                    return;
                }
                sending = Some(self.send());
            }
            let (count, sent) = under_way(&mut sending).await;
            sending = None;
            let failed = sent.is_err();
            self.sent(count, sent);
            if failed {
                return;
            }
        }
    }

    fn take(&mut self, records: &mut Vec<Record>) {
        let now = Instant::now();
        for record in records.drain(..) {
            let spans = self.spans.of(record);
            self.queue.add(spans, now);
        }
    }

    fn send(&self) -> Sending {
        let spans = self.queue.batch();
        let count = spans.len();
        let request = request(&self.resource, spans);
        let mut client = TraceServiceClient::new(self.channel.clone());
        Box::pin(async move {
            // The channel's own limit begins with the connection.
            let limit = CONNECT_WITHIN + SEND_WITHIN;
            let sent = match tokio::time::timeout(limit, client.export(request)).await {
                Ok(sent) => sent,
                Err(_) => Err(Status::deadline_exceeded("it takes too long")),
            };
            let rejected = |answer: proto::otlp::ExportTraceServiceResponse| {
                answer.partial_success.map_or(0, |partial| partial.rejected_spans)
            };
            (count, sent.map(|answer| rejected(answer.into_inner())))
        })
    }

    fn sent(&mut self, count: usize, sent: Result<i64, Status>) {
        let now = Instant::now();
        let measured: &metrics::Traces = &self.handle.metrics().traces;
        match sent {
            Ok(rejected) => {
                let rejected = u64::try_from(rejected).unwrap_or(0).min(count as u64);
                measured.dropped.inc_by(rejected);
                measured.exported.inc_by(count as u64 - rejected);
                self.queue.done(count, now);
                self.queue.answered();
                if std::mem::take(&mut self.failing) {
                    tracing::info!(endpoint = %self.endpoint, "the collector takes traces again");
                }
            }
            Err(status) => {
                measured.failures.inc();
                self.failing = true;
                self.queue.away(now);
                if !may_try_again(&status) {
                    measured.dropped.inc_by(count as u64);
                    self.queue.done(count, now);
                }
                if self.queue.may_say(now) {
                    let why = reason(&status);
                    let dropped = measured.dropped.get();
                    tracing::warn!(endpoint = %self.endpoint, why, dropped, "traces cannot be sent; the node goes on without");
                }
            }
        }
    }
}

/// Never, where nothing is under way.
async fn under_way(sending: &mut Option<Sending>) -> (usize, Result<i64, Status>) {
    match sending {
        Some(sending) => sending.await,
        None => std::future::pending().await,
    }
}

fn request(resource: &Resource, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope = InstrumentationScope {
        name: "windlass".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
    let resource = Some(resource.clone());
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { resource, scope_spans }] }
}

/// As OTLP lists them: whatever else a collector says, it says of the same spans again. An unknown
/// error is one of the way only where something is behind it: what a collector says has nothing.
fn may_try_again(status: &Status) -> bool {
    let broken = std::error::Error::source(status).is_some();
    matches!(
        status.code(),
        Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss
            | Code::ResourceExhausted
    ) || (status.code() == Code::Unknown && broken)
}

/// The message with what is behind it: a transport error alone says nothing.
fn reason(status: &Status) -> String {
    let mut text = status.message().to_owned();
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        source = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_collector_refuses_is_not_sent_again_and_a_broken_way_is() {
        assert!(may_try_again(&Status::unavailable("away")));
        for code in [Code::Unknown, Code::InvalidArgument, Code::Unimplemented] {
            assert!(!may_try_again(&Status::new(code, "no")), "{code}");
        }
        let broken = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        let mut unknown = Status::unknown("the way");
        unknown.set_source(std::sync::Arc::new(broken));
        assert!(may_try_again(&unknown));
    }
}
