//! A secret reaches its task and nothing else: no file, no answer, no log.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::node::{Home, Shown};
use crate::tokens::holding;

pub(crate) const SECRET: &str = "marker-of-a-secret-5d1c90";
/// What tasks print of it.
const HASH: &str = "printf %s \"$KEY\" | sha256sum";

/// A node that logs everything it can, into a file.
pub(crate) struct Chatty {
    home: Home,
    child: Child,
    api: String,
}

impl Chatty {
    pub(crate) fn up(home: Home, log: &str) -> Chatty {
        Chatty::start(home, log, "64KiB")
    }

    /// With a snapshot each time so much of the journal lies behind the last one.
    pub(crate) fn start(home: Home, log: &str, checkpoint: &str) -> Chatty {
        let _ = fs::remove_file(home.path().join("ready"));
        let log = File::create(home.path().join(log)).unwrap();
        let args = "-vvv up --data-dir data --api 127.0.0.1:0 --cpus 4 --ready-file ready \
            --checkpoint-size";
        let args = args.split_whitespace().chain([checkpoint]);
        let mut command = home.command(&args.collect::<Vec<_>>());
        let child = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let ready = home.path().join("ready");
        let deadline = Instant::now() + Duration::from_secs(60);
        let text = loop {
            match fs::read_to_string(&ready) {
                Ok(text) if text.ends_with('\n') || text.ends_with('}') => break text,
                _ => assert!(Instant::now() < deadline, "the node does not serve"),
            }
            std::thread::yield_now();
        };
        let ready: serde_json::Value = serde_json::from_str(&text).unwrap();
        Chatty { home, child, api: ready["api"].as_str().unwrap().to_owned() }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        command.env("WINDLASS_NODE", &self.api).env("KEY", SECRET);
        command
    }

    pub(crate) fn api(&self) -> &str {
        &self.api
    }

    pub(crate) fn token(&self) -> String {
        let token = fs::read_to_string(self.file("data/token")).unwrap();
        token.trim().to_owned()
    }

    pub(crate) fn windlass(&self, args: &[&str]) -> Shown {
        Shown(self.command(args).output().unwrap())
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) fn crash(mut self) -> Home {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.home
    }

    pub(crate) fn down(mut self) -> Home {
        let shown = self.windlass(&["down"]);
        assert!(shown.0.status.success(), "{shown}");
        self.child.wait().unwrap();
        self.home
    }
}

/// How many elements of a run printed the secret's hash.
fn seen(node: &Chatty, run: &str) -> usize {
    let expected = Command::new("sh")
        .args(["-c", HASH])
        .env("KEY", SECRET)
        .output()
        .map(|output| String::from_utf8(output.stdout).unwrap())
        .unwrap();
    let logs = node.windlass(&["logs", run, "--raw"]).stdout();
    logs.lines().filter(|line| line.contains(expected.trim())).count()
}

#[test]
fn a_secret_is_seen_by_its_task_alone() {
    let node = Chatty::up(Home::new(), "log-1");
    let script = format!("until [ -e go ]; do sleep 0.05; done; {HASH}");
    let run = |secret: &str, key: &str| {
        let args = [
            "run",
            "-d",
            "--secret-env",
            "KEY",
            "--array",
            "1-8",
            "--idempotency-key",
            key,
            "--",
            "sh",
            "-c",
            &script,
        ];
        Shown(node.command(&args).env("KEY", secret).output().unwrap())
    };
    assert_eq!(run(SECRET, "k").stdout(), "1\n");
    // The same job with the same secret is the same submit, with another it is not.
    assert_eq!(run(SECRET, "k").stdout(), "1\n");
    let other = run("another secret", "k");
    assert!(other.to_string().contains("was used for another job"), "{other}");

    // Half of the elements start before the daemon dies, the others are opened by the next.
    let status = || node.windlass(&["status", "1", "--json"]);
    let deadline = Instant::now() + Duration::from_secs(60);
    while status().json()["run"]["counts"]["running"] != 4 {
        assert!(Instant::now() < deadline, "{}", status());
    }
    let node = Chatty::up(node.crash(), "log-2");
    fs::write(node.file("go"), "").unwrap();
    assert!(node.windlass(&["wait", "1"]).0.status.success());
    assert_eq!(seen(&node, "1"), 8);
    assert!(node.windlass(&["rerun", "1[2]"]).0.status.success());
    assert!(node.windlass(&["wait", "last"]).0.status.success());
    assert_eq!(seen(&node, "2"), 1);

    fs::write(node.file("from-file"), format!("{SECRET}\n")).unwrap();
    for secret in [["--secret-env", "KEY=@from-file"], ["--secret-file", "KEY=from-file"]] {
        let args = [&["run"][..], &secret, &["--", "sh", "-c", HASH]].concat();
        assert!(node.windlass(&args).0.status.success());
        assert_eq!(seen(&node, "last"), 1);
    }
    fs::remove_file(node.file("from-file")).unwrap();

    let shown = node.windlass(&["status", "1", "--json"]);
    let task = &shown.json()["job"]["tasks"][0];
    assert_eq!(task["secrets"], serde_json::json!({ "KEY": null }));
    let people = node.windlass(&["status", "1"]);
    assert!(people.stdout().contains("KEY"), "{people}");
    for args in [&["status", "1"][..], &["ps", "--all", "--json"], &["audit", "--json"]] {
        assert!(!node.windlass(args).to_string().contains(SECRET), "{args:?}");
    }
    let home = node.down();
    assert_eq!(holding(&home.path(), SECRET.as_bytes()), Vec::<String>::new());
    // Nor is the token in what the daemon logged.
    let token = fs::read_to_string(home.path().join("data/token")).unwrap();
    for log in ["log-1", "log-2"] {
        let log = fs::read(home.path().join(log)).unwrap();
        let log = String::from_utf8_lossy(&log);
        assert!(log.contains("TRACE"), "it logs all it can");
        assert!(!log.contains(token.trim()), "the token is in the log");
    }
    // The search finds what is there: the variable's name, in the journal and in history.
    let named = holding(&home.path().join("data"), b"KEY");
    assert!(named.iter().any(|path| path.contains("journal")), "{named:?}");
}

#[test]
fn a_secret_that_does_not_open_starts_nothing() {
    let node = Chatty::up(Home::new(), "log");
    assert!(node.windlass(&["run", "--secret-env", "KEY", "--", "true"]).0.status.success());
    let home = node.down();
    // As after a restore of the data without the keys.
    fs::remove_file(home.path().join("data/secrets.key")).unwrap();
    let node = Chatty::up(home, "log");
    assert!(node.windlass(&["rerun", "1"]).0.status.success());
    let waited = node.windlass(&["wait", "2"]);
    assert!(waited.to_string().contains("the secret `KEY` could not be opened"), "{waited}");
    let usage = node.windlass(&["run", "--secret-env", "KEY=value", "--", "true"]);
    assert!(usage.to_string().contains("others could see a value"), "{usage}");
    node.down();
}
