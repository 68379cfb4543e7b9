//! Nodes that speak to each other over real sockets on loopback.

#![allow(clippy::unwrap_used)]

mod door;
mod group;
mod handed;
mod no_node;
mod output;
mod refusals;
mod support;
mod transport;
