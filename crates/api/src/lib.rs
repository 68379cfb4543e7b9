//! The outside: gRPC and REST on one listener, behind a token and the Host and Origin checks.
//!
//! It exists so that the inner types stay free: this crate alone turns requests into calls of the
//! node's [`node::Handle`] and its answers into messages and status codes.
//!
//! It must never decide what the node decides, hold state of jobs, or let a call pass the gate.

pub mod json;

#[doc(hidden)]
pub mod fuzz;

mod caller;
mod gate;
mod going;
mod handed;
mod hints;
mod language;
mod listener;
mod metrics;
mod server;
pub mod tls;
mod token;

mod audit;
mod calls;
mod cluster;
mod convert;
mod details;
mod filter;
mod nodes;
mod output;
mod refusal;
mod rest;
mod service;
mod streams;
mod tokens;
pub mod traces;
mod upload;
mod watch;
mod working;

use std::future::Future;
use std::net::TcpListener;
use std::sync::Arc;

pub use caller::Caller;
pub use rest::openapi;
pub use server::{Error, Manner};
pub use token::TokenCheck;

/// Serves a control node on `listener` until `shutdown` is done; calls that are under way then have a moment to end.
pub async fn serve(
    listener: TcpListener,
    handle: node::Handle,
    manner: Manner,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    let tokens = Arc::new(handle.clone());
    let service = Arc::new(calls::Service { handle });
    server::serve(listener, service, manner, tokens, shutdown).await
}

/// Serves a node that only works, as [`serve`] does a control node: what is not about the node itself is handed on to one
/// of those, which decides what its callers are redirected to.
pub async fn serve_worker(
    listener: TcpListener,
    handle: node::WorkerHandle,
    manner: Manner,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), Error> {
    working::serve(listener, handle, manner, shutdown).await
}
