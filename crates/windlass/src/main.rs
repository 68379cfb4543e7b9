//! Windlass: one binary that runs commands on machines and keeps every result.
//!
//! This crate is the command line: it reads arguments, calls a node, and shows what it says. `up`
//! wires the node together. It must never decide what happens to a job.

mod cli;
mod client;
mod commands;
mod failure;
mod process;
mod show;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    // The supervisor is small on purpose: it is gone from here before anything else is made.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == runner::client::COMMAND) {
        return commands::supervisor::main(arguments);
    }
    match commands::execute(cli::Cli::parse()) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            show::out::failure(&failure);
            ExitCode::from(failure.exit)
        }
    }
}
