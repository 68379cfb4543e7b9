//! What `cargo xtask package` makes, tried as people use it: the binary alone, the Debian package installed and removed
//! on a machine that is thrown away, the image in a real Docker Engine.
//!
//! Needs root on a Debian machine, where it installs the engine if there is none.

#![allow(clippy::unwrap_used)]

mod engine;
mod machine;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use engine::Engine;
use machine::Machine;

/// The house's own chore.
fn package(out: &Path, kinds: &[&str], engine: Option<&Engine>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    // The quick profile: what is packaged is tried here, not how fast it is.
    command.args(["package", "--profile", "dev", "--out"]).arg(out).args(kinds);
    if let Some(engine) = engine {
        command.env("DOCKER_HOST", engine.host());
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", shown(&output));
}

fn shown(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// The one file in `dir` whose name ends so.
fn file(dir: &Path, end: &str) -> PathBuf {
    let files = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = files.filter(|path| path.to_string_lossy().ends_with(end)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn the_binary_needs_nothing_and_the_package_installs_and_goes() {
    let dir = tempfile::tempdir().unwrap();
    package(dir.path(), &["deb"], None);
    let binary = file(dir.path(), "-linux");
    assert!(is_static(&std::fs::read(&binary).unwrap()));

    let machine = Machine::new();
    let deb = file(dir.path(), ".deb");
    machine.bring(&deb, "windlass.deb");
    let said = machine.run("dpkg -i /windlass.deb && windlass version && windlass config check");
    assert!(said.contains(env!("CARGO_PKG_VERSION")), "{said}");
    machine.run("command -v systemd-analyze || apt-get install -y -qq systemd; systemd-analyze verify /lib/systemd/system/windlass.service");
    machine.run("test -s /usr/share/man/man1/windlass-run.1");
    machine.run("bash -c '. /usr/share/bash-completion/completions/windlass'");
    // As the unit starts it, on the default directory.
    let said = machine.run(
        "windlass up --api 127.0.0.1:7475 > /up 2>&1 & \
         until grep -q next: /up; do kill -0 $! || { cat /up; exit 1; }; sleep 0.1; done; \
         windlass -N 127.0.0.1:7475 run -- sh -c 'echo from a task' && \
         windlass -N 127.0.0.1:7475 down && wait && ls /var/lib/windlass",
    );
    assert!(said.contains("from a task\n") && said.contains("token"), "{said}");
    // What a person changed in the configuration survives the package; what the node kept does too.
    machine.run("echo '# mine' >> /etc/windlass/windlass.yaml && dpkg -r windlass");
    let said = machine.run("cat /etc/windlass/windlass.yaml; dpkg -P windlass; ls /var/lib/windlass; ls -d /etc/windlass/*.yaml || echo clean");
    assert!(said.contains("# mine") && said.contains("token") && said.contains("clean"), "{said}");
}

#[test]
fn the_image_runs_a_node_in_a_real_engine() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start();
    package(dir.path(), &["image"], Some(&engine));
    engine.docker(&["rmi", "windlass:latest"]);
    engine.docker(&["load", "--input", file(dir.path(), "-image.tar").to_str().unwrap()]);
    let tag = concat!("windlass:", env!("CARGO_PKG_VERSION"));
    engine.docker(&["run", "--detach", "--network", "none", "--name", "node", tag]);
    engine.until(&["logs", "node"], "next: ");
    // The image has one program, so that is what the task runs.
    let said = engine.docker(&[
        "exec",
        "node",
        "/usr/bin/windlass",
        "run",
        "--",
        "/usr/bin/windlass",
        "version",
    ]);
    assert!(said.contains(env!("CARGO_PKG_VERSION")), "{said}");
    let said = engine.docker(&["exec", "node", "/usr/bin/windlass", "ps", "--all"]);
    assert!(said.contains("succeeded"), "{said}");
    engine.docker(&["stop", "--time", "20", "node"]);
    // The same volume, another container: nothing is forgotten.
    engine.docker(&["start", "node"]);
    engine.until(&["exec", "node", "/usr/bin/windlass", "ps", "--all"], "succeeded");
    engine.docker(&["rm", "--force", "--volumes", "node"]);
}

#[test]
fn three_containers_are_a_cluster_and_one_may_die() {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::start_with_networks();
    package(dir.path(), &["image"], Some(&engine));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/compose/compose.yaml");
    std::fs::copy(file, dir.path().join("compose.yaml")).unwrap();
    let token = dir.path().join("join-token");
    std::fs::write(&token, "").unwrap();
    let compose = |args: &[&str]| engine.compose(dir.path(), args);
    let until = |what: &str, args: &[&str], wanted: &str| {
        engine::until(what, || compose(args).ok().filter(|said| said.contains(wanted)))
    };
    compose(&["up", "-d", "alpha"]).unwrap();
    let made = ["exec", "-T", "alpha", "windlass", "cluster", "token", "--uses", "2"];
    let made = until("ready", &made, "wlj_");
    let text = made.lines().find(|line| line.starts_with("wlj_")).unwrap();
    std::fs::write(&token, text).unwrap();
    compose(&["up", "-d"]).unwrap();
    let status = ["exec", "-T", "beta", "windlass", "cluster", "status"];
    until("three that vote", &status, "the loss of any one machine");
    compose(&["kill", "alpha"]).unwrap();
    let run = ["exec", "-T", "gamma", "windlass", "run", "--", "/usr/bin/windlass", "version"];
    until("work without the first", &run, "client ");
    // New containers on the same volumes are the same nodes.
    compose(&["up", "-d", "--force-recreate"]).unwrap();
    let ps = ["exec", "-T", "alpha", "windlass", "ps", "--all"];
    until("the first one back", &ps, "succeeded");
    compose(&["down", "--volumes", "--timeout", "20"]).unwrap();
}

/// Whether a program asks for no loader: it has no interpreter among its segments.
fn is_static(elf: &[u8]) -> bool {
    const INTERPRETER: u32 = 3;
    let number = |at: usize, length: usize| {
        elf[at..at + length].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)) as usize
    };
    assert_eq!(&elf[..5], b"\x7fELF\x02");
    let (first, size, count) = (number(32, 8), number(54, 2), number(56, 2));
    let kinds = (0..count).map(|segment| number(first + segment * size, 4) as u32);
    kinds.clone().count() > 0 && !kinds.clone().any(|kind| kind == INTERPRETER)
}

#[test]
fn a_program_with_a_loader_is_not_static() {
    assert!(!is_static(&std::fs::read("/bin/sh").unwrap()));
}
