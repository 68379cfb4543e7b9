//! Where traces go, if anywhere, and the task that brings them there.

use api::traces::{Endpoint, Exporter};
use node::{Node, Part};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::Args;
use super::serving::machine_name;

/// What OpenTelemetry's own libraries read, the nearest first. Ours is nearer.
const VARIABLES: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// Switches all of OpenTelemetry off that the variables ask for.
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// The collector, where traces are wanted. The standard variables are meant for any program: one
/// that cannot be used is said in the log, and the node goes on without.
pub(super) fn collector(args: &Args) -> Option<Endpoint> {
    if args.otlp_sample == 0.0 {
        return None;
    }
    let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let disabled = set(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    args.otlp_endpoint.clone().or_else(|| {
        let name = VARIABLES.into_iter().filter(|_| !disabled).find(|name| set(name).is_some())?;
        let read = set(name)?.parse::<Endpoint>();
        read.inspect_err(|problem| tracing::warn!("${name}: {problem}; nothing is traced")).ok()
    })
}

/// The task that sends traces, where any are made.
pub(super) struct Traces(Option<(oneshot::Sender<()>, JoinHandle<()>)>);

impl Traces {
    /// Should it fail, the node goes on and its records are dropped and counted.
    pub(super) fn start(node: &mut Node, collector: Option<Endpoint>) -> Traces {
        let (Some(endpoint), Some(records), Part::Control(handle)) =
            (collector, node.take_traces(), node.part())
        else {
            return Traces(None);
        };
        let (end, ended) = oneshot::channel();
        let exporter = Exporter::new(records, handle, endpoint, &machine_name());
        Traces(Some((end, tokio::spawn(exporter.run(ended)))))
    }

    /// Gives the last spans a moment to go.
    pub(super) async fn end(self) {
        if let Traces(Some((end, task))) = self {
            let _ = end.send(());
            let _ = task.await;
        }
    }
}
