//! The client in Python of docs/examples, against a live node.

use std::path::PathBuf;
use std::process::{Command, Output};

use crate::node::{Home, Node};

const CLIENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/python/windlass.py");

/// The Python of one of the environments that `cargo xtask test` makes.
pub(crate) fn python(name: &str) -> PathBuf {
    let all = concat!(env!("CARGO_TARGET_TMPDIR"), "/../python");
    let python = PathBuf::from(format!("{all}/{name}/bin/python"));
    assert!(
        python.exists(),
        "there is no {}\nhint: run the tests with `cargo xtask test`, which installs what they need",
        python.display()
    );
    python
}

fn client(node: &Node, args: &[&str]) -> Output {
    let token = node.home().path().join("data/token");
    let mut command = Command::new(python("client"));
    command.arg(CLIENT).args(["--address", node.api(), "--token-file"]).arg(token).args(args);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_python_client_runs_a_job_and_goes_on_with_events() {
    let node = Home::new().up();
    let ran = client(&node, &["run", "--", "sh", "-c", "echo hello; echo oh >&2; exit 3"]);
    assert_eq!(ran.status.code(), Some(3), "{}", text(&ran.stderr));
    assert_eq!(text(&ran.stdout), "hello\n");
    assert_eq!(text(&ran.stderr), "oh\nrun 1: failed: exit code 3\n");

    let told = client(&node, &["events"]);
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    let ended = "run_ended\t1\tfailed\tfailed: exit code 3";
    assert!(text(&told.stdout).lines().any(|line| line == ended), "{}", text(&told.stdout));
    let after = text(&told.stderr).trim_end().rsplit(' ').next().unwrap();
    let ran = client(&node, &["run", "true"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let told = client(&node, &["events", "--after", after]);
    let runs = text(&told.stdout).lines().filter(|line| line.starts_with("run_ended"));
    assert_eq!(runs.collect::<Vec<_>>(), ["run_ended\t2\tsucceeded\tsucceeded"]);

    let ahead = client(&node, &["events", "--after", "999999999"]);
    assert_eq!(ahead.status.code(), Some(125));
    let refused = "INVALID_ARGUMENT: after: index 999999999 is not reached yet";
    assert!(text(&ahead.stderr).starts_with(refused), "{}", text(&ahead.stderr));
}
