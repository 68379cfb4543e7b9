//! One module a verb: its flags, and what it does.

pub(crate) mod up;

pub(crate) mod cancel;
pub(crate) mod down;
pub(crate) mod logs;
pub(crate) mod node;
pub(crate) mod ps;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod version;
pub(crate) mod wait;

pub(crate) mod supervisor;

use std::future::Future;

use crate::cli::{Cli, Command};
use crate::failure::Failure;

/// Carries a command out; the code is what the process exits with.
pub(crate) fn execute(line: Cli) -> Result<u8, Failure> {
    let target = line.target;
    match line.command {
        Command::Up(args) => up::execute(args, target.verbose),
        Command::Down(args) => client(down::execute(args, target)),
        Command::Run(args) => {
            client(run::execute(*args, target)).map_err(Failure::beside_task_codes)
        }
        Command::Ps(args) => client(ps::execute(args, target)),
        Command::Status(args) => client(status::execute(args, target)),
        Command::Logs(args) => client(logs::execute(args, target)),
        Command::Wait(args) => {
            client(wait::execute(args, target)).map_err(Failure::beside_task_codes)
        }
        Command::Cancel(args) => client(cancel::execute(args, target)),
        Command::Node(args) => client(node::execute(args, target)),
        Command::Version(args) => version::execute(&args),
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
