//! The disk is full, or fails. A full one refuses submits while all else goes on; one that fails ends
//! the node, with the reason, and it never answers from what it remembers. Tasks go on, and nothing
//! acknowledged is lost.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use proto::api::ListRunsRequest;
use tonic::Status;

use crate::caller::{Caller, Rpc};
use crate::ground::{Ground, job, task};
use crate::mount::Mount;
use crate::node::{Home, runs};
use crate::patience::until;
use crate::victim::Victim;

/// Two segments of the journal, and room to work.
const DISK_MIB: u32 = 320;

#[test]
fn a_full_disk_refuses_submits_and_what_was_accepted_goes_on() {
    let ground = Ground::new();
    let home = Home::new();
    let disk = Mount::small(&home.path().join("data"), DISK_MIB);
    let mut victim = Victim::at(home);
    let caller = victim.caller();
    let tasks = Tasks::start(&ground, &victim, &caller);
    let mut acknowledged: Vec<u64> = (0..20).map(|_| caller.submit(&waits(), "")).collect();
    let filler = disk.fill();

    let submit = || {
        caller.once(|mut rpc: Rpc| {
            let request = proto::api::SubmitRequest { job: Some(waits()), ..Default::default() };
            async move { rpc.submit(request).await }
        })
    };
    let refused = submit().unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted, "{refused:?}");
    assert!(refused.message().contains("nearly full: free some space"), "{refused:?}");
    let tells = |key: &str| refused.metadata().get(key).map(|value| value.to_str().unwrap());
    assert_eq!(tells("windlass-status"), Some("507"));
    assert!(tells("retry-after").is_some_and(|after| after.parse::<u64>().unwrap() > 0));
    // What runs ends and is told, reads are answered, and the daemon lives.
    tasks.go_on(&ground);
    tasks.the_one_has_ended(&caller);
    all_is_there(&caller, &acknowledged);

    std::fs::remove_file(filler).unwrap();
    let mut taken = None;
    until("it takes work again", || {
        taken = submit().ok();
        taken.is_some()
    });
    acknowledged.extend(taken.map(|taken| taken.into_inner().run));
    victim.kill();
    victim.start();
    victim.ready();
    all_is_there(&caller, &acknowledged);
    tasks.were_adopted(&caller);
    let home = victim.down();
    drop(disk);
    drop(home);
}

/// A job that finds no room beside the tasks.
fn waits() -> proto::job::Job {
    let mut waits = job(&["true"]);
    task(&mut waits).resources.as_mut().unwrap().cpu_milli = 4000;
    waits
}

#[test]
fn a_disk_that_refuses_a_write_ends_the_node_and_loses_nothing() {
    let ground = Ground::new();
    let mut victim = Victim::new();
    let caller = victim.caller();
    let tasks = Tasks::start(&ground, &victim, &caller);

    // From now on no file of the daemon takes a byte.
    let pid = victim.daemon().to_string();
    let limit = || {
        let limited = Command::new("prlimit").args(["--pid", &pid, "--fsize=0"]).status();
        let limited = limited.expect("`prlimit` is not there: install util-linux");
        assert!(limited.success(), "this test sets limits of another process: run it as root");
    };
    let submits = AtomicU64::new(0);
    let acknowledged = submit_until_it_fails(&victim, &caller, |caller| {
        if submits.fetch_add(1, Ordering::Relaxed) == 20 {
            limit();
        }
        let queued = waits();
        Ok(caller.once(|mut rpc: Rpc| {
            let request = proto::api::SubmitRequest { job: Some(queued), ..Default::default() };
            async move { rpc.submit(request).await }
        })?)
    });
    assert_eq!(acknowledged.len(), 20);
    assert_eq!(victim.ended_by_itself(), Some(1));
    let log = victim.log();
    assert!(log.contains("error: the node cannot go on: cannot write"), "{log}");
    assert!(log.contains("does not write again after a failed write"), "{log}");
    tasks.go_on(&ground);

    victim.start();
    victim.ready();
    all_is_there(&caller, &acknowledged);
    tasks.were_adopted(&caller);
    victim.down();
}

/// Submits until a submit fails, while another caller reads all the time: whatever it is shown
/// has everything that was acknowledged before it asked, and after its first refusal it is shown
/// nothing more.
fn submit_until_it_fails(
    victim: &Victim,
    caller: &Caller,
    submit: impl Fn(&Caller) -> Result<tonic::Response<proto::api::SubmitResponse>, Box<Status>>,
) -> Vec<u64> {
    let (last, over) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let reader = victim.caller();
        let (last, over) = (&last, &over);
        let read = scope.spawn(move || {
            let mut answers = 0;
            loop {
                let ending = over.load(Ordering::SeqCst);
                let known = last.load(Ordering::SeqCst);
                match latest(&reader) {
                    Ok(shown) => {
                        assert!(shown >= known, "run {known} was acknowledged, {shown} is shown");
                        answers += 1;
                    }
                    Err(status) => {
                        // It may be a moment before the process has ended; still no answer.
                        for _ in 0..50 {
                            let again = latest(&reader);
                            assert!(again.is_err(), "answered {again:?} after {status:?}");
                        }
                        return answers;
                    }
                }
                assert!(!ending, "a node whose journal has failed answers");
            }
        });
        let mut acknowledged = Vec::new();
        let failed = loop {
            match submit(caller) {
                Ok(answer) => {
                    let run = answer.into_inner().run;
                    last.store(run, Ordering::SeqCst);
                    acknowledged.push(run);
                }
                Err(status) => break status,
            }
            assert!(acknowledged.len() < 1000, "the disk takes everything");
        };
        assert!(
            latest(caller).is_err(),
            "a node whose journal has failed answers, though a submit had {failed:?}"
        );
        over.store(true, Ordering::SeqCst);
        assert!(read.join().unwrap() > 0, "nothing was ever read");
        acknowledged
    })
}

/// The highest run that is shown.
fn latest(caller: &Caller) -> Result<u64, Box<Status>> {
    let request = ListRunsRequest { all: true, limit: 1, ..Default::default() };
    let shown = caller.once(|mut rpc: Rpc| async move { rpc.list_runs(request).await })?;
    Ok(shown.into_inner().runs.first().map_or(0, |run| run.run))
}

fn all_is_there(caller: &Caller, acknowledged: &[u64]) {
    let shown: Vec<u64> = caller.live().iter().map(|run| run.run).collect();
    let missing: Vec<_> = acknowledged.iter().filter(|run| !shown.contains(run)).collect();
    assert!(missing.is_empty(), "acknowledged and gone: {missing:?}");
}

/// Two tasks that run while the node fails: one ends before the next `up`, the other does not.
struct Tasks {
    ends: u64,
    stays: u64,
    pid: u64,
}

impl Tasks {
    fn start(ground: &Ground, victim: &Victim, caller: &Caller) -> Tasks {
        let ends = caller.submit(&ground.gated("echo late; exit 3"), "");
        let stays = caller.submit(&ground.job(1, 600.0, "0"), "");
        caller.until_state(ends, "running");
        caller.until_state(stays, "running");
        until("both have started", || {
            let known = ground.truth().contains_key(&(stays, 0));
            known && crate::left::task_processes(victim.node).len() >= 3
        });
        Tasks { ends, stays, pid: ground.truth()[&(stays, 0)][0].pid }
    }

    /// Without a node.
    fn go_on(&self, ground: &Ground) {
        assert!(runs(self.pid), "a task died with the node");
        ground.open_gate();
    }

    fn the_one_has_ended(&self, caller: &Caller) {
        let end = caller.end(self.ends);
        assert_eq!((end.exit_code, end.summary.as_str()), (3, "failed: exit code 3"));
    }

    fn were_adopted(&self, caller: &Caller) {
        self.the_one_has_ended(caller);
        assert_eq!(caller.run(self.ends).elements[0].attempts.len(), 1);
        let output = caller.output(self.ends);
        assert!(
            output.iter().any(|chunk| chunk.data == b"late\n" || chunk.stream == 3),
            "its output is there, or a mark that it is not: {output:?}"
        );
        let shown = caller.until_state(self.stays, "running");
        assert_eq!(shown.elements[0].attempts.len(), 1);
        assert!(runs(self.pid), "it is the same process");
    }
}
