//! What each node of a cluster goes through in its life: its daemon is started again, its disk refuses a write. The
//! others go on, its tasks too, and nothing starts twice.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use crate::ground::{Ground, Node, text, until};

/// Far longer than a daemon takes to come back.
const LEASE: Duration = Duration::from_secs(60);
/// Tasks that note each start and each end outside of the cluster.
const NOTES: &str = "echo start $WINDLASS_INDEX >> $0; sleep 12; echo end $WINDLASS_INDEX >> $0; \
    echo done $WINDLASS_INDEX";

/// Two on each of three nodes, which all run once this answers.
fn six_tasks(ground: &Ground, at: &Node) -> std::path::PathBuf {
    let notes = ground.path("notes");
    let file = notes.to_str().unwrap();
    let words = ["run", "--detach", "--array", "1-6", "--cpus", "1", "--", "sh", "-c", NOTES, file];
    let run = ground.ask(at, &words);
    assert!(run.status.success(), "{}", text(&run.stderr));
    until("all of them run", || {
        let noted = std::fs::read_to_string(&notes).ok()?;
        (noted.matches("start").count() == 6).then_some(())
    });
    notes
}

/// Each started once and ended once, and all of what they wrote can be read anywhere.
fn each_ran_once(ground: &Ground, nodes: &[&Node], notes: &std::path::Path) {
    let waited = ground.ask(nodes[0], &["wait", "1"]);
    assert!(waited.status.success(), "{}", text(&waited.stderr));
    let noted = std::fs::read_to_string(notes).unwrap();
    let mut times = BTreeMap::<&str, u32>::new();
    noted.lines().for_each(|line| *times.entry(line).or_default() += 1);
    assert!(times.len() == 12 && times.values().all(|times| *times == 1), "{times:?}");
    for node in nodes {
        let shown = text(&ground.ask(node, &["logs", "1"]).stdout);
        for index in 1..=6 {
            assert!(shown.contains(&format!("done {index}\n")), "{}: {shown}", node.name);
        }
        assert!(!shown.contains("[windlass"), "{}: {shown}", node.name);
    }
}

#[test]
fn every_daemon_in_turn_is_started_again_and_nobody_notices() {
    let ground = Ground::with_lease(LEASE);
    let mut nodes = ground.three();
    let notes = six_tasks(&ground, &nodes[0]);
    // The leader first. Whoever comes after it may be the next one.
    for at in 0..nodes.len() {
        let name = nodes[at].name;
        nodes[at].stop();
        let other = &nodes[(at + 1) % nodes.len()];
        let ran = ground.ask(other, &["run", "--", "echo", "meanwhile"]);
        assert_eq!(text(&ran.stdout), "meanwhile\n", "without {name}: {}", text(&ran.stderr));
        nodes[at].start_again(&ground);
        until("it is ready again", || {
            let shown = ground.json(&nodes[at], &["node", "ls"])?;
            let shown = shown["nodes"].as_array()?.clone();
            shown.iter().all(|node| node["state"] == "ready").then_some(())
        });
    }
    assert_eq!(ground.leader(&nodes[2], 3).len(), 1, "all three still vote");
    each_ran_once(&ground, &nodes.each_ref(), &notes);
}

#[test]
fn a_leader_whose_disk_refuses_a_write_ends_and_another_one_leads() {
    let ground = Ground::with_lease(LEASE);
    let mut nodes = ground.three();
    let notes = six_tasks(&ground, &nodes[0]);
    let limited = Command::new("prlimit")
        .args(["--pid", &nodes[0].ready["pid"].to_string(), "--fsize=0"])
        .status()
        .unwrap();
    assert!(limited.success(), "this test sets limits of another process: run it as root");
    // Its next commit ends it; a command that asks elsewhere hears nothing of that.
    let ran = ground.ask(&nodes[1], &["run", "--", "echo", "goes on"]);
    assert_eq!(text(&ran.stdout), "goes on\n", "{}", text(&ran.stderr));
    assert!(!nodes[0].has_ended_well(), "it does not go on with such a disk");
    // Its supervisor has its tasks, and a new daemon, on a disk that is well, finds them in time.
    nodes[0].start_again(&ground);
    each_ran_once(&ground, &nodes.each_ref(), &notes);
}
