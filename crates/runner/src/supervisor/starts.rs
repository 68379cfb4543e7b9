//! From waiting to running.
//!
//! The making of a process waits for its program to be executed, so it is done outside the loop,
//! by one of the threads that share it: a program on a dead file server must not stop the killing
//! of others, nor keep its own attempt from being stopped.

use std::sync::Arc;

use model::{Attempt, Ending, NotStarted, Outcome, StopCause};
use proto::supervisor::{Started, from_supervisor::Kind};
use rustix::process::{Pid as KernelPid, Signal, kill_process};

use super::clock;
use super::held::{State, Work};
use super::kernel::Kernel;
use super::procedure::Procedure;
use super::refusals::{reason, refused};
use super::running::{MainEnd, Running};
use super::starting::Made;
use crate::containment::{Tree, has_executed};
use crate::spawn::{Failure, Spawned, Spawner, Start};

/// How long an attempt has to end before its pipes are watched and its start is said; until then
/// the pipes fill. Most short tasks are spared five calls and three wakings by it.
const YOUNG_US: u64 = 2_000;
/// How long a start that is to be stopped may still take: nearly all are over by then, and are
/// stopped with the grace their task asked for.
const STOPPED_START_US: u64 = 1_000_000;
/// Attempts without a process that are dealt with before others have their turn.
const NOOPS_PER_TURN: usize = 256;

/// An attempt whose process is to be made.
pub(super) struct Job {
    start: Arc<Start>,
    work: Arc<Work>,
    tree: Tree,
    number: u64,
    started_us: u64,
    made_at: u64,
}

impl Job {
    /// Makes the process. Waits for its program.
    pub(super) fn spawn(&self, spawner: &mut Spawner) -> Result<Spawned, Failure> {
        spawner.spawn(&self.work.image, &self.start, self.tree.entry())
    }
}

impl Kernel {
    /// The next to start, if there is room and a thread for it.
    pub(super) fn next_start(&mut self) -> Option<Job> {
        // Whoever is late, this thread or the daemon, starts nothing after the lease.
        self.keep_lease(clock::boot_us());
        self.more_noops = false;
        let mut noops = 0;
        // Beyond this there would be no descriptors for another, or no thread left for the loop.
        while self.running.len() < self.running_max && self.starting.len() < self.makers() {
            let attempt = self.slots.start_next()?;
            let Some(State::Waits { work, item }) = self.held.get_mut(&attempt) else {
                debug_assert!(false, "only what waits is started");
                self.slots.leave(attempt);
                continue;
            };
            let (work, item) = (Arc::clone(work), item.take());
            if work.noop {
                self.end_noop(attempt);
                noops += 1;
                if noops == NOOPS_PER_TURN {
                    self.more_noops = true;
                    return None;
                }
                continue;
            }
            match self.containment().take() {
                Ok(tree) => return Some(self.begin_start(Start::new(attempt, item), work, tree)),
                Err(error) => {
                    let why = format!("cannot make a cgroup for it: {error}");
                    self.never_started(attempt, refused(why, &error));
                }
            }
        }
        None
    }

    fn begin_start(&mut self, start: Start, work: Arc<Work>, tree: Tree) -> Job {
        let (started_us, made_at) = (clock::unix_us(), clock::boot_us());
        let start = Arc::new(start);
        let until = work.start_timeout_us.map(|timeout| made_at.saturating_add(timeout));
        let number = self.starting.begin(Arc::clone(&start), made_at, until);
        self.held.insert(start.attempt(), State::Starts(None));
        Job { start, work, tree, number, started_us, made_at }
    }

    /// An attempt without a process has its seat, and has succeeded.
    fn end_noop(&mut self, attempt: Attempt) {
        let now = clock::unix_us();
        let done = Outcome::bare(Ending::Exited { code: 0 });
        self.end(attempt, Outcome { started_us: now, ended_us: now, ..done });
    }

    /// Kills the starts that have taken too long; their threads take them into the loop.
    pub(super) fn end_slow_starts(&mut self, now: u64) {
        let due = self.starting.due(now, has_executed);
        for (attempt, pid) in due {
            if let Some(State::Starts(stop)) = self.held.get_mut(&attempt) {
                stop.get_or_insert(StopCause::Timeout);
            }
            // By its number: it has no children yet, and nobody but this loop reaps it.
            if let Some(pid) = pid.and_then(KernelPid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        if self.starting.overdue(now).next().is_some() {
            self.set_degraded();
        }
    }

    /// Asks for the end of an attempt whose process is being made; the first who asks is named.
    pub(super) fn stop_start(&mut self, attempt: Attempt, cause: StopCause) {
        if let Some(State::Starts(stop)) = self.held.get_mut(&attempt) {
            stop.get_or_insert(cause);
            self.starting.hasten(attempt, clock::boot_us() + STOPPED_START_US);
        }
    }

    /// Takes a made process, or the failure to make one, into the loop.
    pub(super) fn take_started(&mut self, job: Job, made: Result<Spawned, Failure>) {
        let pid = match &made {
            Ok(spawned) => Some(spawned.pid),
            Err(failure) => failure.pid,
        };
        let Made { reaped, killed } = self.starting.end(job.number, pid);
        let Job { start, work, mut tree, started_us, made_at, .. } = job;
        let attempt = start.attempt();
        let stop = match self.held.get(&attempt) {
            Some(State::Starts(stop)) => *stop,
            _ => None,
        };
        let (main, pipes, failed) = match made {
            // Killed before it was known to be executed: what it may have written is nobody's.
            Ok(Spawned { pid, .. }) if killed => (pid, [None, None], Some(too_slow(&work, stop))),
            Ok(Spawned { pid, stdout, stderr }) => (pid, [Some(stdout), Some(stderr)], None),
            Err(failure @ Failure { pid: None, .. }) => {
                self.containment().put_back(tree);
                return match stop {
                    Some(cause) => self.withdraw(attempt, cause),
                    None => self.never_started(attempt, reason(&work, &failure)),
                };
            }
            Err(failure @ Failure { pid: Some(pid), .. }) => {
                (pid, [None, None], Some(reason(&work, &failure)))
            }
        };
        tree.begun(attempt, main);
        let ran = failed.is_none();
        let number = self.running.next_number();
        let now = clock::boot_us();
        let timeout_at = work.timeout_us.map(|timeout| now.saturating_add(timeout));
        let warn = work.warn.zip(timeout_at);
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
            warn_at: warn.map(|(warn, at)| at.saturating_sub(warn.before_us).max(now)),
            warn_signal: warn.map_or(0, |(warn, _)| warn.signal),
            pipes_until: None,
            wake_at: None,
            overdue: false,
            tree_broken: false,
        });
        self.by_pid.insert(main, place);
        self.held.insert(attempt, State::Runs(place));
        if ran {
            self.young.push_back((made_at + YOUNG_US, place, number));
            let pid = main.unsigned_abs();
            self.say(Kind::Started(Started { attempt: Some(attempt.into()), started_us, pid }));
        }
        self.begin_running(place, reaped.map(|reaped| MainEnd { reaped: Some(reaped) }), stop);
        if killed {
            self.set_degraded();
        }
    }

    /// What there is to do for an attempt that was just taken in.
    fn begin_running(&mut self, place: usize, end: Option<MainEnd>, stop: Option<StopCause>) {
        let Some(running) = self.running.get(place) else { return };
        let (main, wake) = (running.main, running.next_clock());
        self.set_wake(place, wake);
        if let Some(cause) = stop {
            self.stop(place, cause);
            if cause == StopCause::Lease && self.lease.kills() {
                self.hurry(place, clock::boot_us());
            }
        }
        match end {
            Some(end) => {
                self.by_pid.remove(&main);
                self.main_ended(place, end);
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
}

/// Why there is no program where its start was cut short.
fn too_slow(work: &Work, stop: Option<StopCause>) -> NotStarted {
    match (stop, work.start_timeout_us) {
        (Some(StopCause::Timeout), Some(timeout_us)) => NotStarted::Refused(format!(
            "`{}` was not executed within {} ms: is it on a file server that does not answer?",
            work.image.program(),
            timeout_us / 1000,
        )),
        _ => NotStarted::Withdrawn,
    }
}
