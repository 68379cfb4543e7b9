//! Windlass: one binary that runs commands on machines and keeps every result.
//!
//! This crate is the command line: it reads arguments, calls a node, and shows what it says. `up`
//! wires the node together. It must never decide what happens to a job.

mod cli;
mod client;
mod commands;
mod complete;
mod failure;
mod process;
mod settings;
mod show;

use std::future::Future;
use std::process::ExitCode;

use clap::CommandFactory;

use cli::{Cli, Command};
use commands::{
    audit, cancel, cluster, completions, config, down, events, help, history, join, load, logs,
    man, node, ps, purge, rerun, run, status, supervisor, token, top, up, version, wait, why,
};
use failure::Failure;

fn main() -> ExitCode {
    // The supervisor is small on purpose: it is gone from here before anything else is made.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|word| word == runner::client::COMMAND) {
        return supervisor::main(arguments);
    }
    complete::answer(Cli::command);
    match settings::command_line::<Cli>(cli::alone).and_then(execute) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            show::out::failure(&failure);
            ExitCode::from(failure.exit)
        }
    }
}

/// Carries a command out; the code is what the process exits with.
fn execute(line: Cli) -> Result<u8, Failure> {
    show::color::set(line.color);
    let target = line.target;
    match line.command {
        Command::Up(args) => up::execute(args, target.verbose),
        Command::Join(args) => join::execute(*args, target.verbose),
        Command::Down(args) => client(down::execute(args, target)),
        Command::Run(args) => {
            client(run::execute(*args, target)).map_err(Failure::beside_task_codes)
        }
        Command::Ps(args) => client(ps::execute(args, target)),
        Command::Status(args) => client(status::execute(args, target)),
        Command::Why(args) => client(why::execute(args, target)),
        Command::History(args) => client(history::execute(args, target)),
        Command::Events(args) => client(events::execute(args, target)),
        Command::Logs(args) => client(logs::execute(args, target)),
        Command::Wait(args) => {
            client(wait::execute(args, target)).map_err(Failure::beside_task_codes)
        }
        Command::Cancel(args) => client(cancel::execute(args, target)),
        Command::Purge(args) => client(purge::execute(args, target)),
        Command::Rerun(args) => client(rerun::execute(args, target)),
        Command::Node(args) => client(node::execute(args, target)),
        Command::Cluster(args) => client(cluster::execute(args, target)),
        Command::Audit(args) => client(audit::execute(args, target)),
        Command::Token(args) => client(token::execute(args, target)),
        Command::Completions(args) => completions::execute(&args),
        Command::Help(args) => help::execute(&args, Cli::command()),
        Command::Man(args) => man::execute(&args, Cli::command()),
        Command::Top(args) => client(top::execute(args, target)),
        Command::Config(args) => config::execute(&args, &target, &Cli::command()),
        Command::Version(args) => client(version::execute(args, target)),
        Command::Load(args) => client(load::execute(args, target)),
    }
}

/// A client makes one connection and few calls: one thread is soonest there.
fn client(work: impl Future<Output = Result<u8, Failure>>) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let result = runtime.block_on(work);
    // A name that is being looked up must not hold the exit.
    runtime.shutdown_background();
    result
}
