//! Nodes that speak to each other over real sockets on loopback.

#![allow(clippy::unwrap_used)]

mod door;
mod group;
mod output;
mod refusals;
mod support;
mod transport;
