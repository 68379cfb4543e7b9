//! A node of its own for the benchmark and the soak: started in an empty directory, stopped at the end.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

const START_MAX: Duration = Duration::from_secs(60);
const STOP_MAX: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(2);
const ANY_PORT: &str = "127.0.0.1:0";

/// A running node.
pub(crate) struct Node {
    binary: PathBuf,
    directory: PathBuf,
    /// What `up` is told beside where everything is.
    args: Vec<String>,
    daemon: Child,
    api: String,
    /// Where other nodes reach it; empty: nowhere.
    peer: String,
    supervisor_pid: u32,
}

impl Node {
    /// Starts a node with its data in `directory`, and waits until it serves.
    pub(crate) fn start(binary: &Path, directory: &Path, args: &[&str]) -> Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let (binary, directory) = (binary.to_owned(), directory.to_owned());
        Self::spawn(binary, directory, args, &["up"])
    }

    /// Starts a node that joins the cluster of `first`, which has to listen for peers.
    pub(crate) fn join(first: &Node, directory: &Path, args: &[&str]) -> Result<Self> {
        fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
        let token = first.ask(&["cluster", "token"])?;
        let verb = ["join", &first.peer, "--token", token.trim()];
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Self::spawn(first.binary.clone(), directory.to_owned(), args, &verb)
    }

    fn spawn(
        binary: PathBuf,
        directory: PathBuf,
        args: Vec<String>,
        verb: &[&str],
    ) -> Result<Self> {
        let daemon = spawn(&binary, &directory, verb, ANY_PORT, &args)?;
        let (api, peer) = (String::new(), String::new());
        let mut node = Self { binary, directory, args, daemon, api, peer, supervisor_pid: 0 };
        node.wait_until_ready()?;
        Ok(node)
    }

    /// Starts the daemon again after its end; how long it took until it served.
    pub(crate) fn start_again(&mut self) -> Result<Duration> {
        let start = Instant::now();
        self.daemon = spawn(&self.binary, &self.directory, &["up"], &self.api, &self.args)?;
        self.wait_until_ready()?;
        Ok(start.elapsed())
    }

    /// How to call the node from another thread; good over restarts, which keep the address.
    pub(crate) fn caller(&self) -> Caller {
        Caller { binary: self.binary.clone(), api: self.api.clone() }
    }

    /// A client command: `windlass -N ADDR …`, silent.
    pub(crate) fn client(&self, args: &[&str]) -> Command {
        self.caller().client(args)
    }

    /// Runs a client command to its end. On failure it says what the client had to say.
    pub(crate) fn run(&self, args: &[&str]) -> Result<()> {
        self.ask(args).map(drop)
    }

    /// Runs a client command to its end; what it printed.
    pub(crate) fn ask(&self, args: &[&str]) -> Result<String> {
        self.caller().ask(args)
    }

    /// Runs the fast client, `windlass __load …`; its one line of figures.
    pub(crate) fn load(&self, args: &[&str]) -> Result<Value> {
        let answer = self.ask(&[&["__load"], args].concat())?;
        serde_json::from_str(&answer)
            .with_context(|| format!("understanding what `__load {}` says", args.join(" ")))
    }

    /// The processes that stay while nothing runs: daemon and supervisor.
    pub(crate) fn pids(&self) -> [u32; 2] {
        [self.daemon.id(), self.supervisor_pid]
    }

    /// Where the node keeps its data.
    pub(crate) fn data(&self) -> PathBuf {
        data_of(&self.directory)
    }

    /// Whether the daemon is there still.
    pub(crate) fn is_alive(&mut self) -> Result<bool> {
        Ok(self.daemon.try_wait().context("looking at the daemon")?.is_none())
    }

    /// The last words of the daemon's log.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read(log_of(&self.directory)).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = log.trim().lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }

    /// Ends the daemon at once, as a crash would; its supervisor and its tasks go on.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.daemon.kill().context("killing the daemon")?;
        self.daemon.wait().context("waiting for the daemon's end")?;
        Ok(())
    }

    /// Ends the node as a person would.
    pub(crate) fn stop(&mut self) -> Result<()> {
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

    fn wait_until_ready(&mut self) -> Result<()> {
        let ready = self.wait_for(&ready_file_of(&self.directory))?;
        self.api = ready["api"].as_str().context("the ready file has no `api`")?.to_owned();
        self.peer = ready["peer"].as_str().unwrap_or_default().to_owned();
        let supervisor =
            ready["supervisor_pid"].as_u64().context("the ready file has no `supervisor_pid`")?;
        self.supervisor_pid =
            u32::try_from(supervisor).context("`supervisor_pid` is no process id")?;
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
                bail!("the node does not serve ({ended:?}):\n{}", self.last_words());
            }
            std::thread::sleep(LOOK_AGAIN);
        }
    }
}

/// Where a node is called, and with what.
#[derive(Clone)]
pub(crate) struct Caller {
    binary: PathBuf,
    api: String,
}

impl Caller {
    /// A client command: `windlass -N ADDR …`, silent.
    pub(crate) fn client(&self, args: &[&str]) -> Command {
        let mut client = Command::new(&self.binary);
        client.arg("-N").arg(&self.api).args(args);
        // What the caller set for nodes of his own must not reach this one.
        client.env_remove("WINDLASS_TOKEN").env_remove("WINDLASS_NODE");
        client.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        client
    }

    /// Runs a client command to its end; what it printed.
    pub(crate) fn ask(&self, args: &[&str]) -> Result<String> {
        let what = format!("`windlass {}`", args.join(" "));
        let mut client = self.client(args);
        let done = client.stdout(Stdio::piped()).stderr(Stdio::piped()).output();
        let done = done.with_context(|| format!("starting {what}"))?;
        if !done.status.success() {
            let errors = String::from_utf8_lossy(&done.stderr);
            bail!("{what} failed: {}\n{}", done.status, errors.trim());
        }
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }
}

impl Drop for Node {
    /// After a failure: the node ends with its tasks if it still can, for a supervisor stays as long as it has any.
    fn drop(&mut self) {
        if self.is_alive().is_ok_and(|alive| alive) && !self.api.is_empty() {
            let _ = self.stop();
        }
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn spawn(
    binary: &Path,
    directory: &Path,
    verb: &[&str],
    api: &str,
    args: &[String],
) -> Result<Child> {
    let ready_file = ready_file_of(directory);
    // One of an earlier start would be believed.
    let _ = fs::remove_file(&ready_file);
    let log = File::options().create(true).append(true).open(log_of(directory));
    let log = log.context("making the log of the node")?;
    let mut up = Command::new(binary);
    up.args(verb).arg("--data-dir").arg(data_of(directory)).args(["--api", api]);
    up.args(args).arg("--ready-file").arg(&ready_file).stdin(Stdio::null());
    up.stdout(log.try_clone().context("sharing the log of the node")?).stderr(log);
    up.spawn().with_context(|| format!("starting {}", binary.display()))
}

fn data_of(directory: &Path) -> PathBuf {
    directory.join("data")
}

fn log_of(directory: &Path) -> PathBuf {
    directory.join("up.log")
}

fn ready_file_of(directory: &Path) -> PathBuf {
    directory.join("ready.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A script of this repository, so that nothing is written that is then executed.
    fn fake() -> PathBuf {
        crate::workspace::root().join("xtask/src/testdata/fake-node")
    }

    fn directory(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()))
    }

    #[test]
    fn a_node_serves_is_asked_and_goes_down() {
        let directory = directory("node");
        let mut node = Node::start(&fake(), &directory, &[]).unwrap();
        assert_eq!(node.api, node.daemon.id().to_string());
        assert_eq!(node.pids(), [node.daemon.id(); 2]);
        node.run(&["run", "--", "/bin/true"]).unwrap();
        node.stop().unwrap();
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn a_client_that_fails_is_quoted() {
        let directory = directory("client");
        let node = Node::start(&fake(), &directory, &[]).unwrap();
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
        let error = Node::start(Path::new("/bin/true"), &directory, &[]).err().unwrap();
        assert!(error.to_string().starts_with("the node does not serve"), "{error}");
        fs::remove_dir_all(directory).unwrap();
    }
}
