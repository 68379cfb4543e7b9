//! Starts that are refused for a lack that passes, made for real, and told apart from the others.

use model::{Ending, NotStarted, Outcome, StopCause};
use proto::supervisor::to_supervisor::Kind as Ask;
use rustix::process::{Pid, Resource, Rlimit, prlimit};

use super::support::*;

/// Sets the supervisor's soft limit; `None` for as much as it may have.
fn limit(node: &Node, resource: Resource, soft: Option<u64>) {
    let pid = node.supervisor.id();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let name = match resource {
        Resource::Nofile => "Max open files",
        _ => "Max processes",
    };
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    let maximum = line.split_whitespace().nth(1).unwrap().parse().ok();
    let limit = Rlimit { current: soft.or(maximum), maximum };
    prlimit(Pid::from_raw(pid as i32), resource, limit).unwrap();
}

fn transient(outcome: &Outcome) -> &str {
    assert!(outcome.is_transient(), "{outcome:?}");
    match &outcome.ending {
        Ending::NotStarted(NotStarted::Transient(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn no_descriptors_left_is_a_lack_that_passes() {
    let mut node = Node::new();
    node.run(&task(&["true"]), 1);
    limit(&node, Resource::Nofile, Some(4));
    let outcome = node.run(&task(&["true"]), 2);
    assert!(transient(&outcome).contains("Too many open files"), "{outcome:?}");
    limit(&node, Resource::Nofile, None);
    assert_eq!(node.run(&task(&["true"]), 3).ending, Ending::Exited { code: 0 });
}

#[test]
fn too_many_processes_of_a_user_is_a_lack_that_passes() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let mut node = Node::new();
    let start = |node: &mut Node, index| {
        let mut start = node.start_message(&task(&["sleep", "1000"]), &[index]);
        start.run_as = "nobody".into();
        node.ask(Ask::Start(start));
    };
    start(&mut node, 1);
    node.hear_until("it is started", |node| node.started.contains_key(&attempt(1)));
    limit(&node, Resource::Nproc, Some(0));
    start(&mut node, 2);
    let outcome = node.end(2);
    assert!(transient(&outcome).contains("Resource temporarily unavailable"), "{outcome:?}");
    limit(&node, Resource::Nproc, None);
    start(&mut node, 3);
    node.hear_until("it is started", |node| node.started.contains_key(&attempt(3)));
    for index in [1, 3] {
        node.stop(index, StopCause::Cancel);
        assert_eq!(node.end(index).stopped, Some(StopCause::Cancel));
    }
}

#[test]
fn a_program_that_is_being_written_is_a_lack_that_passes() {
    let mut node = Node::new();
    let program = node.path("program");
    std::fs::copy("/bin/true", &program).unwrap();
    let written = std::fs::File::options().write(true).open(&program).unwrap();
    let spec = task(&[program.to_str().unwrap()]);
    let outcome = node.run(&spec, 1);
    assert!(transient(&outcome).contains("Text file busy"), "{outcome:?}");
    drop(written);
    assert_eq!(node.run(&spec, 2).ending, Ending::Exited { code: 0 });
}

#[test]
fn what_no_time_mends_is_refused_for_good() {
    let mut node = Node::new();
    let mut spec = task(&["true"]);
    spec.cwd = "/no/such/dir".into();
    let mut arguments = task(&["true"]);
    arguments.command.push("x".repeat(1 << 20));
    for (spec, index) in [(spec, 1), (arguments, 2), (task(&["no-such"]), 3)] {
        let outcome = node.run(&spec, index);
        assert!(matches!(outcome.ending, Ending::NotStarted(_)), "{outcome:?}");
        assert!(!outcome.is_transient(), "{outcome:?}");
    }
}
