//! A supervisor as a process of its own, for the tests: what the real binary does for its hidden
//! command, and the bare loop for comparison.

use std::process::ExitCode;

use runner::supervisor::{Args, main as supervise};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    let number = |name: &str| value(name).map_or(0, |text| text.parse().expect("a number"));
    match args.first().map(String::as_str) {
        Some(runner::client::COMMAND) => supervise(&Args {
            data_dir: value("--dir").expect("--dir").into(),
            node_id: value("--node-id").expect("--node-id").parse().expect("a UUID"),
            containment: value("--containment").map(|kind| kind.parse().expect("a kind")),
        }),
        Some("bare") => {
            let took = runner::bare::run(number("--count"), number("--threads"));
            println!("{:.6}", took.expect("the loop runs").as_secs_f64());
            ExitCode::SUCCESS
        }
        _ => ExitCode::FAILURE,
    }
}
