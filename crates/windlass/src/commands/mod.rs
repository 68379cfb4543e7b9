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

use crate::cli::Command;
use crate::failure::Failure;

/// Carries a command out; the code is what the process exits with.
pub(crate) fn execute(command: Command) -> Result<u8, Failure> {
    match command {
        Command::Up(args) => up::execute(args),
        Command::Down(args) => client(down::execute(args)),
        Command::Run(args) => client(run::execute(*args)).map_err(Failure::beside_task_codes),
        Command::Ps(args) => client(ps::execute(args)),
        Command::Status(args) => client(status::execute(args)),
        Command::Logs(args) => client(logs::execute(args)),
        Command::Wait(args) => client(wait::execute(args)).map_err(Failure::beside_task_codes),
        Command::Cancel(args) => client(cancel::execute(args)),
        Command::Node(args) => client(node::execute(args)),
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
