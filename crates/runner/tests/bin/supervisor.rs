//! A supervisor as a process of its own, for the tests: what the real binary does for its hidden
//! command.

use std::process::ExitCode;

use runner::supervisor::{Args, main as supervise};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    if args.first().map(String::as_str) != Some(runner::client::COMMAND) {
        return ExitCode::FAILURE;
    }
    supervise(&Args {
        data_dir: value("--dir").expect("--dir").into(),
        node_id: value("--node-id").expect("--node-id").parse().expect("a UUID"),
        containment: value("--containment").map(|kind| kind.parse().expect("a kind")),
    })
}
