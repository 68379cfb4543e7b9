//! A Docker Engine of the test's own, beside whichever the machine may have.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::shown;

/// Ends with everything in it when it is dropped.
pub(crate) struct Engine {
    dir: TempDir,
    child: Child,
}

impl Engine {
    pub(crate) fn start() -> Engine {
        if Command::new("dockerd").arg("--version").stdout(Stdio::null()).status().is_err() {
            install();
        }
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let log = std::fs::File::create(path("log")).unwrap();
        let mut command = Command::new("dockerd");
        // Without networks, and with plain directories for layers: it must work wherever tests do.
        command.args([
            "--bridge=none",
            "--iptables=false",
            "--ip6tables=false",
            "--storage-driver=vfs",
        ]);
        command.arg("--data-root").arg(path("data")).arg("--exec-root").arg(path("exec"));
        command.arg("--pidfile").arg(path("pid")).arg("--host").arg(host_of(&dir));
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let engine = Engine { child: command.spawn().unwrap(), dir };
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
        let deadline = Instant::now() + Duration::from_secs(90);
        loop {
            let said = self.try_docker(args);
            if said.as_ref().is_ok_and(|said| said.contains(wanted)) {
                return;
            }
            let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            assert!(Instant::now() < deadline, "docker {args:?}: {said:?}\n{}", log());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn try_docker(&self, args: &[&str]) -> Result<String, String> {
        let output =
            Command::new("docker").args(args).env("DOCKER_HOST", self.host()).output().unwrap();
        match output.status.success() {
            true => Ok(shown(&output)),
            false => Err(shown(&output)),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

fn host_of(dir: &TempDir) -> String {
    format!("unix://{}", dir.path().join("sock").display())
}

fn install() {
    let script = "apt-get update -qq && apt-get install -y -qq --no-install-recommends docker.io";
    let mut command = Command::new("sh");
    let output = command.args(["-c", script]).env("DEBIAN_FRONTEND", "noninteractive").output();
    let output = output.unwrap();
    assert!(output.status.success(), "a Docker Engine cannot be installed: {}", shown(&output));
}
