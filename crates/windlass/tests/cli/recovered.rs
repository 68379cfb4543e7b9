//! A cluster in a file and back, and one that goes on in another incarnation: what had ended stays
//! so, what lives runs once, and nothing of before passes for anything of after.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use proto::api::SnapshotPiece;
use rustix::process::Signal;

use crate::node::{Home, Node, Shown, exists, own_addr, runs};
use crate::rest::client::Call;
use crate::scripted::{Life, Script};

/// A lease so short that a test can wait it out.
const LEASE: [&str; 2] = ["--lease", "1s"];

fn done(shown: Shown) -> String {
    assert!(shown.0.status.success(), "{shown}");
    shown.stdout()
}

fn refused(shown: &Shown, texts: &[&str]) {
    let all = shown.to_string();
    assert_eq!(shown.0.status.code(), Some(1), "{all}");
    assert!(texts.iter().all(|text| all.contains(text)), "{all}");
}

/// Each index of an array writes its fence into a file of this name as it ends.
fn note(node: &Node, file: &Path, array: &str, pause: &str) -> String {
    let script = format!(
        "sleep {pause}; echo \"$WINDLASS_INDEX $WINDLASS_FENCE $WINDLASS_ATTEMPT\" >> {}",
        file.display()
    );
    done(node.windlass(&["run", "-d", "--array", array, "--", "sh", "-c", &script]))
}

/// The lines that an index has written in this incarnation.
fn notes(file: &Path, incarnation: u64) -> BTreeMap<u32, usize> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let mut notes = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.split(' ').map(|word| word.parse::<u64>().unwrap());
        let (index, fence) = (words.next().unwrap(), words.next().unwrap());
        if fence >> 48 == incarnation {
            *notes.entry(index as u32).or_default() += 1;
        }
    }
    notes
}

fn succeeded(node: &Node, id: &str) -> usize {
    let status = node.windlass(&["status", "--json", id]).json();
    status["run"]["counts"]["succeeded"].as_u64().unwrap_or_default() as usize
}

#[test]
fn a_cluster_that_is_restored_goes_on_where_the_snapshot_was_taken() {
    let node = Home::new().up_with(&LEASE);
    let file = node.home().path().join("notes");
    assert_eq!(done(node.windlass(&["run", "--", "echo", "over"])), "over\n");
    assert_eq!(note(&node, &file, "1-60", "0.3"), "2\n");
    let keyed = ["run", "-d", "--idempotency-key", "k", "--cwd", "/", "--", "sleep", "600"];
    assert_eq!(done(node.windlass(&keyed)), "3\n");
    let token = done(node.windlass(&["token", "create", "ci", "--role", "submitter"]));
    node.until(&["status", "--json", "2"], |run| {
        run["run"]["counts"]["succeeded"].as_u64() > Some(8)
    });

    let saved = node.windlass(&["cluster", "snapshot", "save", "c.snap"]);
    assert!(saved.to_string().contains("keep DATA_DIR/secrets.key beside it"), "{saved}");
    let path = node.home().path().join("c.snap");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    // What is acknowledged behind the snapshot is not in it.
    assert_eq!(done(node.windlass(&["run", "-d", "--", "echo", "later"])), "4\n");
    let index = node.windlass(&["events", "--json", "-n", "1"]).json()["index"].as_u64().unwrap();
    done(node.windlass(&["down"]));

    let checked = node.windlass(&["cluster", "snapshot", "check", "--json", "c.snap"]).json();
    assert_eq!((&checked["incarnation"], &checked["runs"]), (&1.into(), &2.into()));
    let home = Home::new();
    let path = path.to_str().unwrap();
    let restore =
        ["cluster", "snapshot", "restore", path, "--data-dir", "data", "--reason", "fire"];
    let restored = home.windlass(&restore);
    assert!(restored.to_string().contains("no secrets.key"), "{restored}");
    let next = done(restored);
    assert!(next.contains("2, after 1") && next.contains("the next one is 1001"), "{next}");

    let again = home.up_with(&LEASE);
    let why = again.windlass(&["why", "3"]).stdout();
    assert!(why.contains("the cluster was recovered"), "{why}");
    refused(&again.windlass(&["status", "1"]), &["no run 1"]);
    assert_eq!(done(again.windlass(&["wait", "2"])), "2: succeeded\n");
    // Elements that had ended when it was taken have not run again, all others once.
    let ran = notes(&file, 2);
    assert!(ran.values().all(|times| *times == 1), "{ran:?}");
    let before = notes(&file, 1);
    let ended = 60 - ran.len();
    assert!(ended > 8 && before.len() >= ended, "{ended} of {} had ended", before.len());
    assert_eq!(succeeded(&again, "2"), 60);

    assert_eq!(done(again.windlass(&keyed)), "3\n", "the key is known");
    again.until(&["status", "--json", "3"], |run| run["run"]["counts"]["running"] == 1);
    let mut submits = again.command(&["run", "--", "sh", "-c", "echo $WINDLASS_FENCE"]);
    let submits = Shown(submits.env("WINDLASS_TOKEN", token.trim()).output().unwrap());
    let fence: u64 = done(submits).trim().parse().unwrap();
    assert_eq!(fence >> 48, 2);
    assert_eq!(again.windlass(&["ps", "--json", "-a"]).json()["runs"][0]["run"], 1001);
    let audit = done(again.windlass(&["audit"]));
    assert!(audit.contains("restore") && audit.contains("fire"), "{audit}");
    let late = again.windlass(&["events", "--after", &index.to_string()]);
    refused(&late, &["not kept any more"]);
}

#[test]
fn what_is_no_whole_snapshot_is_refused_with_what_to_do() {
    let node = Home::new().up();
    done(node.windlass(&["run", "-d", "--", "sleep", "600"]));
    done(node.windlass(&["cluster", "snapshot", "save", "c.snap"]));
    let path = node.home().path().join("c.snap");
    let whole = std::fs::read(&path).unwrap();
    let restore = ["cluster", "snapshot", "restore", "c.snap", "--data-dir", "other"];
    let check = ["cluster", "snapshot", "check", "c.snap"];
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    for (bytes, told) in [(&whole[..whole.len() - 7], "cut off"), (&damaged, "damaged at byte")] {
        std::fs::write(&path, bytes).unwrap();
        for args in [&restore[..], &check] {
            refused(&node.windlass(args), &[told, "hint: use another copy of it"]);
        }
        assert!(!exists(node.home().path().join("other")));
    }
    std::fs::write(&path, &whole).unwrap();
    // Whatever goes wrong leaves the copy of before as it is.
    std::fs::create_dir(node.home().path().join(".c.snap.new")).unwrap();
    refused(&node.windlass(&["cluster", "snapshot", "save", "c.snap"]), &["cannot create"]);
    done(node.windlass(&check));
    let here = ["cluster", "snapshot", "restore", "c.snap", "--data-dir", "data", "--replace"];
    refused(&node.windlass(&here), &["in use by the node with pid"]);
}

#[test]
fn an_admin_takes_a_snapshot_by_rest_and_to_stdout_and_nobody_else() {
    let node = Home::new().up();
    let saved = node.windlass(&["cluster", "snapshot", "save", "-"]);
    assert!(saved.0.status.success(), "{}", String::from_utf8_lossy(&saved.0.stderr));
    let got = Call::get(&node, "/v1/cluster/snapshot").answer();
    assert_eq!((got.status, got.header("content-type")), (200, "application/octet-stream"));
    for (name, bytes) in [("stdout", &saved.0.stdout), ("rest", &got.body)] {
        std::fs::write(node.home().path().join(name), bytes).unwrap();
        done(node.windlass(&["cluster", "snapshot", "check", name]));
    }
    let token = done(node.windlass(&["token", "create", "op", "--role", "operator"]));
    let mut save = node.command(&["cluster", "snapshot", "save", "c.snap"]);
    let save = Shown(save.env("WINDLASS_TOKEN", token.trim()).output().unwrap());
    refused(&save, &["takes the role admin"]);
    assert!(!exists(node.home().path().join("c.snap")));
}

#[test]
fn one_node_recovers_and_what_ran_is_ended_before_it_runs_again() {
    let node = Home::new().up_with(&LEASE);
    let fences = node.home().path().join("fences");
    assert_eq!(done(node.windlass(&["run", "--", "echo", "over"])), "over\n");
    let script = format!("echo $WINDLASS_FENCE $$ >> {}; exec sleep 600", fences.display());
    assert_eq!(done(node.windlass(&["run", "-d", "--", "sh", "-c", &script])), "2\n");
    node.until(&["status", "--json", "2"], |run| run["run"]["counts"]["running"] == 1);
    let recover = ["cluster", "recover", "--data-dir", "data", "--reason", "rack 7", "--yes"];
    refused(&node.windlass(&recover), &["in use by the node with pid"]);
    let home = node.crash();
    let asked = home.windlass(&recover[..4]);
    assert_eq!(asked.0.status.code(), Some(2), "{asked}");
    let read = || {
        let text = std::fs::read_to_string(&fences).unwrap_or_default();
        let words = text.split_whitespace().map(|word| word.parse().unwrap());
        words.collect::<Vec<u64>>()
    };
    let [_, task] = read()[..] else { panic!("{:?}", read()) };
    assert!(runs(task), "it goes on without a daemon");

    let recovered = home.windlass(&recover);
    let said = recovered.to_string();
    assert!(said.contains("What runs is void") && said.contains("incarnation  2"), "{said}");
    assert!(!runs(task), "nothing of the former incarnation runs");
    let node = home.up_with(&LEASE);
    node.until(&["status", "--json", "2"], |run| run["run"]["counts"]["running"] == 1);
    let [before, _, after, _] = read()[..] else { panic!("{:?}", read()) };
    assert!(before >> 48 == 1 && after >> 48 == 2, "{before} {after}");
    assert_eq!(done(node.windlass(&["logs", "1"])), "over\n", "what had ended is still there");
    assert_eq!(done(node.windlass(&["run", "-d", "--", "true"])), "1001\n");
    assert!(done(node.windlass(&["audit"])).contains("rack 7"));
}

#[test]
fn no_node_starts_where_a_recovery_was_broken_off() {
    let node = Home::new().up();
    node.signal(Signal::TERM);
    let home = node.crash();
    std::fs::write(home.path().join("data/recovery.json"), r#"{"what":"restore"}"#).unwrap();
    let up = ["up", "--data-dir", "data", "--api", "127.0.0.1:0"];
    refused(&home.windlass(&up), &["broken off", "hint: run `windlass cluster snapshot restore`"]);
}

#[test]
fn a_snapshot_that_is_broken_off_leaves_the_one_of_before() {
    let node = Home::new().up();
    done(node.windlass(&["cluster", "snapshot", "save", "c.snap"]));
    let whole = std::fs::read(node.home().path().join("c.snap")).unwrap();
    let data = whole[..whole.len() / 2].to_vec();
    let snapshot = vec![SnapshotPiece { data }];
    let script = Script { snapshot, close: true, ..Script::default() };
    let life = Life::begin(own_addr(), script, &Default::default());
    let mut save = node.command(&["cluster", "snapshot", "save", "c.snap"]);
    save.env("WINDLASS_NODE", life.addr.to_string()).env("WINDLASS_TOKEN", "any");
    refused(&Shown(save.output().unwrap()), &["the node broke it off", "hint: "]);
    assert_eq!(std::fs::read(node.home().path().join("c.snap")).unwrap(), whole);
    assert!(!exists(node.home().path().join(".c.snap.new")));
}
