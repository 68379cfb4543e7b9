//! The supervisor is killed: its tasks live on, and the next supervisor ends them before it is
//! found.

use model::NodeId;
use runner::containment::Kind;
use runner::containment::predecessor::{Predecessor, RECORD};

use super::support::*;

fn check(kind: Kind) {
    let mut node = Node::with(Some(kind), 8000);
    let ready = |index: u32| format!("ready{index}");
    let script = "trap '' TERM HUP; ( setsid sh -c ': > FILE; while :; do sleep 1000; done' & ); \
                  while :; do sleep 1000; done";
    for index in 0..4 {
        let file = node.path(&ready(index));
        node.started(&shell(&script.replace("FILE", file.to_str().unwrap())), index);
        until("it is ready", || file.exists());
    }
    let mark = format!("WINDLASS_NODE_ID={}", node.id);
    assert!(marked(&mark).len() >= 12, "four of at least three processes");
    let pids: Vec<u32> = node.started.values().map(|started| started.pid).collect();
    let old = node.hello.supervisor_id.clone();
    node.supervisor.kill().unwrap();
    node.supervisor.wait().unwrap();
    assert!(pids.iter().all(|pid| lives(*pid)), "orphans live on");
    node.launch_again();
    until("a supervisor listens", || runner::client::connect(node.dir.path()).is_ok());
    // It listens, so all must be gone by now.
    assert_eq!(marked(&mark), Vec::<u32>::new());
    assert!(!pids.iter().any(|pid| lives(*pid)));
    node.reconnect(4000);
    assert_ne!(node.hello.supervisor_id, old);
    assert_eq!((node.hello.seen_epoch, node.hello.held.len()), (0, 0));
    node.run(&task(&["true"]), 9);
}

#[test]
fn orphans_of_cgroup_v2_are_gone_before_the_next_listens() {
    check(Kind::V2);
}

#[test]
fn orphans_of_cgroup_v1_are_gone_before_the_next_listens() {
    check(Kind::V1);
}

#[test]
fn orphans_without_cgroups_are_gone_before_the_next_listens() {
    check(Kind::Weak);
}

/// Killed in the midst of starting, again and again: no child slips through on its way into its
/// containment.
fn check_killed_while_starting(kind: Kind, count: u32) {
    let mut node = Node::with(Some(kind), u64::from(count) * 1000);
    let mark = format!("WINDLASS_NODE_ID={}", node.id);
    let indices: Vec<u32> = (0..count).collect();
    for started in [1, 3, 7, 12, 20] {
        node.start(&task(&["sleep", "1000"]), &indices);
        node.hear_until("some are started", |node| node.started.len() >= started);
        node.supervisor.kill().unwrap();
        node.supervisor.wait().unwrap();
        node.launch_again();
        node.reconnect(u64::from(count) * 1000);
        assert_eq!(marked(&mark), Vec::<u32>::new(), "{kind}, {started} had started");
    }
}

#[test]
fn none_slips_into_a_cgroup_v2_as_the_supervisor_dies() {
    check_killed_while_starting(Kind::V2, 150);
}

#[test]
fn none_slips_into_a_cgroup_v1_as_the_supervisor_dies() {
    check_killed_while_starting(Kind::V1, 150);
}

#[test]
fn none_slips_through_without_cgroups_as_the_supervisor_dies() {
    check_killed_while_starting(Kind::Weak, 40);
}

#[test]
fn one_that_hangs_before_its_program_keeps_no_supervisor_out() {
    for kind in Kind::ALL {
        let mut node = Node::with(Some(kind), 4000);
        let Some(hanging) = Hanging::new(&node, "hangs") else { return };
        node.start(&hanging.task(), &[1]);
        until("it hangs", || hanging.lease.is_asked_for());
        node.supervisor.kill().unwrap();
        node.supervisor.wait().unwrap();
        node.launch_again();
        node.reconnect(4000);
        assert!(hanging.lease.is_asked_for(), "{kind}");
        assert_eq!(node.hello.held.len(), 0);
        drop(hanging);
        node.run(&task(&["true"]), 9);
    }
}

#[test]
fn a_record_of_another_start_of_the_machine_means_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = dir.path().join("elsewhere");
    std::fs::create_dir(&elsewhere).unwrap();
    let record = format!("another-boot\ncgroup-v2 {}\nweak \n", elsewhere.display());
    std::fs::write(dir.path().join(RECORD), record).unwrap();
    let predecessor = Predecessor::read(dir.path(), NodeId(uuid::Uuid::new_v4()));
    assert_eq!(predecessor.kill().unwrap(), Vec::<i32>::new());
    assert!(elsewhere.exists());
}
