//! A real node in a directory of its own, and the commands of a person before it.

use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// An address with any port that no other test uses, so that the port stays free in between.
pub(crate) fn own_addr() -> SocketAddr {
    static LAST: AtomicU8 = AtomicU8::new(0);
    let pid = std::process::id().to_be_bytes();
    (Ipv4Addr::new(127, pid[3] | 1, pid[2], LAST.fetch_add(1, Ordering::Relaxed) + 1), 0).into()
}

/// A directory in which nodes and clients find all that is theirs.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    pub(crate) fn new() -> Home {
        Home { dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    /// The binary, with nothing of the real user's in its environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_windlass"));
        command
            .args(args)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.path())
            .env("XDG_STATE_HOME", self.path().join("state"))
            .env("USER", "ann")
            .current_dir(self.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs the binary to its end.
    pub(crate) fn windlass(&self, args: &[&str]) -> Shown {
        Shown(self.command(args).output().unwrap())
    }

    /// Starts a node and waits until it says that it serves.
    pub(crate) fn up(self) -> Node {
        self.up_with(&[])
    }

    /// At an address of its own, which stays free while the node is away.
    pub(crate) fn up_at(self, addr: SocketAddr) -> Node {
        self.start(&addr.to_string(), &[], &[])
    }

    pub(crate) fn up_with(self, args: &[&str]) -> Node {
        self.start("127.0.0.1:0", args, &[])
    }

    /// At an address that need not be of loopback.
    pub(crate) fn up_beyond(self, api: &str, args: &[&str]) -> Node {
        self.start(api, args, &[])
    }

    /// With these variables in its environment.
    pub(crate) fn up_within(self, variables: &[(&str, &str)]) -> Node {
        self.start("127.0.0.1:0", &[], variables)
    }

    fn start(self, api: &str, args: &[&str], variables: &[(&str, &str)]) -> Node {
        let mut command = self.command(&["up", "--data-dir", "data", "--api", api]);
        command.args([
            "--name",
            "alpha",
            "--cpus",
            "4",
            "--memory",
            "1GiB",
            "--ready-file",
            "ready",
        ]);
        command.args(args).envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut said = String::new();
        while !said.contains("next: ") {
            if stdout.read_line(&mut said).unwrap() == 0 {
                let mut stderr = String::new();
                child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
                panic!("the node ended: {stderr}");
            }
        }
        let ready = std::fs::read_to_string(self.path().join("ready")).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
        Node { home: Some(self), child, stdout, said, ready }
    }
}

/// A node that serves. It is brought down when it is dropped.
pub(crate) struct Node {
    home: Option<Home>,
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// What it said on stdout.
    pub(crate) said: String,
    /// The content of its ready file.
    pub(crate) ready: serde_json::Value,
}

impl Node {
    pub(crate) fn home(&self) -> &Home {
        self.home.as_ref().expect("taken only at the end")
    }

    pub(crate) fn api(&self) -> &str {
        self.ready["api"].as_str().unwrap()
    }

    pub(crate) fn token(&self) -> String {
        std::fs::read_to_string(self.home().path().join("data/token")).unwrap()
    }

    /// A command to this node.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home().command(args);
        command.env("WINDLASS_NODE", self.api());
        command
    }

    /// Runs a command to this node to its end.
    pub(crate) fn windlass(&self, args: &[&str]) -> Shown {
        Shown(self.command(args).output().unwrap())
    }

    /// Asks again and again until the JSON is as wanted. Asking takes long enough for a pause.
    pub(crate) fn until(&self, args: &[&str], wanted: impl Fn(&serde_json::Value) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let value = self.windlass(args).json();
            if wanted(&value) {
                return;
            }
            assert!(Instant::now() < deadline, "still {value:#}");
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// Ends the process as a crash would.
    pub(crate) fn crash(mut self) -> Home {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.home.take().expect("taken only here")
    }

    /// Waits for the process; its exit code and all it said on stderr.
    pub(crate) fn ended(&mut self) -> (Option<i32>, String) {
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        self.stdout.read_to_string(&mut self.said).unwrap();
        (self.child.wait().unwrap().code(), stderr)
    }

    /// Leaves the process, which has ended, and keeps its directory for the next.
    pub(crate) fn into_home(mut self) -> Home {
        self.home.take().expect("taken only here")
    }

    /// What differs from run to run, and what stands for it.
    pub(crate) fn filters(&self) -> insta::Settings {
        filters(self.home(), self.api())
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let Some(home) = &self.home else { return };
        let down = home.command(&["down", "-N", self.api()]).output().unwrap();
        if !down.status.success() {
            let pid = |pid: u64| Pid::from_raw(pid as i32);
            let supervisor = self.ready["supervisor_pid"].as_u64().and_then(pid);
            let _ = self.child.kill();
            let _ = supervisor.map(|pid| kill_process(pid, Signal::KILL));
        }
        let _ = self.child.wait();
    }
}

/// What differs from run to run, and what stands for it.
pub(crate) fn filters(home: &Home, api: &str) -> insta::Settings {
    let literal = |text: &str| -> String {
        let escape = |c: char| if c.is_alphanumeric() { c.to_string() } else { format!("\\{c}") };
        text.chars().map(escape).collect()
    };
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(&literal(&home.path().display().to_string()), "[DIR]");
    settings.add_filter(&literal(api), "[API]");
    settings.add_filter(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", "[TIME]");
    settings.add_filter(r"\b\d+(ms|\.\ds)", "[TOOK]");
    settings.add_filter(r" (now|\ds) ", " [AGE] ");
    settings.add_filter(r"pid \d+", "pid [PID]");
    settings.add_filter(r"level \d+", "level [LEVEL]");
    settings.add_filter(r"fence +\d+", "fence  [FENCE]");
    settings.add_filter(r"[\d.]+ [KM]iB at its peak", "[SIZE] at its peak");
    settings.add_filter(r" {2,}", "  ");
    settings
}

/// What a command left: exit code, stdout and stderr.
pub(crate) struct Shown(pub(crate) Output);

impl Shown {
    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.0.stdout).unwrap()
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit code: {}", self.0.status.code().unwrap_or(-1))?;
        for (name, bytes) in [("stdout", &self.0.stdout), ("stderr", &self.0.stderr)] {
            if !bytes.is_empty() {
                writeln!(f, "--- {name} ---\n{}", String::from_utf8_lossy(bytes).trim_end())?;
            }
        }
        Ok(())
    }
}

/// Checks all that a command leaves, with what differs from run to run taken out.
macro_rules! check {
    ($node:expr, $args:expr, @$expected:literal) => {{
        let shown = $node.windlass(&$args);
        $node.filters().bind(|| insta::assert_snapshot!(shown, @$expected));
    }};
}

/// Whether a file is there.
pub(crate) fn exists(path: impl AsRef<Path>) -> bool {
    path.as_ref().exists()
}

/// Whether a process is there and has not ended.
pub(crate) fn runs(pid: u64) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

/// Resident memory of a process at its peak, in MiB.
pub(crate) fn peak_mib(pid: u64) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}
