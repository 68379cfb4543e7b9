//! A node of its own for the benchmark: started in an empty directory, stopped at the end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

const START_MAX: Duration = Duration::from_secs(30);
const STOP_MAX: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// A running node.
pub(super) struct Node {
    binary: PathBuf,
    directory: PathBuf,
    daemon: Child,
    api: String,
    supervisor_pid: u32,
}

impl Node {
    /// Starts a node with its data in `directory`, and waits until it serves.
    pub(super) fn start(binary: &Path, directory: &Path) -> Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        let ready_file = directory.join("ready.json");
        let log = File::create(directory.join("up.log")).context("making the log of the node")?;
        let mut up = Command::new(binary);
        up.arg("up").arg("--data-dir").arg(directory.join("data")).args(["--api", "127.0.0.1:0"]);
        up.arg("--ready-file").arg(&ready_file).stdin(Stdio::null());
        up.stdout(log.try_clone().context("sharing the log of the node")?).stderr(log);

        let daemon = up.spawn().with_context(|| format!("starting {}", binary.display()))?;
        let (binary, directory) = (binary.to_owned(), directory.to_owned());
        let mut node = Self { binary, directory, daemon, api: String::new(), supervisor_pid: 0 };
        let ready = node.wait_for(&ready_file)?;
        node.api = ready["api"].as_str().context("the ready file has no `api`")?.to_owned();
        let supervisor =
            ready["supervisor_pid"].as_u64().context("the ready file has no `supervisor_pid`")?;
        node.supervisor_pid =
            u32::try_from(supervisor).context("`supervisor_pid` is no process id")?;
        Ok(node)
    }

    /// A client command: `windlass -N ADDR …`, silent.
    pub(super) fn client(&self, args: &[&str]) -> Command {
        let mut client = Command::new(&self.binary);
        client.arg("-N").arg(&self.api).args(args);
        // What the caller set for nodes of his own must not reach this one.
        client.env_remove("WINDLASS_TOKEN").env_remove("WINDLASS_NODE");
        client.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        client
    }

    /// Runs a client command to its end. On failure it says what the client had to say.
    pub(super) fn run(&self, args: &[&str]) -> Result<()> {
        let path = self.directory.join("client.err");
        let errors = File::create(&path).context("making the file for the client's errors")?;
        let what = format!("`windlass {}`", args.join(" "));
        let status = self
            .client(args)
            .stderr(errors)
            .status()
            .with_context(|| format!("starting {what}"))?;
        if !status.success() {
            bail!(
                "{what} failed: {status}\n{}",
                fs::read_to_string(&path).unwrap_or_default().trim()
            );
        }
        Ok(())
    }

    /// The processes that stay while nothing runs: daemon and supervisor.
    pub(super) fn pids(&self) -> [u32; 2] {
        [self.daemon.id(), self.supervisor_pid]
    }

    /// Ends the node as a person would.
    pub(super) fn stop(&mut self) -> Result<()> {
        self.run(&["down"])?;
        let deadline = Instant::now() + STOP_MAX;
        while self.daemon.try_wait().context("waiting for the node to end")?.is_none() {
            if Instant::now() > deadline {
                bail!("the node did not end within {STOP_MAX:?} of `windlass down`");
            }
            std::thread::sleep(LOOK_AGAIN);
        }
        Ok(())
    }

    fn wait_for(&mut self, ready_file: &Path) -> Result<Value> {
        let deadline = Instant::now() + START_MAX;
        loop {
            // A file that is only half written is not JSON yet.
            if let Some(ready) =
                fs::read(ready_file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok())
            {
                return Ok(ready);
            }
            let ended = self.daemon.try_wait().context("waiting for the node to serve")?;
            if ended.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.directory.join("up.log")).unwrap_or_default();
                bail!("the node does not serve ({ended:?}):\n{}", log.trim());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

impl Drop for Node {
    /// After a failure: the daemon goes, and its supervisor follows when it has neither daemon nor tasks.
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script of this repository, so that nothing is written that is then executed.
    fn fake() -> PathBuf {
        crate::workspace::root().join("xtask/src/bench/testdata/fake-node")
    }

    fn directory(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("xtask-bench-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_node_serves_is_asked_and_goes_down() {
        let directory = directory("node");
        let mut node = Node::start(&fake(), &directory).unwrap();
        assert_eq!(node.api, node.daemon.id().to_string());
        assert_eq!(node.pids(), [node.daemon.id(); 2]);
        node.run(&["run", "--", "/bin/true"]).unwrap();
        node.stop().unwrap();
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_client_that_fails_is_quoted() {
        let directory = directory("client");
        let node = Node::start(&fake(), &directory).unwrap();
        let error = node.run(&["sing"]).unwrap_err().to_string();
        assert!(
            error.contains("`windlass sing` failed")
                && error.ends_with("error: no such command as sing")
        );
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_node_that_ends_at_once_is_not_waited_for() {
        let directory = directory("end");
        let error = Node::start(Path::new("/bin/true"), &directory).err().unwrap();
        assert!(error.to_string().starts_with("the node does not serve"), "{error}");
        fs::remove_dir_all(directory).unwrap();
    }
}
