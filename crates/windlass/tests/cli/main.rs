//! The binary from outside: what it prints, on which stream, and what it exits with.
//!
//! Each test says what is special about it; how a node is started and looked at stands in `node`,
//! how a node is played by a script in `scripted`.

#[macro_use]
mod node;
mod scripted;

mod cut_off;
mod usage;
