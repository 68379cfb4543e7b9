//! A node whose processes a test kills and starts again.

use std::fs::File;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;

use model::NodeId;
use rustix::process::{Pid, Signal, kill_process};

use crate::caller::Caller;
use crate::left;
use crate::node::{Home, Shown, own_addr};
use crate::patience::find;

/// A node at an address that stays its own.
pub(crate) struct Victim {
    pub(crate) home: Home,
    /// What its API was bound to at the first start.
    pub(crate) api: String,
    pub(crate) node: NodeId,
    daemon: Option<Child>,
    /// Takes down what the daemon says.
    log: Option<JoinHandle<()>>,
    ended: bool,
}

impl Victim {
    /// Starts a node in a new directory.
    pub(crate) fn new() -> Victim {
        Victim::at(Home::new())
    }

    /// Starts a node in the directory `data` of `home`.
    pub(crate) fn at(home: Home) -> Victim {
        let mut victim = Victim::unborn(home);
        victim.start();
        victim.born();
        victim
    }

    /// A node that has never been started.
    pub(crate) fn unborn(home: Home) -> Victim {
        let (api, node) = (own_addr().to_string(), NodeId::default());
        Victim { home, api, node, daemon: None, log: None, ended: false }
    }

    /// Waits until the daemon serves, and learns who it is.
    pub(crate) fn born(&mut self) {
        let ready = self.ready();
        self.api = ready["api"].as_str().unwrap().to_owned();
        self.node = NodeId(ready["node_id"].as_str().unwrap().parse().unwrap());
    }

    /// Starts the daemon and does not wait.
    pub(crate) fn start(&mut self) {
        assert!(self.daemon.is_none(), "it runs already");
        let mut command = self.home.command(&["up", "--data-dir", "data", "--api", &self.api]);
        command.args(["--name", "alpha", "--cpus", "4", "--memory", "1GiB"]);
        command.args(["--ready-file", "ready"]);
        // Small, so that a restart goes by a snapshot as a rule.
        command.args(["--checkpoint-size", "64KiB"]);
        // Through a pipe, so that no limit on the daemon's files keeps it from saying why it ends.
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let log = self.home.path().join("daemon.log");
        let mut log = File::options().create(true).append(true).open(log).unwrap();
        let mut stderr = child.stderr.take().unwrap();
        self.log = Some(std::thread::spawn(move || _ = std::io::copy(&mut stderr, &mut log)));
        self.daemon = Some(child);
    }

    /// What the daemon that was started says once it serves, if it does by now.
    pub(crate) fn is_ready(&self) -> Option<serde_json::Value> {
        let text = std::fs::read_to_string(self.home.path().join("ready")).ok()?;
        let ready: serde_json::Value = serde_json::from_str(&text).ok()?;
        (ready["pid"] == self.daemon.as_ref()?.id()).then_some(ready)
    }

    /// Waits until the daemon serves.
    pub(crate) fn ready(&mut self) -> serde_json::Value {
        find(|| {
            let ended = self.daemon.as_mut().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "the daemon ended: {ended:?}\n{}", self.last_words());
            self.is_ready().ok_or_else(|| "the node does not serve".to_owned())
        })
    }

    /// The last lines of the daemons' log.
    fn last_words(&mut self) -> String {
        if let Some(log) = self.log.take() {
            log.join().unwrap();
        }
        let text = std::fs::read_to_string(self.home.path().join("daemon.log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// The supervisor's process, as the daemon that serves knows it.
    pub(crate) fn supervisor(&self) -> u64 {
        self.is_ready().unwrap()["supervisor_pid"].as_u64().unwrap()
    }

    /// The process of the daemon.
    pub(crate) fn daemon(&self) -> u32 {
        self.daemon.as_ref().unwrap().id()
    }

    /// Kills the daemon; it must not have ended before.
    pub(crate) fn kill(&mut self) {
        let mut daemon = self.daemon.take().unwrap();
        let ended = daemon.try_wait().unwrap();
        assert!(ended.is_none(), "the daemon ended by itself: {ended:?}");
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }

    /// Stops the daemon, so that it does nothing until it is told to go on.
    pub(crate) fn hold(&self) {
        signal(self.daemon().into(), Signal::STOP);
    }

    /// Lets a daemon that is held go on.
    pub(crate) fn go_on(&self) {
        signal(self.daemon().into(), Signal::CONT);
    }

    /// Kills the supervisor, and whichever is about to become one.
    pub(crate) fn kill_supervisor(&self) {
        left::supervisors(self.node).into_iter().for_each(|pid| signal(pid, Signal::KILL));
    }

    /// Waits for the daemon to end by itself; its exit code.
    pub(crate) fn ended_by_itself(&mut self) -> Option<i32> {
        let daemon = self.daemon.as_mut().unwrap();
        let status = find(|| {
            let ended = daemon.try_wait().unwrap();
            ended.ok_or_else(|| "the daemon goes on".to_owned())
        });
        self.daemon = None;
        status.code()
    }

    /// Runs a command to this node to its end.
    pub(crate) fn windlass(&self, args: &[&str]) -> Shown {
        let mut command = self.home.command(args);
        Shown(command.env("WINDLASS_NODE", &self.api).output().unwrap())
    }

    /// What all its daemons have said on stderr.
    pub(crate) fn log(&mut self) -> String {
        if let (None, Some(log)) = (&self.daemon, self.log.take()) {
            log.join().unwrap();
        }
        std::fs::read_to_string(self.home.path().join("daemon.log")).unwrap()
    }

    pub(crate) fn caller(&self) -> Caller {
        Caller::new(&self.api, &self.token())
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.home.path().join("data/token")).unwrap()
    }

    /// Takes the node down as a person would; fails if anything of it is left.
    pub(crate) fn down(mut self) -> Home {
        let shown = self.home.windlass(&["down", "-N", &self.api]);
        assert!(shown.0.status.success(), "{shown}");
        self.ended_by_itself();
        left::nothing_is_left(self.node);
        self.ended = true;
        std::mem::replace(&mut self.home, Home::new())
    }
}

/// Signals a process, which may have ended.
fn signal(pid: u64, signal: Signal) {
    let _ = Pid::from_raw(pid as i32).map(|pid| kill_process(pid, signal));
}

impl Drop for Victim {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if let Some(mut daemon) = self.daemon.take() {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        println!("--- daemon.log ---\n{}", self.log());
        let log = std::fs::read_to_string(self.home.path().join("data/supervisor.log"));
        println!("--- supervisor.log ---\n{}", log.unwrap_or_default());
        self.kill_supervisor();
        left::task_processes(self.node).into_iter().for_each(|pid| signal(pid, Signal::KILL));
    }
}
