//! Nodes that leave: drained, so that another one votes and leads in their place, and removed.

use serde_json::Value;

use crate::ground::{Ground, Node, text, until};

/// What `cluster status` says of a member, as one of the others knows it.
fn member(ground: &Ground, asked: &Node, name: &str) -> Option<Value> {
    let cluster = ground.json(asked, &["cluster", "status"])?;
    let members = cluster["members"].as_array()?.clone();
    members.into_iter().find(|member| member["name"] == name)
}

#[test]
fn a_node_that_leaves_gives_its_vote_away_and_is_believed_no_more() {
    let ground = Ground::new();
    let [mut leaves, stays, other] = ground.three();
    let spare = ground.join("spare", &stays, "control");
    let name = leaves.name;

    let drained = ground.ask(&leaves, &["node", "drain", name, "--reason", "new disk"]);
    assert!(drained.status.success(), "{}", text(&drained.stderr));
    let heir = until("another one leads, and the spare one votes", || {
        let gone = member(&ground, &stays, name)?;
        let votes = member(&ground, &stays, "spare")?["vote"] == "voter";
        let leader = ground.leader(&stays, 3);
        (gone["vote"] == "learner" && votes && leader != name).then_some(leader)
    });
    let shown = ground
        .ask(&spare, &["run", "--array", "1-4", "--", "sh", "-c", "echo $WINDLASS_NODE_NAME"]);
    assert_eq!(text(&shown.stdout).lines().count(), 4, "{}", text(&shown.stderr));
    assert!(!text(&shown.stdout).lines().any(|line| line == name), "{name} takes no work");

    let refused = ground.ask(&stays, &["node", "rm", name]);
    assert!(text(&refused.stderr).contains("it is connected, so it lives"), "{refused:?}");
    leaves.end();
    until("it is removed once it is lost", || {
        ground.ask(&other, &["node", "rm", name]).status.success().then_some(())
    });
    assert_eq!(member(&ground, &stays, name), None);
    assert!(ground.leader(&stays, 3) == heir, "nobody else was disturbed");

    // It comes back with the certificate it has, and nobody takes it for a node of the cluster.
    let said = leaves.starts_in_vain(&ground);
    assert!(said.contains("was removed from the cluster"), "{said}");
}

#[test]
fn a_control_node_that_is_gone_is_removed_and_one_that_answers_is_not() {
    let ground = Ground::new();
    let a = ground.found("a");
    let mut b = ground.join("b", &a, "control");
    let refused = ground.ask(&a, &["cluster", "remove", "b"]);
    assert!(text(&refused.stderr).contains("its journal is heard of, so it lives"), "{refused:?}");
    b.kill();
    until("it is removed once it is silent", || {
        ground.ask(&a, &["cluster", "remove", "b"]).status.success().then_some(())
    });
    assert_eq!(member(&ground, &a, "b"), None);
    let audit = text(&ground.ask(&a, &["audit"]).stdout);
    assert!(audit.contains("remove-node"), "{audit}");
}

#[test]
fn a_worker_that_was_away_beyond_its_certificate_is_told_how_it_comes_back() {
    let ground = Ground::new();
    let a = ground.start("a", &["up", "--peer", "127.0.0.1:0", "--certificate-life", "6s"]);
    let mut w = ground.join("w", &a, "worker");
    w.end();
    let ended = std::time::Instant::now();
    until("its certificate has expired", || (ended.elapsed().as_secs() > 6).then_some(()));
    let said = w.starts_in_vain(&ground);
    assert!(said.contains("expired") && said.contains("windlass node rm"), "{said}");
    until("it is forgotten once it is lost", || {
        ground.ask(&a, &["node", "rm", "w"]).status.success().then_some(())
    });
    std::fs::remove_dir_all(w.dir()).unwrap();
    let again = ground.join("w", &a, "worker");
    assert_ne!(again.ready["node_id"], w.ready["node_id"]);
}

#[test]
fn a_control_node_that_was_away_beyond_its_certificate_comes_back_by_the_words_it_joined_with() {
    let ground = Ground::new();
    let a = ground.start("a", &["up", "--peer", "127.0.0.1:0", "--certificate-life", "6s"]);
    let token = ground.token(&a, &["--roles", "control"]);
    let peer = a.ready["peer"].as_str().unwrap();
    let words = ["join", peer, "--token", &token, "--peer", "127.0.0.1:0"];
    let mut b = ground.start("b", &words);
    b.end();
    let ended = std::time::Instant::now();
    until("its certificate has expired", || (ended.elapsed().as_secs() > 6).then_some(()));
    let again = ground.start("b", &words);
    assert_eq!(again.ready["node_id"], b.ready["node_id"]);
    assert!(ground.ask(&again, &["run", "--", "true"]).status.success());
}

#[test]
fn a_worker_that_lives_is_cut_off_and_what_it_ran_starts_elsewhere_when_that_has_ended() {
    let ground = Ground::new();
    let a = ground.found("a");
    let w = ground.join("w", &a, "worker");
    let script = "pid=$0.$WINDLASS_INDEX
        if test $WINDLASS_NODE_NAME = w; then echo $$ > $pid; exec sleep 600; fi
        if ! test -e $pid; then exec sleep 2; fi
        ! kill -0 $(cat $pid) && echo again";
    let file = ground.path("pid");
    let file = file.to_str().unwrap();
    let words = ["run", "-d", "--array", "1-4", "--cpus", "1", "--", "sh", "-c", script, file];
    let run = ground.ask(&a, &words);
    assert!(run.status.success(), "{}", text(&run.stderr));
    let run = text(&run.stdout);
    let run = run.trim();
    let there = |index: &u32| ground.path(&format!("pid.{index}")).exists();
    until("two are on the worker", || ((1..=4).filter(there).count() == 2).then_some(()));

    let refused = ground.ask(&a, &["node", "rm", "w"]);
    assert!(text(&refused.stderr).contains("it is connected, so it lives"), "{refused:?}");
    let removed = ground.ask(&a, &["node", "rm", "w", "--force", "-y", "--reason", "taken over"]);
    assert!(removed.status.success(), "{}", text(&removed.stderr));
    assert_eq!(member(&ground, &a, "w"), None);
    until("its daemon has heard it", || {
        ground.log(w.name).contains("was removed from the cluster").then_some(())
    });
    let waited = ground.ask(&a, &["wait", run]);
    assert!(waited.status.success(), "{}", text(&waited.stderr));
    let said = text(&ground.ask(&a, &["logs", run]).stdout);
    assert_eq!(said.matches("again").count(), 2, "each once, when the first had ended: {said}");
    let audit = text(&ground.ask(&a, &["audit"]).stdout);
    assert!(audit.contains("cut-off-node"), "{audit}");
}
