//! The outside: gRPC on one listener, behind a token and the Host and Origin checks.
//!
//! It exists so that the inner types stay free: this crate alone turns requests into calls of the
//! node's [`node::Handle`] and its answers into messages and status codes.
//!
//! It must never decide what the node decides, hold state of jobs, or let a call pass the gate.

mod gate;
mod listener;
mod server;
mod token;

pub use server::Error;
pub use token::TokenCheck;
