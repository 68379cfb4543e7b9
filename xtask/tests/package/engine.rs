//! A Docker Engine of the test's own, beside whichever the machine may have.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::shown;

/// How long anything may take here, and how often it is looked.
const PATIENCE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(100);

/// Ends with everything in it when it is dropped.
pub(crate) struct Engine {
    dir: TempDir,
    child: Child,
    /// Where its networks are; `None`: it has none.
    namespace: Option<String>,
}

impl Engine {
    /// One without networks.
    pub(crate) fn start() -> Engine {
        let mut command = Command::new("dockerd");
        command.args(["--bridge=none", "--iptables=false", "--ip6tables=false"]);
        Engine::start_by(command, None)
    }

    /// One whose networks, and the rules for them, are in a network namespace of its own.
    pub(crate) fn start_with_networks() -> Engine {
        need("docker-compose", "docker-compose");
        need("ip", "iproute2");
        need("iptables", "iptables");
        let namespace = format!("windlass-engine-{}", std::process::id());
        ip(&["netns", "add", &namespace]);
        ip(&["-n", &namespace, "link", "set", "lo", "up"]);
        // Unlike `ip netns exec`, this leaves the cgroups where they are mounted.
        let mut command = Command::new("nsenter");
        command.args([&format!("--net=/run/netns/{namespace}"), "dockerd"]);
        Engine::start_by(command, Some(namespace))
    }

    fn start_by(mut command: Command, namespace: Option<String>) -> Engine {
        need("dockerd", "docker.io");
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let log = std::fs::File::create(path("log")).unwrap();
        // Plain directories for layers: it must work wherever tests do.
        command.arg("--storage-driver=vfs");
        command.arg("--data-root").arg(path("data")).arg("--exec-root").arg(path("exec"));
        command.arg("--pidfile").arg(path("pid")).arg("--host").arg(host_of(&dir));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let engine = Engine { child: command.spawn().unwrap(), dir, namespace };
        engine.until(&["info"], "vfs");
        engine
    }

    /// What `DOCKER_HOST` is to be.
    pub(crate) fn host(&self) -> String {
        host_of(&self.dir)
    }

    /// Runs a command of Docker's to its end; what it printed.
    pub(crate) fn docker(&self, args: &[&str]) -> String {
        self.try_docker(args).unwrap_or_else(|failed| panic!("docker {args:?}: {failed}"))
    }

    /// Asks until the answer has this in it.
    pub(crate) fn until(&self, args: &[&str], wanted: &str) {
        let mut last = Ok(String::new());
        let found = look(|| {
            last = self.try_docker(args);
            last.as_ref().is_ok_and(|said| said.contains(wanted)).then_some(())
        });
        let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        assert!(found.is_some(), "docker {args:?}: {last:?}\n{}", log());
    }

    /// What Compose says to this, with the file in `dir`.
    pub(crate) fn compose(&self, dir: &Path, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new("docker-compose");
        command.args(["--project-name", "windlass"]).args(args).current_dir(dir);
        said(command.env("DOCKER_HOST", self.host()).output().unwrap())
    }

    fn try_docker(&self, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new("docker");
        said(command.args(args).env("DOCKER_HOST", self.host()).output().unwrap())
    }
}

fn said(output: Output) -> Result<String, String> {
    match output.status.success() {
        true => Ok(shown(&output)),
        false => Err(shown(&output)),
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
        if let Some(namespace) = &self.namespace {
            let _ = Command::new("ip").args(["netns", "delete", namespace]).status();
        }
    }
}

/// Looks until there is something, and fails where there is nothing for too long.
pub(crate) fn until<T>(what: &str, found: impl FnMut() -> Option<T>) -> T {
    look(found).unwrap_or_else(|| panic!("not within {PATIENCE:?}: {what}"))
}

fn look<T>(mut found: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match found() {
            None if Instant::now() < deadline => std::thread::sleep(LOOK),
            found => return found,
        }
    }
}

fn host_of(dir: &TempDir) -> String {
    format!("unix://{}", dir.path().join("sock").display())
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().unwrap();
    assert!(output.status.success(), "ip {args:?}: {}", shown(&output));
}

/// Installs the package that a program is of, where that is missing.
fn need(program: &str, package: &str) {
    let mut there = Command::new(program);
    if there.arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok() {
        return;
    }
    let script =
        format!("apt-get update -qq && apt-get install -y -qq --no-install-recommends {package}");
    let mut command = Command::new("sh");
    let output = command.args(["-c", &script]).env("DEBIAN_FRONTEND", "noninteractive").output();
    let output = output.unwrap();
    assert!(output.status.success(), "`{package}` cannot be installed: {}", shown(&output));
}
