//! Traces: what a node tells of its work becomes spans, which go to a collector by OTLP over gRPC.
//!
//! All of it is one task at the edge. Ids are computed from what the journal has, so no state is
//! carried along and a trace goes on after a restart; a link to the caller's own span is the only
//! thing taken from outside.
//!
//! It must never be waited for: queues have a bound, what does not fit is counted and forgotten,
//! and a collector that is away costs a line in the log each minute, no more.

mod endpoint;
mod exporter;
mod ids;
mod parent;
mod queue;
mod resource;
mod spans;

pub use endpoint::Endpoint;
pub use exporter::Exporter;
pub(crate) use parent::caller_span;
