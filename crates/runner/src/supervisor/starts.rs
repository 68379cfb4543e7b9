//! From waiting to running.

use std::rc::Rc;

use model::{Attempt, Ending, NotStarted, Outcome};
use proto::supervisor::{Started, from_supervisor::Kind};

use super::held::{State, Work};
use super::kernel::Kernel;
use super::procedure::Procedure;
use super::running::Running;
use super::{clock, log};
use crate::spawn::{Failure, Spawned, Step};

/// How many are started before others have their turn.
const STARTS_PER_TURN: usize = 8;

impl Kernel {
    /// Starts those that there is room for, in their order.
    pub(super) fn start_waiting(&mut self) {
        for _ in 0..STARTS_PER_TURN {
            // Beyond this there would be no descriptors for another.
            if self.running.len() >= self.running_max {
                return;
            }
            let Some(attempt) = self.slots.start_next() else { return };
            self.start(attempt);
        }
        self.busy = true;
    }

    fn start(&mut self, attempt: Attempt) {
        let Some(State::Waits(work)) = self.held.get(&attempt) else {
            debug_assert!(false, "only what waits is started");
            self.slots.leave(attempt);
            return;
        };
        let work = Rc::clone(work);
        let mut tree = match self.containment().take() {
            Ok(tree) => tree,
            Err(error) => {
                let why = format!("cannot make a cgroup for it: {error}");
                return self.never_started(attempt, NotStarted::Refused(why));
            }
        };
        let made_at = clock::boot_us();
        let started_us = clock::unix_us();
        let (main, pipes, failed) = match self.spawner.spawn(&work.image, attempt, tree.entry()) {
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
        self.held.insert(attempt, State::Runs(place));
        if ran {
            self.watch_pipes(place);
            let pid = main.unsigned_abs();
            self.say(Kind::Started(Started { attempt: Some(attempt.into()), started_us, pid }));
        }
        self.set_wake(place, timeout_at);
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
        self.writer.end(attempt, outcome);
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
