//! Nodes as processes on loopback, each with a directory of its own, and commands to them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long anything may take here.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// The lease of each node, unless a test wants another one.
pub(crate) const LEASE: Duration = Duration::from_secs(5);
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(50);

/// A place for a cluster.
pub(crate) struct Ground {
    dir: TempDir,
    lease: Duration,
}

/// A node's process; what runs on it ends with this.
pub(crate) struct Node {
    pub(crate) name: &'static str,
    child: Child,
    pub(crate) ready: Value,
    dir: PathBuf,
}

impl Ground {
    pub(crate) fn new() -> Ground {
        Ground::with_lease(LEASE)
    }

    /// Nodes with another lease than the short one, for tests in which nobody is to lose it.
    pub(crate) fn with_lease(lease: Duration) -> Ground {
        Ground { dir: tempfile::tempdir().unwrap(), lease }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The binary, with nothing of the caller's own around it.
    pub(crate) fn windlass(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("XDG_STATE_HOME", self.path("state")).env("USER", "tester");
        command
    }

    /// The first node of a cluster, whose clock is so far off.
    pub(crate) fn found_at(&self, name: &'static str, off: &str) -> Node {
        let path = std::env::var_os("PATH").unwrap();
        let mut command = Command::new("faketime");
        command.env_clear().env("PATH", path).args(["--exclude-monotonic", "-f", off]);
        command.arg(env!("CARGO_BIN_EXE_windlass")).env("XDG_STATE_HOME", self.path("state"));
        self.start_by(command, name, &["up", "--peer", "127.0.0.1:0"])
    }

    /// Starts a node with these words and waits until it serves.
    pub(crate) fn start(&self, name: &'static str, words: &[&str]) -> Node {
        self.start_by(self.windlass(), name, words)
    }

    fn start_by(&self, mut command: Command, name: &'static str, words: &[&str]) -> Node {
        let (dir, ready) = (self.path(name), self.path(&format!("{name}.ready")));
        let _ = std::fs::remove_file(&ready);
        let log = std::fs::File::create(self.path(&format!("{name}.log"))).unwrap();
        command.args(words).args(["--name", name, "--cpus", "2"]);
        if !words.contains(&"--api") {
            command.args(["--api", "127.0.0.1:0"]);
        }
        command.args(["--lease", &format!("{}s", self.lease.as_secs()), "--log", "info"]);
        command.arg("--data-dir").arg(&dir).arg("--ready-file").arg(&ready);
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut node = Node { name, child, ready: Value::Null, dir };
        node.ready = until(&format!("node {name} is ready"), || -> Option<Value> {
            assert!(node.child.try_wait().unwrap().is_none(), "{}", self.log(name));
            serde_json::from_str(&std::fs::read_to_string(&ready).ok()?).ok()
        });
        node
    }

    /// The first node of a cluster, to which others can come.
    pub(crate) fn found(&self, name: &'static str) -> Node {
        self.start(name, &["up", "--peer", "127.0.0.1:0"])
    }

    /// A node that joins the cluster of `first`.
    pub(crate) fn join(&self, name: &'static str, first: &Node, roles: &str) -> Node {
        let token = self.token(first, &["--roles", roles]);
        let peer = first.ready["peer"].as_str().unwrap();
        self.start(name, &["join", peer, "--token", &token, "--peer", "127.0.0.1:0"])
    }

    /// Three nodes that all vote, the one that leads first.
    pub(crate) fn three(&self) -> [Node; 3] {
        let a = self.found("a");
        let b = self.join("b", &a, "control,worker");
        let c = self.join("c", &a, "control,worker");
        let leader = self.leader(&a, 3);
        let mut nodes = [a, b, c];
        nodes.sort_by_key(|node| node.name != leader);
        nodes
    }

    pub(crate) fn token(&self, node: &Node, words: &[&str]) -> String {
        let words = [&["cluster", "token"], words].concat();
        let made = self.ask(node, &words);
        assert!(made.status.success(), "{}", text(&made.stderr));
        text(&made.stdout).trim().to_owned()
    }

    /// What a command to the node answers.
    pub(crate) fn ask(&self, node: &Node, words: &[&str]) -> Output {
        let api = node.ready["api"].as_str().unwrap();
        // The address comes before what is to be run.
        let at = words.iter().position(|word| *word == "--").unwrap_or(words.len());
        let (verb, rest) = words.split_at(at);
        let mut command = self.windlass();
        command.args(verb).args(["-N", api]).args(rest).output().unwrap()
    }

    /// The same, in JSON. The flag comes before what is to be run.
    pub(crate) fn json(&self, node: &Node, words: &[&str]) -> Option<Value> {
        let at = words.iter().position(|word| *word == "--").unwrap_or(words.len());
        let words = [&words[..at], &["--json"], &words[at..]].concat();
        let answer = self.ask(node, &words);
        serde_json::from_slice(&answer.stdout).ok().filter(|_| answer.status.success())
    }

    pub(crate) fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(&format!("{name}.log"))).unwrap_or_default()
    }

    /// The name of the node that leads, once so many vote.
    pub(crate) fn leader(&self, node: &Node, voters: usize) -> String {
        until(&format!("{voters} vote"), || {
            let cluster = self.json(node, &["cluster", "status"])?;
            let members = cluster["members"].as_array()?;
            let votes = members.iter().filter(|member| member["vote"] == "voter").count();
            let leads = members.iter().find(|member| member["id"] == cluster["leader"])?;
            (votes == voters).then(|| leads["name"].as_str().unwrap().to_owned())
        })
    }
}

impl Node {
    /// Its data directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What REST answers, a refusal too, without the time that a command takes to start.
    pub(crate) fn rest(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let api = self.ready["api"].as_str().unwrap();
        let token = std::fs::read_to_string(self.dir.join("token")).unwrap();
        let request = ureq::http::Request::builder().method(method);
        let request = request.uri(format!("http://{api}{path}"));
        let request = request.header("authorization", format!("Bearer {}", token.trim()));
        let request = request.header("content-type", "application/json");
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build();
        let agent = ureq::Agent::new_with_config(agent);
        let mut answer = agent.run(request.body(body).unwrap()).unwrap();
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    /// Ends the node and all that runs there.
    pub(crate) fn end(&mut self) {
        self.kill();
        self.end_supervisor();
    }

    /// Ends the daemon as a person or a package does; its supervisor and its tasks go on.
    pub(crate) fn stop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.has_ended_well());
    }

    /// Starts the daemon again, which has ended, on its directory and at other addresses.
    pub(crate) fn start_again(&mut self, ground: &Ground) {
        let again = ground.start(self.name, &["up", "--peer", "127.0.0.1:0"]);
        self.take(again);
    }

    /// The same node by its new daemon.
    pub(crate) fn take(&mut self, mut again: Node) {
        std::mem::swap(&mut self.child, &mut again.child);
        std::mem::swap(&mut self.ready, &mut again.ready);
        // Its end would be that of the supervisor too.
        std::mem::forget(again);
    }

    /// Waits until the daemon has ended; whether it did so in order.
    pub(crate) fn has_ended_well(&mut self) -> bool {
        until("the daemon ends", || self.child.try_wait().unwrap()).success()
    }

    /// What the node says when it is started again and ends by itself.
    pub(crate) fn starts_in_vain(&self, ground: &Ground) -> String {
        let mut command = ground.windlass();
        command.args(["up", "--api", "127.0.0.1:0", "--peer", "127.0.0.1:0", "--data-dir"]);
        let mut child = command.arg(&self.dir).stderr(Stdio::piped()).spawn().unwrap();
        let ended = until("it ends", || child.try_wait().unwrap());
        assert!(!ended.success());
        text(&child.wait_with_output().unwrap().stderr)
    }

    /// Ends the daemon as a power cut would; its supervisor and its tasks go on.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Ends its supervisor, whichever that is by now.
    pub(crate) fn end_supervisor(&self) {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        for pid in pids.filter(|pid| is_supervisor_of(*pid, &self.dir)) {
            let pid = rustix::process::Pid::from_raw(pid).unwrap();
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.end_supervisor();
    }
}

/// By the words that it was started with: a number of a process may be another's by now.
fn is_supervisor_of(pid: i32, dir: &Path) -> bool {
    let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let line = text(&line);
    let mut words = line.split('\0').skip(1);
    words.next() == Some("__supervisor") && words.any(|word| Path::new(word) == dir)
}

/// Looks until there is something, or fails saying what was waited for.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(LOOK);
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
