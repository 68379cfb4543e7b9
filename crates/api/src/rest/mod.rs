//! REST under `/v1`: all that the command line can do, for any program.
//!
//! It exists beside gRPC because most programs speak plain HTTP and JSON. Each route turns a request
//! into a message and hands it to the same calls that gRPC uses, so the two cannot differ in what
//! they do, nor in which role it takes.
//!
//! It must never do anything that gRPC cannot, nor answer a refusal with anything but a problem
//! document.

// A problem is made once for a request that is refused, and handed on a few times.
#![allow(clippy::result_large_err)]

mod openapi;
mod routes;

mod front;

mod audit;
mod elements;
mod events;
mod lists;
mod members;
mod nodes;
mod output;
mod runs;
mod security;
mod submit;

mod cursor;
mod negotiate;
mod places;
mod problem;
mod request;
mod sse;

use std::sync::Arc;

pub(crate) use front::only_grpc;
pub(crate) use nodes::{healthz, version};
pub use openapi::openapi;
pub(crate) use problem::Problem;
pub(crate) use request::{Body as RestBody, parse};
pub(crate) use routes::{DOWN, is_of_the_node, router};

use crate::calls::Service;
use places::Places;

/// What every route has.
#[derive(Clone)]
pub(crate) struct Rest {
    service: Arc<Service>,
    /// For answers that go on.
    streams: Places,
}
