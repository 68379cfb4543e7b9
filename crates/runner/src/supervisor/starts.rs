//! From waiting to running.
//!
//! The making of a process waits for its program to be executed, so it is done outside the loop,
//! by one of the threads that share it: a program on a dead file server must not stop the killing
//! of others.

use std::sync::Arc;

use model::{Attempt, Ending, NotStarted, Outcome};
use proto::supervisor::{Started, from_supervisor::Kind};

use super::held::{State, Work};
use super::kernel::Kernel;
use super::procedure::Procedure;
use super::running::{MainEnd, Running};
use super::{clock, log};
use crate::containment::Tree;
use crate::spawn::{Failure, Spawned, Spawner, Step};

/// How long an attempt has to end before its pipes are watched and its start is said; until then
/// the pipes fill. Most short tasks are spared five calls and three wakings by it.
const YOUNG_US: u64 = 2_000;
/// From this many waiting attempts on, there is a crowd.
const CROWD: usize = 16;
/// How long an end waits for others in a crowd, in microseconds.
const CROWD_US: u64 = 5_000;

/// An attempt whose process is to be made.
pub(super) struct Job {
    attempt: Attempt,
    work: Arc<Work>,
    tree: Tree,
    number: u64,
    started_us: u64,
    made_at: u64,
}

impl Job {
    /// Makes the process. Waits for its program.
    pub(super) fn spawn(&self, spawner: &mut Spawner) -> Result<Spawned, Failure> {
        spawner.spawn(&self.work.image, self.attempt, self.tree.entry())
    }
}

impl Kernel {
    /// The next to start, if there is room and a thread for it.
    pub(super) fn next_start(&mut self) -> Option<Job> {
        // Beyond this there would be no descriptors for another, or no thread left for the loop.
        while self.running.len() < self.running_max && self.starting.len() < self.starting_max {
            let attempt = self.slots.start_next()?;
            let Some(State::Waits(work)) = self.held.get(&attempt) else {
                debug_assert!(false, "only what waits is started");
                self.slots.leave(attempt);
                continue;
            };
            let work = Arc::clone(work);
            match self.containment().take() {
                Ok(tree) => {
                    let number = self.starting.begin();
                    self.held.insert(attempt, State::Starts(None));
                    let (started_us, made_at) = (clock::unix_us(), clock::boot_us());
                    return Some(Job { attempt, work, tree, number, started_us, made_at });
                }
                Err(error) => {
                    let why = format!("cannot make a cgroup for it: {error}");
                    self.never_started(attempt, NotStarted::Refused(why));
                }
            }
        }
        None
    }

    /// Takes a made process, or the failure to make one, into the loop.
    pub(super) fn take_started(&mut self, job: Job, made: Result<Spawned, Failure>) {
        let pid = match &made {
            Ok(spawned) => Some(spawned.pid),
            Err(failure) => failure.pid,
        };
        let ended = self.starting.end(job.number, pid);
        let Job { attempt, work, mut tree, started_us, made_at, .. } = job;
        let (main, pipes, failed) = match made {
            Ok(Spawned { pid, stdout, stderr }) => (pid, [Some(stdout), Some(stderr)], None),
            Err(failure @ Failure { pid: None, .. }) => {
                self.containment().put_back(tree);
                return self.never_started(attempt, reason(&work, &failure));
            }
            Err(failure @ Failure { pid: Some(pid), .. }) => {
                (pid, [None, None], Some(reason(&work, &failure)))
            }
        };
        tree.begun(attempt, main);
        let ran = failed.is_none();
        let number = self.running.next_number();
        let timeout_at = work.timeout_us.map(|timeout| made_at.saturating_add(timeout));
        let place = self.running.insert(Running {
            attempt,
            number,
            tree,
            main,
            end: None,
            failed,
            pipes,
            watched: false,
            tree_watched: false,
            stopped: None,
            procedure: Procedure::new(work.grace_us),
            started_us,
            timeout_at,
            pipes_until: None,
            wake_at: None,
            overdue: false,
            tree_broken: false,
        });
        self.by_pid.insert(main, place);
        let stop = match self.held.insert(attempt, State::Runs(place)) {
            Some(State::Starts(stop)) => stop,
            _ => None,
        };
        if ran {
            self.young.push_back((made_at + YOUNG_US, place, number));
            let pid = main.unsigned_abs();
            self.say(Kind::Started(Started { attempt: Some(attempt.into()), started_us, pid }));
        }
        self.set_wake(place, timeout_at);
        if let Some(cause) = stop {
            self.stop(place, cause);
        }
        match ended {
            Some(reaped) => {
                self.by_pid.remove(&main);
                self.main_ended(place, MainEnd { reaped: Some(reaped) });
            }
            None => self.notice_if_ended(place),
        }
    }

    /// Watches the pipes of those that are no longer young.
    pub(super) fn grow_up(&mut self, now: u64) {
        while let Some((at, place, number)) = self.young.front().copied() {
            let there = self.running.get(place).is_some_and(|running| running.number == number);
            if there && at > now {
                return;
            }
            self.young.pop_front();
            if there {
                if !self.watch_pipes(place) {
                    // The kernel has no memory for it now; until it has, the pipes fill.
                    self.young.push_back((now + YOUNG_US, place, number));
                }
                // By now the daemon is to know that it runs.
                if let Some(link) = &mut self.link {
                    link.urgent = true;
                }
            }
        }
    }

    /// Ends an attempt of which there was no process.
    pub(super) fn never_started(&mut self, attempt: Attempt, why: NotStarted) {
        let ended_us = clock::unix_us();
        self.end(attempt, Outcome { ended_us, ..Outcome::bare(Ending::NotStarted(why)) });
    }

    /// Hands an end to the writer; it is said when it is written.
    pub(super) fn end(&mut self, attempt: Attempt, outcome: Outcome) {
        self.slots.leave(attempt);
        self.held.insert(attempt, State::Ends);
        if self.slots.waiting() < CROWD {
            self.writer.end(attempt, outcome);
            return;
        }
        // Enough waits here to keep the node busy, so nobody waits for this end: written and told
        // together with others it costs a fraction.
        self.writer.end_quietly(attempt, outcome);
        self.nudge_at.get_or_insert(clock::boot_us() + CROWD_US);
    }

    /// Has ends written that have waited for others long enough.
    pub(super) fn nudge(&mut self, now: u64) {
        if self.nudge_at.take_if(|at| *at <= now).is_some() {
            self.writer.nudge();
        }
    }
}

/// What a failure to start means.
fn reason(work: &Work, failure: &Failure) -> NotStarted {
    let program = work.image.program();
    let error = &failure.error;
    let errno = error.raw_os_error().unwrap_or(0);
    match failure.step {
        Step::Exec if [libc::ENOENT, libc::ENOTDIR].contains(&errno) => {
            let what =
                if program.contains('/') { "no such file" } else { "not in the task's PATH" };
            NotStarted::NotFound(format!("`{program}`: {what}, or its interpreter is missing"))
        }
        Step::Exec if [libc::ENOMEM, libc::EAGAIN, libc::EMFILE, libc::ENFILE].contains(&errno) => {
            NotStarted::Refused(format!("cannot execute `{program}`: {error}"))
        }
        Step::Exec => NotStarted::NotExecutable(format!("cannot execute `{program}`: {error}")),
        Step::Directory => {
            NotStarted::Refused(format!("cannot change to `{}`: {error}", work.image.cwd()))
        }
        step => {
            log::line(format_args!("cannot start `{program}` ({step:?}): {error}"));
            let what = match step {
                Step::Clone => "make a process",
                Step::Enter => "enter its cgroup",
                Step::User => "become its user",
                Step::Limits => "set its limits",
                _ => "set up its session and descriptors",
            };
            NotStarted::Refused(format!("cannot {what}: {error}"))
        }
    }
}
