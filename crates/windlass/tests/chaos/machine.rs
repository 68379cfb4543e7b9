//! One machine with one node on it: started, killed, paused, frozen and started again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use model::NodeId;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::left;
use crate::patience::{find, find_within};
use crate::world::Host;

/// Where each node listens for people: every machine has a loopback of its own.
const API: &str = "127.0.0.1:7400";
/// Where it listens for other nodes.
pub(crate) const PEER_PORT: u16 = 7401;
/// Long enough for nodes that share two processors, short enough to run out often.
pub(crate) const LEASE: Duration = Duration::from_secs(10);
/// A daemon that is told to end has this long: it closes its files and leaves its tasks.
const END_WITHIN: Duration = Duration::from_secs(30);

/// A machine. Whatever is left on it ends with this.
pub(crate) struct Machine {
    pub(crate) name: &'static str,
    pub(crate) host: Host,
    pub(crate) roles: &'static str,
    dir: PathBuf,
    daemon: Mutex<Option<Child>>,
    /// Known from its first start on.
    node: Mutex<Option<NodeId>>,
}

impl Machine {
    /// A machine without a node; the node's files will be in a directory of its own in `dir`.
    pub(crate) fn new(name: &'static str, host: Host, roles: &'static str, dir: &Path) -> Machine {
        let dir = dir.join(name);
        std::fs::create_dir(&dir).unwrap();
        Machine { name, host, roles, dir, daemon: Mutex::default(), node: Mutex::default() }
    }

    /// Where other nodes reach it.
    pub(crate) fn peer(&self) -> String {
        format!("{}:{PEER_PORT}", self.host.addr)
    }

    /// Makes the first node of a cluster.
    pub(crate) fn found(&self) {
        self.spawn(&["up", "--roles", self.roles]);
        self.born();
    }

    /// Makes a node that joins the cluster of another machine.
    pub(crate) fn join(&self, of: &Machine) {
        let made = of.windlass(&["cluster", "token", "--roles", self.roles]).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let token = String::from_utf8(made.stdout).unwrap();
        self.spawn(&["join", &of.peer(), "--token", token.trim()]);
        self.born();
    }

    fn born(&self) {
        let ready = self.ready();
        let id = ready["node_id"].as_str().unwrap().parse().unwrap();
        *self.node.lock().unwrap() = Some(NodeId(id));
    }

    /// Starts the node's daemon again and does not wait.
    pub(crate) fn start(&self) {
        self.spawn(&["up"]);
    }

    fn spawn(&self, words: &[&str]) {
        let mut daemon = self.daemon.lock().unwrap();
        assert!(daemon.is_none(), "the daemon of {} runs already", self.name);
        let _ = std::fs::remove_file(self.ready_file());
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut command = self.binary();
        command.args(words).args(["--name", self.name, "--api", API, "--cpus", "2"]);
        command.args(["--memory", "1GiB", "--log", "info", "--lease"]);
        command.arg(format!("{}s", LEASE.as_secs()));
        if self.is_control() {
            command.args(["--peer", &self.peer()]);
        }
        command.arg("--data-dir").arg(self.data_dir());
        command.arg("--ready-file").arg(self.ready_file());
        command.stdout(Stdio::null()).stderr(log);
        *daemon = Some(self.host.within(|| command.spawn().unwrap()));
    }

    /// Waits until the daemon serves.
    pub(crate) fn ready(&self) -> Value {
        find(|| {
            self.must_live();
            let text = std::fs::read_to_string(self.ready_file()).unwrap_or_default();
            serde_json::from_str(&text).map_err(|_| format!("{} does not serve", self.name))
        })
    }

    /// Whether the daemon serves.
    pub(crate) fn is_ready(&self) -> bool {
        self.ready_file().exists()
    }

    /// Who leads, as this node knows.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        let status = self.windlass(&["cluster", "status", "--json"]).output().unwrap();
        let status: Value = serde_json::from_slice(&status.stdout).ok()?;
        status["leader"].as_str()?.parse().ok().map(NodeId)
    }

    /// Waits until so many vote.
    pub(crate) fn until_voters(&self, wanted: usize) {
        find(|| {
            let status = self.windlass(&["cluster", "status", "--json"]).output().unwrap();
            let status: Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
            let members = status["members"].as_array().cloned().unwrap_or_default();
            let voters = members.iter().filter(|member| member["vote"] == "voter").count();
            if voters == wanted { Ok(()) } else { Err(format!("{voters} of {wanted} vote")) }
        });
    }

    /// Fails if the daemon has ended by itself.
    pub(crate) fn must_live(&self) {
        let mut daemon = self.daemon.lock().unwrap();
        let ended = daemon.as_mut().and_then(|daemon| daemon.try_wait().unwrap());
        assert!(ended.is_none(), "the daemon of {} ended by itself: {ended:?}", self.name);
    }

    /// Ends the daemon as a crash would; its supervisor and its tasks go on.
    pub(crate) fn kill(&self) {
        self.must_live();
        let mut daemon = self.daemon.lock().unwrap().take().unwrap();
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// Ends the daemon as a service manager would.
    pub(crate) fn end(&self) {
        self.must_live();
        let mut daemon = self.daemon.lock().unwrap().take().unwrap();
        signal(u64::from(daemon.id()), Signal::TERM);
        let status = find_within(END_WITHIN, || {
            let ended = daemon.try_wait().unwrap();
            ended.ok_or_else(|| format!("the daemon of {} goes on after SIGTERM", self.name))
        });
        assert_eq!(status.code(), Some(0), "how the daemon of {} ends", self.name);
    }

    /// Ends all that runs on the machine, as if it had lost its power. Its disk stays.
    pub(crate) fn power_off(&self) {
        self.kill_supervisor();
        self.kill();
        // A daemon may just have started another supervisor.
        find(|| {
            self.kill_supervisor();
            self.tasks().into_iter().for_each(|pid| signal(pid, Signal::KILL));
            let left = self.supervisors().len() + self.tasks().len();
            if left == 0 { Ok(()) } else { Err(format!("{left} processes on {}", self.name)) }
        });
    }

    pub(crate) fn kill_supervisor(&self) {
        self.supervisors().into_iter().for_each(|pid| signal(pid, Signal::KILL));
    }

    /// Stops the daemon alone, so that it does nothing until it is told to go on.
    pub(crate) fn pause(&self) {
        self.signal_daemon(Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.signal_daemon(Signal::CONT);
    }

    /// Stops everything that runs on the machine.
    pub(crate) fn freeze(&self) {
        self.pause();
        self.supervisors().into_iter().for_each(|pid| signal(pid, Signal::STOP));
        // What one of them had just started is found the second time.
        for _ in 0..2 {
            self.tasks().into_iter().for_each(|pid| signal(pid, Signal::STOP));
        }
    }

    /// Lets it go on, the tasks first: they are what must be caught.
    pub(crate) fn thaw(&self) {
        self.tasks().into_iter().for_each(|pid| signal(pid, Signal::CONT));
        self.supervisors().into_iter().for_each(|pid| signal(pid, Signal::CONT));
        self.go_on();
    }

    fn signal_daemon(&self, with: Signal) {
        let daemon = self.daemon.lock().unwrap();
        daemon.iter().for_each(|daemon| signal(u64::from(daemon.id()), with));
    }

    pub(crate) fn is_control(&self) -> bool {
        self.roles.contains("control")
    }

    pub(crate) fn is_worker(&self) -> bool {
        self.roles.contains("worker")
    }

    pub(crate) fn node(&self) -> Option<NodeId> {
        *self.node.lock().unwrap()
    }

    fn supervisors(&self) -> Vec<u64> {
        self.node().map(left::supervisors).unwrap_or_default()
    }

    fn tasks(&self) -> Vec<u64> {
        self.node().map(left::task_processes).unwrap_or_default()
    }

    /// The binary, with nothing of the caller's own around it.
    fn binary(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
        command.env("XDG_STATE_HOME", self.dir.join("state")).env("USER", "ann");
        command.stdin(Stdio::null()).current_dir(&self.dir);
        command
    }

    /// A command to this node, which has to be run on this machine.
    pub(crate) fn windlass(&self, words: &[&str]) -> OnMachine<'_> {
        let mut command = self.binary();
        command.args(words).env("WINDLASS_NODE", API);
        OnMachine { machine: self, command }
    }

    /// The address of the API, on this machine.
    pub(crate) fn api(&self) -> &'static str {
        API
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.data_dir().join("token")).unwrap().trim().to_owned()
    }

    fn data_dir(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn ready_file(&self) -> PathBuf {
        self.dir.join("ready")
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("daemon.log")
    }

    /// The last lines of what daemon and supervisor said.
    pub(crate) fn last_words(&self) -> String {
        let logs = [self.log_file(), self.data_dir().join("supervisor.log")];
        let logs = logs.iter().map(|log| {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let last = lines[lines.len().saturating_sub(25)..].join("\n");
            format!("--- {} ---\n{last}\n", log.display())
        });
        logs.collect()
    }
}

/// A command that is run on a machine.
pub(crate) struct OnMachine<'a> {
    machine: &'a Machine,
    pub(crate) command: Command,
}

impl OnMachine<'_> {
    pub(crate) fn spawn(mut self) -> std::io::Result<Child> {
        self.machine.host.within(|| self.command.spawn())
    }

    pub(crate) fn output(mut self) -> std::io::Result<std::process::Output> {
        self.machine.host.within(|| self.command.output())
    }
}

/// Signals a process, which may have ended.
fn signal(pid: u64, signal: Signal) {
    let _ = Pid::from_raw(pid as i32).map(|pid| kill_process(pid, signal));
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.last_words());
        }
        if let Some(mut daemon) = self.daemon.lock().unwrap().take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        self.kill_supervisor();
        self.tasks().into_iter().for_each(|pid| signal(pid, Signal::KILL));
    }
}
