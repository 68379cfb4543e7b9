//! Tasks that do what they should not, through the whole program: each ends as it must, and
//! nothing of it is left.

use std::time::{Duration, Instant};

use crate::left::task_processes;
use crate::mount::Mount;
use crate::node::{Home, Shown};
use crate::victim::Victim;

/// A node, and what a task did on it.
struct Scene {
    victim: Victim,
}

impl Scene {
    fn new() -> Scene {
        Scene { victim: Victim::new() }
    }

    /// Runs a script to its end, which must be soon and leave no process.
    fn run(&self, options: &[&str], script: &str) -> Shown {
        let begin = Instant::now();
        let line = [&["run"], options, &["--", "sh", "-c", script]].concat();
        let shown = self.victim.windlass(&line);
        assert!(begin.elapsed() < Duration::from_secs(20), "it took {:?}", begin.elapsed());
        assert_eq!(task_processes(self.victim.node), [0; 0], "processes are left");
        shown
    }

    fn status(&self) -> serde_json::Value {
        self.victim.windlass(&["status", "--json", "last"]).json()["elements"][0].clone()
    }

    fn check(&self, shown: &Shown, code: i32, stdout: &[u8]) {
        assert_eq!(shown.0.status.code(), Some(code), "{shown}");
        assert!(shown.0.stdout == stdout, "{shown}");
        let logs = self.victim.windlass(&["logs", "last", "--stdout"]);
        assert_eq!(logs.0.status.code(), Some(0), "{logs}");
        assert!(logs.0.stdout == stdout, "{logs}");
        let state = if code == 0 { "succeeded" } else { "failed" };
        assert_eq!(self.status()["state"], state);
    }

    fn end(self) -> Home {
        self.victim.down()
    }
}

#[test]
fn bytes_are_kept_as_they_are() {
    let scene = Scene::new();
    let shown = scene.run(&[], r"printf 'caf\351 \377\376\n\000end'");
    scene.check(&shown, 0, b"caf\xe9 \xff\xfe\n\0end");
    let shown = scene.run(&[], "head -c 3000000 /dev/zero | tr '\\0' x; exit 9");
    scene.check(&shown, 9, &[b'x'; 3_000_000]);
    let json = scene.victim.windlass(&["logs", "--json", "1"]).stdout();
    assert!(json.contains("\"encoding\":\"base64\""), "{json}");
    scene.end();
}

#[test]
fn whoever_forks_away_is_found() {
    let scene = Scene::new();
    let runaways = "(setsid sh -c 'trap \"\" TERM HUP; (sleep 600 & sleep 600)' &) \n\
        (env -i setsid -f sleep 600) \n sleep 0.2; echo bye; exit 5";
    let shown = scene.run(&[], runaways);
    scene.check(&shown, 5, b"bye\n");
    let shown = scene.run(&[], "sleep 600 & echo done");
    scene.check(&shown, 0, b"done\n");
    scene.end();
}

#[test]
fn whoever_ignores_term_is_killed() {
    let scene = Scene::new();
    let script = "trap '' TERM; echo here; sleep 600; echo never";
    let shown = scene.run(&["--timeout", "300ms", "--grace", "300ms"], script);
    assert_eq!(shown.0.status.code(), Some(124), "{shown}");
    assert_eq!(shown.stdout(), "here\n");
    let status = scene.status();
    assert_eq!(status["state"], "timed_out");
    assert_eq!(status["attempts"][0]["outcome"]["signal"], 9);
    scene.end();
}

#[test]
fn whoever_closes_its_output_goes_on() {
    let scene = Scene::new();
    let shown = scene.run(&[], "echo first; exec >&- 2>&-; sleep 0.3; echo lost; exit 4");
    scene.check(&shown, 4, b"first\n");
    scene.end();
}

#[test]
fn a_gibibyte_is_cut_to_its_end_with_a_mark() {
    const KEPT_MAX: usize = 101 << 20;
    let scene = Scene::new();
    // A pause before the last words: a slow disk catches up, and does not drop those too.
    let script = "head -c 1073741824 /dev/zero; sleep 3; echo the end; exit 3";
    let run = scene.victim.windlass(&["run", "-d", "--", "sh", "-c", script]);
    assert_eq!(run.stdout(), "1\n");
    let shown = scene.victim.windlass(&["wait", "1"]);
    assert_eq!(shown.0.status.code(), Some(3), "{}", String::from_utf8_lossy(&shown.0.stderr));
    let outcome = scene.status()["attempts"][0]["outcome"].clone();
    assert_eq!(outcome["output_bytes"], (1 << 30) + 8);
    let logs = scene.victim.windlass(&["logs", "1"]);
    let kept = (1 << 30) + 8 - outcome["output_dropped_bytes"].as_u64().unwrap();
    assert_eq!(kept, logs.0.stdout.len() as u64, "what was dropped is counted");
    assert!(logs.0.stdout.ends_with(b"\0the end\n"));
    assert!(logs.0.stdout.len() > 80 << 20 && logs.0.stdout.len() < KEPT_MAX);
    let said = String::from_utf8_lossy(&logs.0.stderr).into_owned();
    assert!(said.contains("of output dropped here"), "{said}");
    let kept = size(&scene.victim.home.path().join("data/output"));
    assert!(kept < KEPT_MAX as u64, "{kept} bytes are on disk");
    scene.end();
}

#[test]
fn whoever_fills_the_disk_hears_of_it_and_ends() {
    let home = Home::new();
    let disk = Mount::small(&home.path().join("small"), 4);
    let scene = Scene { victim: Victim::at(home) };
    let script = "dd if=/dev/zero of=small/file bs=1M count=100 2>/dev/null || echo full; exit 2";
    let shown = scene.run(&[], script);
    scene.check(&shown, 2, b"full\n");
    drop(disk);
    scene.end();
}

#[test]
fn whoever_fills_the_disk_of_the_node_is_not_held_up() {
    let home = Home::new();
    let disk = Mount::small(&home.path().join("data"), 256);
    let scene = Scene { victim: Victim::at(home) };
    let script = "dd if=/dev/zero of=data/filler bs=1M 2>/dev/null \n\
        cat /dev/zero >>data/filler 2>/dev/null \n\
        head -c 5000000 /dev/zero; rm data/filler; echo freed; exit 7";
    let shown = scene.run(&["--raw"], script);
    assert_eq!(shown.0.status.code(), Some(7), "{}", String::from_utf8_lossy(&shown.0.stderr));
    let logs = scene.victim.windlass(&["logs", "--raw", "last"]);
    let said = String::from_utf8_lossy(&logs.0.stderr).into_owned();
    assert!(said.contains("the disk is full"), "{said}");
    assert_eq!(scene.status()["attempts"][0]["outcome"]["output_bytes"], 5_000_006);
    let shown = scene.run(&[], "echo again");
    scene.check(&shown, 0, b"again\n");
    let home = scene.end();
    drop(disk);
    drop(home);
}

fn size(dir: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(dir).unwrap().flatten();
    let of = |entry: std::fs::DirEntry| {
        let meta = entry.metadata().unwrap();
        if meta.is_dir() { size(&entry.path()) } else { meta.len() }
    };
    entries.map(of).sum()
}
