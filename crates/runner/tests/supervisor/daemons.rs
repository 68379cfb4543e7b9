//! Daemons that come and go.

use std::time::{Duration, Instant};

use model::{Ending, StopCause};
use proto::supervisor::from_supervisor::Kind as Said;

use super::support::*;

#[test]
fn a_new_daemon_hears_all_it_missed_in_order() {
    let mut node = Node::new();
    node.run(&shell("exit 9"), 1);
    let gate = node.path("gate").display().to_string();
    node.started(&shell(&format!("echo hi; while [ ! -e {gate} ]; do sleep 0.01; done")), 2);
    let heard = |node: &Node| node.said.iter().any(|said| matches!(said, Said::Output(_)));
    node.hear_until("output", heard);
    let id = node.hello.supervisor_id.clone();
    node.reconnect(4000);
    node.hear_until("the end of the first", |node| node.ended.contains_key(&attempt(1)));
    node.hear_until("output", heard);
    assert_eq!(node.hello.supervisor_id, id);
    assert_eq!((node.hello.seen_epoch, node.hello.seen_seq), (1, 2));
    assert_eq!(node.hello.held.len(), 2);
    assert!(matches!(node.said[0], Said::Hello(_)));
    assert!(matches!(&node.said[1], Said::Started(s) if s.attempt == Some(attempt(2).into())));
    let all = node.said.iter().any(|said| matches!(said, Said::Output(output) if output.all));
    assert!(all, "the extents are all there are: {:?}", node.said);
    assert_eq!(node.ended[&attempt(1)].ending, Ending::Exited { code: 9 });
    // While nobody listens it ends, and is told of afterwards.
    drop(std::fs::write(gate, ""));
    assert_eq!(node.end(2).ending, Ending::Exited { code: 0 });
    node.forget(&[1]);
    // What a daemon said before it left may be read after its follower has been welcomed; the end
    // of another attempt shows that it has been.
    node.run(&shell("exit 0"), 3);
    node.forget(&[3]);
    node.reconnect(4000);
    assert!(node.hello.held.contains(&attempt(2).into()));
    assert!(!node.hello.held.contains(&attempt(1).into()));
    node.end(2);
}

#[test]
fn the_newer_daemon_replaces_the_older() {
    let mut node = Node::new();
    let mut older = Some(runner::client::connect(node.dir.path()).unwrap());
    // The node's own connection is now the older one.
    until("the first is hung up on", || !node.hear());
    node.reconnect(4000);
    let mut byte = [0];
    until("the second is hung up on", || {
        use std::io::Read;
        matches!(older.as_mut().unwrap().read(&mut byte), Ok(0))
    });
    assert_eq!(node.run(&task(&["true"]), 1).ending, Ending::Exited { code: 0 });
}

#[test]
fn a_daemon_that_does_not_read_loses_no_end() {
    let mut node = Node::with(None, 8000);
    // Enough notices to fill any socket, were they not held back.
    let chatty = shell("i=0; while [ $i -lt 3000 ]; do echo $i; i=$((i+1)); done");
    let indices: Vec<u32> = (0..40).collect();
    node.start(&chatty, &indices);
    let done = node.path("done");
    let last = shell(&format!(": > {}", done.display()));
    node.start(&last, &[100]);
    until("all have run while nobody read", || done.exists());
    node.hear_until("all ends", |node| node.ended.len() == 41);
    assert!(node.ended.values().all(|outcome| outcome.ending == Ending::Exited { code: 0 }));
}

#[test]
fn it_leaves_by_itself_when_there_is_nothing_to_do() {
    let mut node = Node::new();
    node.run(&task(&["true"]), 1);
    let dir = node.dir.path().to_owned();
    node.hang_up();
    let begin = Instant::now();
    // It keeps what nobody has heard of for as long as it takes.
    until("it would have left", || {
        assert!(node.supervisor.try_wait().unwrap().is_none());
        begin.elapsed() > Duration::from_secs(3)
    });
    node.reconnect(4000);
    node.end(1);
    node.forget(&[1]);
    node.hang_up();
    until("it leaves", || node.supervisor.try_wait().unwrap().is_some());
    assert!(node.supervisor.wait().unwrap().success());
    assert!(!dir.join("supervisor.sock").exists());
    assert!(!node.base().unwrap().exists());
    node.strict = false;
}

#[test]
fn only_one_serves_a_directory_and_only_shutdown_or_kill_ends_it() {
    let mut node = Node::new();
    let pid = node.supervisor.id() as i32;
    for signal in
        [rustix::process::Signal::TERM, rustix::process::Signal::INT, rustix::process::Signal::HUP]
    {
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal)
            .unwrap();
    }
    let mut second = runner::client::launch(BINARY.as_ref(), node.dir.path(), node.id).unwrap();
    until("the second gives up", || second.try_wait().unwrap().is_some());
    assert!(!second.wait().unwrap().success());
    let log = std::fs::read_to_string(node.path("supervisor.log")).unwrap();
    assert!(log.contains("another supervisor"), "{log}");
    assert_eq!(node.run(&task(&["true"]), 1).ending, Ending::Exited { code: 0 });
}

#[test]
fn it_stays_small_and_keeps_no_descriptors() {
    let mut node = Node::new();
    let pid = node.supervisor.id();
    let files = || std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    node.start(&task(&["/bin/true"]), &(0..50).collect::<Vec<_>>());
    node.hear_until("all have ended", |node| node.ended.len() == 50);
    let before = files();
    node.start(&shell("sleep 0.001 & exit 1"), &(50..150).collect::<Vec<_>>());
    node.start(&task(&["no-such"]), &(150..200).collect::<Vec<_>>());
    node.hear_until("all have ended", |node| node.ended.len() == 200);
    // On a busy machine a start may take so long that another thread is started, with two of its
    // own; a descriptor for each attempt would be far more.
    assert!(files() <= before + 20, "{} descriptors, {before} before", files());
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let rss = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    let kib: u64 = rss.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kib < 12 << 10, "{kib} KiB resident");
}

#[test]
fn a_directory_with_a_long_name_is_as_good() {
    let node = Node::new();
    let deep = node.path(&"d".repeat(200));
    std::fs::create_dir(&deep).unwrap();
    let id = model::NodeId(uuid::Uuid::new_v4());
    let mut child = runner::client::launch(BINARY.as_ref(), &deep, id).unwrap();
    until("it can be reached", || runner::client::connect(&deep).is_ok());
    until("it leaves, for nobody stayed", || child.try_wait().unwrap().is_some());
}

#[test]
fn what_survives_killing_makes_the_node_degraded_until_it_is_gone() {
    // The freezer of v1 keeps a process from dying of SIGKILL, so it can play the one that is
    // stuck in the kernel.
    let freezer = std::path::Path::new("/sys/fs/cgroup/freezer");
    let mut node = Node::new();
    if node.hello.containment != "cgroup-v2" || !freezer.exists() {
        return;
    }
    let stuck = freezer.join(format!("stuck-{}", node.id));
    std::fs::create_dir(&stuck).unwrap();
    let mut spec = task(&["sleep", "1000"]);
    spec.grace_ms = 100;
    let pid = node.started(&spec, 1);
    std::fs::write(stuck.join("cgroup.procs"), pid.to_string()).unwrap();
    std::fs::write(stuck.join("freezer.state"), "FROZEN").unwrap();

    node.stop(1, StopCause::Cancel);
    let degraded = |node: &Node, wanted: bool| {
        let last = node.said.iter().rev().find_map(|said| match said {
            Said::Condition(condition) => Some(condition.degraded.clone()),
            _ => None,
        });
        last.is_some_and(|text| text.contains(&pid.to_string()) == wanted)
    };
    node.hear_until("it is degraded", |node| degraded(node, true));
    assert!(!node.ended.contains_key(&attempt(1)), "it has not ended before it is gone");
    std::fs::write(stuck.join("freezer.state"), "THAWED").unwrap();
    assert_eq!(node.end(1).stopped, Some(StopCause::Cancel));
    node.hear_until("it is well again", |node| degraded(node, false));
    until("the stuck cgroup is empty", || std::fs::remove_dir(&stuck).is_ok());
}
