//! What each control node keeps on its own disk: lists of items and history. It has to be there
//! after the node that had it first is gone.

use std::path::Path;

use crate::ground::{Ground, Node, text, until};

/// The lists that a node has on disk.
fn lists(node: &Node) -> usize {
    let names = |dir: &Path| std::fs::read_dir(dir).unwrap().count();
    names(&node.dir().join("blobs"))
}

#[test]
fn a_list_outlives_the_node_that_took_it() {
    let ground = Ground::new();
    let [mut leads, takes, other] = ground.three();
    let list = ground.path("list");
    std::fs::write(&list, (1..=9).map(|n| format!("item {n}\n")).collect::<String>()).unwrap();

    // Taken by one that does not lead, and handed out by the one that does.
    let list = list.to_str().unwrap();
    let run = ["run", "--each-line", list, "--", "sh", "-c", "echo got $WINDLASS_ITEM"];
    let shown = ground.ask(&takes, &run);
    let shown = text(&shown.stdout);
    assert_eq!(shown.matches("got item").count(), 9, "{shown}");
    until("every control node has it", || {
        [&leads, &takes, &other].iter().all(|node| lists(node) == 1).then_some(())
    });

    // The next leader hands the rest out, though the list was never uploaded there.
    let slow = "test $WINDLASS_INDEX -lt 3 || sleep 1; echo got $WINDLASS_ITEM";
    let run = ["run", "-d", "--each-line", list, "--cpus", "2", "--", "sh", "-c", slow];
    let run = ground.json(&takes, &run).unwrap()["run"].as_u64().unwrap().to_string();
    leads.kill();
    let end = ground.ask(&other, &["wait", &run]);
    assert!(end.status.success(), "{}{}", text(&end.stdout), text(&end.stderr));
    let shown = text(&ground.ask(&other, &["logs", &run]).stdout);
    for n in 1..=9 {
        assert!(shown.contains(&format!("got item {n}")), "{n} lacks: {shown}");
    }
}

#[test]
fn a_list_that_no_majority_has_on_disk_is_named_by_no_job() {
    let ground = Ground::new();
    let [takes, b, c] = ground.three();
    let list = ground.path("list");
    std::fs::write(&list, "one\ntwo\n").unwrap();
    let run =
        ["run", "--each-line", list.to_str().unwrap(), "--", "sh", "-c", "echo $WINDLASS_ITEM"];
    // Nothing can be kept where the directory is none.
    let blobs = [&b, &c].map(|node| node.dir().join("blobs"));
    for dir in &blobs {
        std::fs::remove_dir_all(dir).unwrap();
        std::fs::write(dir, "").unwrap();
    }
    let refused = ground.ask(&takes, &run);
    let said = text(&refused.stderr);
    assert!(said.contains("on 1 of the 3 nodes that vote, and has to be on 2"), "{said}");
    assert_eq!(ground.json(&takes, &["ps", "--all"]).unwrap()["runs"].as_array().unwrap().len(), 0);
    std::fs::remove_file(&blobs[0]).unwrap();
    std::fs::create_dir(&blobs[0]).unwrap();
    let done = ground.ask(&takes, &run);
    assert!(done.status.success(), "two of three have it: {}", text(&done.stderr));
    assert_eq!(lists(&b), 1);
}

#[test]
fn a_control_node_that_lost_its_lists_fetches_them() {
    let ground = Ground::new();
    let a = ground.found("a");
    let b = ground.join("b", &a, "control,worker");
    let list = ground.path("list");
    std::fs::write(&list, "one\ntwo\n").unwrap();
    let list = list.to_str().unwrap();
    let run = ["run", "--each-line", list, "--", "sh", "-c", "echo got $WINDLASS_ITEM"];
    assert!(ground.ask(&b, &run).status.success());
    assert_eq!(lists(&a), 1, "the leader has fetched what it hands out");
    for entry in std::fs::read_dir(a.dir().join("blobs")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let again = text(&ground.ask(&b, &["rerun", "1"]).stdout);
    assert!(ground.ask(&b, &["wait", again.trim()]).status.success());
    let again = text(&ground.ask(&b, &["logs", again.trim()]).stdout);
    assert!(again.contains("got one") && again.contains("got two"), "{again}");
}

#[test]
fn a_control_node_that_comes_later_has_the_history_of_the_others() {
    let ground = Ground::new();
    // Its journal is cut short again and again, so that another node goes on from a snapshot.
    let words = ["up", "--peer", "127.0.0.1:0", "--checkpoint-size", "10KiB"];
    let a = ground.start("a", &words);
    let mut runs = 0;
    until("the beginning of the journal is gone", || {
        let run =
            ["run", "--name", "one", "--array", "1-40", "--", "sh", "-c", "echo $WINDLASS_INDEX"];
        assert!(ground.ask(&a, &run).status.success());
        runs += 1;
        let snapshots = std::fs::read_dir(a.dir().join("journal")).unwrap();
        let names = snapshots.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
        let whole = names.filter(|name| name.ends_with(".snapshot")).count();
        (runs > 3 && whole > 1).then_some(())
    });
    let b = ground.join("b", &a, "control");
    until("its history is there", || {
        let known = ground.json(&b, &["ps", "--all"])?;
        (known["runs"].as_array()?.len() == runs).then_some(())
    });
    let copied = ground.log("b").matches("history was copied from another node").count();
    assert_eq!(copied, 1, "{}", ground.log("b"));
    let [ours, theirs] = [&b, &a].map(|node| text(&ground.ask(node, &["audit"]).stdout));
    assert_eq!(ours, theirs);
    assert_eq!(ours.matches("submit").count(), runs);
}
