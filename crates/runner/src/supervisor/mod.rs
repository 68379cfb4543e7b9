//! The process beside the daemon that owns the tasks: it starts them, watches them, ends them, and
//! keeps what became of them until the daemon says that it is known.
//!
//! It outlives the daemon, so that an upgrade or a crash of the daemon costs no task. The *kernel*
//! is one loop over everything that can happen, shared by few threads so that it goes on while a
//! process is made; the *writer* of output is a thread apart, because the one that kills must
//! never wait for a disk; so is the log's. Only `Shutdown` or SIGKILL end it while there is work.
//!
//! It must stay small: every task is made from its memory, and it runs on every node.

mod clock;
mod crowd;
mod ends;
mod held;
mod kernel;
mod lease;
mod link;
mod lock;
mod log;
mod poll;
mod procedure;
mod refusals;
mod running;
mod serve;
mod starting;
mod starts;
mod startup;
mod talk;

use std::error::Error as _;
use std::path::PathBuf;
use std::process::ExitCode;

use model::NodeId;

use crate::containment::Kind;

/// What a supervisor is told at its start.
#[derive(Clone, Debug)]
pub struct Args {
    /// The node's data directory.
    pub data_dir: PathBuf,
    /// The node's id.
    pub node_id: NodeId,
    /// The containment to use; the best there is where nothing is said.
    pub containment: Option<Kind>,
}

/// Runs a supervisor until it has no more to do.
///
/// It takes the whole process for itself: it blocks every signal, resets their dispositions and
/// changes umask and limits. Nothing else may run beside it, and no signal but SIGKILL ends it.
pub fn main(args: &Args) -> ExitCode {
    // Before any thread: one that does not block the signal of ended children would swallow it.
    if let Err(error) = startup::own_the_process().and_then(|()| log::start()) {
        eprintln!("cannot prepare the supervisor's process: {error}");
        return ExitCode::FAILURE;
    }
    let result = startup::prepare(args)
        .and_then(|(kernel, spawners)| serve::run(kernel, spawners).map_err(startup::Error::Loop));
    let code = match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut text = error.to_string();
            let mut source = error.source();
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            log::line(format_args!("{text}"));
            ExitCode::FAILURE
        }
    };
    log::finish();
    code
}
