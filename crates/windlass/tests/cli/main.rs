//! The binary from outside: what it prints, on which stream, and what it exits with.
//!
//! Each test says what is special about it; how a node is started and looked at stands in `node`,
//! how a node is played by a script in `scripted`.

// Helpers outside of a `#[test]` are tests too.
#![allow(clippy::unwrap_used)]

#[macro_use]
mod node;
mod scripted;
mod terminal;

mod asked;
mod audit;
mod config;
mod cut_off;
mod documented;
mod drain;
mod gate;
mod grpc;
mod helped;
mod life;
mod live;
mod logging;
mod look;
mod lost;
mod many;
mod metrics;
mod page;
mod past;
mod placing;
mod python;
mod recovered;
mod rest;
mod run;
mod schemas;
mod secrets;
mod secured;
mod shown;
mod slow;
mod tokens;
mod traces;
mod usage;
mod watch;
