//! What one attempt finds, and what is said of its end.

use std::fs;

use model::{Ending, NotStarted, Outcome, StopCause};
use proto::job::Variable;
use proto::supervisor::Withdraw;
use proto::supervisor::to_supervisor::Kind as Ask;

use super::support::*;

fn exited(outcome: &Outcome) -> i32 {
    match outcome.ending {
        Ending::Exited { code } => code,
        ref other => panic!("{other:?}"),
    }
}

#[test]
fn an_attempt_ends_with_its_code_or_signal_and_what_it_used() {
    let mut node = Node::new();
    let outcome = node.run(&shell("i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; exit 3"), 1);
    assert_eq!(exited(&outcome), 3);
    assert!(outcome.cpu_us > 1000, "{outcome:?}");
    assert!(outcome.memory_peak_bytes > 100 << 10, "{outcome:?}");
    assert!(outcome.started_us > 0 && outcome.ended_us > outcome.started_us);
    assert_eq!((outcome.stopped, outcome.output_truncated), (None, false));
    assert_eq!(node.run(&shell("kill -SEGV $$"), 2).ending, Ending::Signaled { signal: 11 });
    assert_eq!(exited(&node.run(&task(&["true"]), 3)), 0);
}

/// The numbers of a signal mask in `/proc/PID/status`.
fn mask(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
}

/// A process's environment, which is empty for a moment while it executes its program.
fn environment(pid: u32) -> String {
    let mut env = String::new();
    until("it has an environment", || {
        env = fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
        !env.is_empty()
    });
    env
}

#[test]
fn a_process_finds_exactly_what_is_documented() {
    let mut node = Node::new();
    let mut spec = task(&["sleep", "1000"]);
    spec.env = vec![("GREETING".into(), "hi there".into()), ("LANG".into(), "de_DE".into())];
    let mut start = node.start_message(&spec, &[5]);
    start.env = vec![Variable { name: "WINDLASS_RUN".into(), value: "7".into() }];
    node.ask(Ask::Start(start));
    node.hear_until("it is started", |node| node.started.contains_key(&attempt(5)));
    let pid = node.started[&attempt(5)].pid;
    let proc = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();

    let env = environment(pid);
    let mut found: Vec<&str> = env.trim_end_matches('\0').split('\0').collect();
    found.sort_unstable();
    let own = runner::user::User::own();
    let mut expected = vec![
        format!("PATH={}", runner::env::PATH),
        format!("HOME={}", own.home),
        format!("USER={}", own.name),
        format!("LOGNAME={}", own.name),
        format!("SHELL={}", own.shell),
        "LANG=de_DE".to_owned(),
        "GREETING=hi there".to_owned(),
        "WINDLASS_RUN=7".to_owned(),
        format!("WINDLASS_NODE_ID={}", node.id),
        format!("WINDLASS_ELEMENT={}", attempt(5).element.uuid()),
        "WINDLASS_INDEX=5".to_owned(),
        "WINDLASS_ATTEMPT=1".to_owned(),
        "WINDLASS_FENCE=99".to_owned(),
    ];
    expected.sort_unstable();
    assert_eq!(found, expected);

    let files = || -> Vec<(String, String)> {
        let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let mut files: Vec<_> = (entries.flatten())
            .filter_map(|entry| {
                let to = fs::read_link(entry.path()).ok()?.display().to_string();
                let to = to.split(':').next()?.to_owned();
                Some((entry.file_name().to_str()?.to_owned(), to))
            })
            .collect();
        files.sort_unstable();
        files
    };
    let pairs = [("0", "/dev/null"), ("1", "pipe"), ("2", "pipe")];
    let pairs = pairs.map(|(fd, to)| (fd.to_owned(), to.to_owned()));
    // The program opens its libraries for a moment.
    until("three descriptors are all there is", || files() == pairs);

    let status = proc("status");
    assert_eq!((mask(&status, "SigBlk"), mask(&status, "SigIgn")), (0, 0));
    assert_eq!(mask(&status, "SigCgt"), 0);
    assert!(status.contains("Umask:\t0022"), "{status}");
    let stat = proc("stat");
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    assert_eq!(fields[1], node.supervisor.id().to_string(), "parent");
    assert_eq!((fields[2], fields[3]), (&*pid.to_string(), &*pid.to_string()), "group, session");
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap().to_str(), Some("/"));
    assert_eq!(proc("oom_score_adj").trim(), "0");
    let limits = proc("limits");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(files.split_whitespace().nth(3), Some("1024"), "{files}");
    node.stop(5, StopCause::Cancel);
    node.end(5);
}

#[test]
fn an_element_finds_its_item_and_only_where_there_is_one() {
    let mut node = Node::new();
    let out = node.path("out").display().to_string();
    let spec =
        shell(&format!("echo \"$WINDLASS_INDEX:${{WINDLASS_ITEM-none}}\" > {out}$WINDLASS_INDEX"));
    let mut start = node.start_message(&spec, &[1, 2, 3, 4]);
    start.items[1].text = Some(String::new());
    start.items[2].text = Some("two  words".into());
    start.items[3].text = Some("a\0b".into());
    node.ask(Ask::Start(start));
    for (index, found) in [(1, "1:none\n"), (2, "2:\n"), (3, "3:two  words\n")] {
        assert_eq!(exited(&node.end(index)), 0);
        assert_eq!(fs::read_to_string(format!("{out}{index}")).unwrap(), found);
    }
    let outcome = node.end(4);
    assert!(
        matches!(&outcome.ending, Ending::NotStarted(NotStarted::Refused(why)) if why.contains("NUL"))
    );
}

#[test]
fn the_working_directory_and_relative_programs_are_those_of_the_task() {
    let mut node = Node::new();
    let dir = node.dir.path().to_str().unwrap().to_owned();
    let script = node.path("tool");
    fs::write(&script, "#!/bin/sh\npwd > $OUT\n").unwrap();
    fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let out = node.path("out");
    let variable = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut spec = task(&["./tool"]);
    spec.cwd = dir.clone();
    spec.env = vec![variable("OUT", out.to_str().unwrap())];
    assert_eq!(exited(&node.run(&spec, 1)), 0);
    assert_eq!(fs::read_to_string(&out).unwrap().trim(), dir);
    let mut spec = task(&["tool"]);
    spec.env = vec![
        variable("OUT", out.to_str().unwrap()),
        variable("PATH", &format!("/nowhere:{dir}:/bin")),
    ];
    assert_eq!(exited(&node.run(&spec, 2)), 0);
    assert_eq!(fs::read_to_string(&out).unwrap().trim(), "/");
}

#[test]
fn what_cannot_be_started_says_why() {
    let mut node = Node::new();
    let Ending::NotStarted(NotStarted::NotFound(why)) = node.run(&task(&["no-such"]), 1).ending
    else {
        panic!("{:?}", node.ended)
    };
    assert!(why.contains("`no-such`: not in the task's PATH"), "{why}");
    let outcome = node.run(&task(&["/etc/passwd"]), 2);
    assert!(matches!(outcome.ending, Ending::NotStarted(NotStarted::NotExecutable(_))));
    assert_eq!((outcome.started_us, outcome.cpu_us), (0, 0));
    let mut spec = task(&["true"]);
    spec.cwd = "/no/such/dir".into();
    let Ending::NotStarted(NotStarted::Refused(why)) = node.run(&spec, 3).ending else {
        panic!("{:?}", node.ended)
    };
    assert!(why.contains("/no/such/dir"), "{why}");
    let mut start = node.start_message(&task(&["true"]), &[4]);
    start.run_as = "no-such-user".into();
    node.ask(Ask::Start(start));
    let Ending::NotStarted(NotStarted::Refused(why)) = node.end(4).ending else {
        panic!("{:?}", node.ended)
    };
    assert!(why.contains("no-such-user"), "{why}");
    assert!(node.started.is_empty(), "nothing was ever started");
}

#[test]
fn a_task_runs_as_the_user_it_is_told_to() {
    if !rustix::process::getuid().is_root() {
        return;
    }
    let mut node = Node::new();
    let mut start = node.start_message(&task(&["sleep", "1000"]), &[1]);
    start.run_as = "nobody".into();
    node.ask(Ask::Start(start));
    node.hear_until("it is started", |node| node.started.contains_key(&attempt(1)));
    let pid = node.started[&attempt(1)].pid;
    let nobody = runner::user::User::resolve("nobody", &runner::user::User::own()).unwrap().0;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let ids = |id: u32| format!("{id}\t{id}\t{id}\t{id}");
    assert!(status.contains(&format!("Uid:\t{}", ids(nobody.uid))), "{status}");
    assert!(status.contains(&format!("Gid:\t{}", ids(nobody.gid))), "{status}");
    assert!(status.contains(&format!("Groups:\t{} \n", nobody.gid)), "{status}");
    let env = environment(pid);
    assert!(env.contains(&format!("HOME={}\0", nobody.home)) && env.contains("USER=nobody\0"));
    node.stop(1, StopCause::Cancel);
    assert_eq!(node.end(1).stopped, Some(StopCause::Cancel));
}

#[test]
fn a_run_timeout_ends_it_as_timed_out() {
    let mut node = Node::new();
    let mut spec = task(&["sleep", "1000"]);
    spec.timeout_ms = 50;
    let outcome = node.run(&spec, 1);
    assert_eq!(outcome.stopped, Some(StopCause::Timeout));
    assert_eq!(outcome.ending, Ending::Signaled { signal: 15 });
    let took = outcome.ended_us - outcome.started_us;
    assert!(took >= 50_000, "{took} µs");
}

#[test]
fn a_stop_waits_for_the_grace_and_the_first_cause_stays() {
    let mut node = Node::new();
    let mut spec =
        shell("trap 'sleep 0.1; exit 5' TERM; touch $0.ready; while :; do sleep 0.01; done");
    spec.command.push(node.path("x").display().to_string());
    node.start(&spec, &[1]);
    let ready = node.path("x.ready");
    until("the trap is set", || ready.exists());
    node.stop(1, StopCause::Cancel);
    node.stop(1, StopCause::Timeout);
    let outcome = node.end(1);
    assert_eq!((outcome.stopped, exited(&outcome)), (Some(StopCause::Cancel), 5));
}

#[test]
fn what_waits_is_taken_back_and_what_has_started_goes_on() {
    let mut node = Node::with(None, 1000);
    node.started(&task(&["sleep", "1000"]), 1);
    node.start(&task(&["sleep", "1000"]), &[2]);
    let attempts = [1, 2, 3].map(|index| attempt(index).into()).to_vec();
    node.ask(Ask::Withdraw(Withdraw { attempts }));
    let outcome = node.end(2);
    assert_eq!(outcome.ending, Ending::NotStarted(NotStarted::Withdrawn));
    assert_eq!(outcome.stopped, Some(StopCause::Drain));
    // What came behind it was heard too.
    node.stop(1, StopCause::Drain);
    let outcome = node.end(1);
    assert_eq!(outcome.ending, Ending::Signaled { signal: 15 });
    assert_eq!(outcome.stopped, Some(StopCause::Drain));
}

#[test]
fn a_stopped_process_is_woken_to_end() {
    let mut node = Node::new();
    let pid = node.started(&shell("kill -STOP $$"), 1);
    let state = move || fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    until("it has stopped", || state().contains(") T "));
    node.stop(1, StopCause::Cancel);
    assert_eq!(node.end(1).ending, Ending::Signaled { signal: 15 });
}
