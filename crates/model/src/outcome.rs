//! How an attempt ended: the facts a supervisor reports, and what they make of the element.
//!
//! An outcome says what was seen, never what it means; [`Outcome::state`] is the one place that
//! turns facts into a final state.

use crate::state::TaskState;

/// What an attempt's end looked like from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The process ended by itself, or on a signal it caught, with this code.
    Exited {
        /// 0 to 255.
        code: i32,
    },
    /// A signal ended the process.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
    /// No process ever ran.
    NotStarted(NotStarted),
    /// The process is proved gone, but nobody saw how it ended: its supervisor died, or the
    /// machine did.
    Gone,
}

/// Why no process ever ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotStarted {
    /// It was stopped while it waited for room on its node.
    Withdrawn,
    /// The command does not exist (`ENOENT`).
    NotFound(String),
    /// The command exists and cannot be executed (`EACCES`, `ENOEXEC`, …).
    NotExecutable(String),
    /// The node could not make what the process needs: working directory, user, pipes, …
    Refused(String),
    /// The node lacked something just then: processes, memory, descriptors, …
    Transient(String),
}

/// Who asked for an attempt to be stopped before it ended by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopCause {
    /// A person or a program cancelled it.
    Cancel,
    /// It ran longer than its `timeout`.
    Timeout,
    /// Its node was brought down on purpose.
    Down,
    /// Its element took longer, all in all, than its `total_timeout`.
    Deadline,
    /// Its node has not heard of a leader for as long as its lease.
    Lease,
    /// Its node is drained, and its time there is over.
    Drain,
}

/// Where an attempt's `End` frame lies in its node's output segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputRef {
    /// The segment's number.
    pub segment: u32,
    /// The frame's offset in it, in bytes.
    pub offset: u64,
}

/// The facts of an ended attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// The stop that was under way when it ended, if any.
    pub stopped: Option<StopCause>,
    /// When its process started, Unix time in microseconds; 0 where none did.
    pub started_us: u64,
    /// When it had wholly ended, Unix time in microseconds; 0 where nobody saw it.
    pub ended_us: u64,
    /// Processor time of the process and the children it waited for, in microseconds.
    pub cpu_us: u64,
    /// The greatest resident memory of any one of its processes, in bytes.
    pub memory_peak_bytes: u64,
    /// Where its output is listed; `None` where there is none.
    pub output: Option<OutputRef>,
    /// How many bytes it wrote.
    pub output_bytes: u64,
    /// How many of those were dropped: rotated away, or refused by the disk.
    pub output_dropped_bytes: u64,
    /// Whether the pipes were still held open when the wait for their end ran out.
    pub output_truncated: bool,
}

impl Outcome {
    /// What `run` and `wait` exit with for an element that was canceled before it started.
    pub const CANCELED_EXIT_CODE: i32 = 130;

    /// An outcome of which nothing but its ending is known.
    pub fn bare(ending: Ending) -> Outcome {
        Outcome {
            ending,
            stopped: None,
            started_us: 0,
            ended_us: 0,
            cpu_us: 0,
            memory_peak_bytes: 0,
            output: None,
            output_bytes: 0,
            output_dropped_bytes: 0,
            output_truncated: false,
        }
    }

    /// The final state these facts mean, or `None` where the attempt was lost and the job's
    /// `on_lost` decides. `success_codes` widens what counts as success; 0 always does.
    pub fn state(&self, success_codes: &[u8]) -> Option<TaskState> {
        match (&self.ending, self.stopped) {
            (_, Some(StopCause::Down | StopCause::Lease | StopCause::Drain))
            | (Ending::Gone, _) => None,
            (_, Some(StopCause::Timeout | StopCause::Deadline)) => Some(TaskState::TimedOut),
            (_, Some(StopCause::Cancel)) => Some(TaskState::Canceled),
            (Ending::Exited { code }, None) => {
                let widened = u8::try_from(*code).is_ok_and(|code| success_codes.contains(&code));
                let success = *code == 0 || widened;
                Some(if success { TaskState::Succeeded } else { TaskState::Failed })
            }
            (Ending::Signaled { .. }, None) => Some(TaskState::Failed),
            (Ending::NotStarted(_), None) => Some(TaskState::Dead),
        }
    }

    /// The exit code `run` and `wait` give for it, as a shell would: the task's own code, 128+n
    /// for a signal, 124 for a timeout, 127 and 126 for a command that is not there or cannot be
    /// executed; 125 where Windlass itself fell short.
    pub fn exit_code(&self) -> i32 {
        match (&self.ending, self.stopped) {
            (_, Some(StopCause::Timeout | StopCause::Deadline)) => 124,
            (Ending::Exited { code }, _) => *code,
            (Ending::Signaled { signal }, _) => 128 + signal,
            (Ending::NotStarted(NotStarted::NotFound(_)), _) => 127,
            (Ending::NotStarted(NotStarted::NotExecutable(_)), _) => 126,
            (Ending::NotStarted(_) | Ending::Gone, _) => 125,
        }
    }

    /// The exit code `run` and `wait` give for an element that ended so in `state`, which is no
    /// success: never 0, and never Windlass's own where somebody's cancel is the cause.
    pub fn failure_code(&self, state: TaskState) -> i32 {
        let withdrawn = matches!(self.ending, Ending::NotStarted(NotStarted::Withdrawn));
        if state == TaskState::TimedOut {
            return 124;
        }
        match self.exit_code() {
            0 => Outcome::CANCELED_EXIT_CODE,
            125 if withdrawn || state == TaskState::Canceled => Outcome::CANCELED_EXIT_CODE,
            code => code,
        }
    }

    /// Whether the node lacked something just then, so that the start may be tried again.
    pub fn is_transient(&self) -> bool {
        matches!(self.ending, Ending::NotStarted(NotStarted::Transient(_)))
            && self.stopped.is_none()
    }

    /// One line for people: `exit code 3`, `signal 9 (SIGKILL)`, `not found: …`.
    pub fn describe(&self) -> String {
        match &self.ending {
            Ending::Exited { code } => format!("exit code {code}"),
            Ending::Signaled { signal } => format!("signal {signal} ({})", signal_name(*signal)),
            Ending::NotStarted(NotStarted::Withdrawn) => "stopped before it started".to_owned(),
            Ending::NotStarted(
                NotStarted::NotFound(why)
                | NotStarted::NotExecutable(why)
                | NotStarted::Refused(why)
                | NotStarted::Transient(why),
            ) => why.clone(),
            Ending::Gone => "its processes are gone and nobody saw how they ended".to_owned(),
        }
    }
}

/// The name of a Linux signal, `SIG?` for one without a name.
pub fn signal_name(signal: i32) -> &'static str {
    const NAMES: [&str; 32] = [
        "SIG?",
        "SIGHUP",
        "SIGINT",
        "SIGQUIT",
        "SIGILL",
        "SIGTRAP",
        "SIGABRT",
        "SIGBUS",
        "SIGFPE",
        "SIGKILL",
        "SIGUSR1",
        "SIGSEGV",
        "SIGUSR2",
        "SIGPIPE",
        "SIGALRM",
        "SIGTERM",
        "SIGSTKFLT",
        "SIGCHLD",
        "SIGCONT",
        "SIGSTOP",
        "SIGTSTP",
        "SIGTTIN",
        "SIGTTOU",
        "SIGURG",
        "SIGXCPU",
        "SIGXFSZ",
        "SIGVTALRM",
        "SIGPROF",
        "SIGWINCH",
        "SIGIO",
        "SIGPWR",
        "SIGSYS",
    ];
    usize::try_from(signal).ok().and_then(|n| NAMES.get(n)).copied().unwrap_or("SIG?")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(ending: Ending, stopped: Option<StopCause>, state: Option<TaskState>, exit: i32) {
        let outcome = Outcome { stopped, ..Outcome::bare(ending) };
        assert_eq!((outcome.state(&[3]), outcome.exit_code()), (state, exit), "{outcome:?}");
    }

    #[test]
    fn what_took_too_long_exits_so_however_its_attempt_was_lost() {
        let gone = Outcome::bare(Ending::Gone);
        assert_eq!(gone.failure_code(TaskState::TimedOut), 124);
        assert_eq!(gone.failure_code(TaskState::Lost), 125);
    }

    #[test]
    fn a_cancel_is_no_failure_of_windlass_and_no_success() {
        let code = |ending| Outcome::bare(ending).failure_code(TaskState::Canceled);
        assert_eq!(code(Ending::NotStarted(NotStarted::Withdrawn)), 130);
        assert_eq!((code(Ending::Gone), code(Ending::Exited { code: 0 })), (130, 130));
        assert_eq!(code(Ending::Signaled { signal: 15 }), 143);
        assert_eq!(Outcome::bare(Ending::Gone).failure_code(TaskState::Lost), 125);
    }

    #[test]
    fn every_ending_has_its_state_and_its_exit_code() {
        let exited = |code| Ending::Exited { code };
        let signaled = |signal| Ending::Signaled { signal };
        check(exited(0), None, Some(TaskState::Succeeded), 0);
        check(exited(3), None, Some(TaskState::Succeeded), 3);
        check(exited(4), None, Some(TaskState::Failed), 4);
        check(signaled(9), None, Some(TaskState::Failed), 137);
        check(signaled(15), Some(StopCause::Cancel), Some(TaskState::Canceled), 143);
        check(exited(0), Some(StopCause::Timeout), Some(TaskState::TimedOut), 124);
        check(signaled(15), Some(StopCause::Down), None, 143);
        check(exited(0), Some(StopCause::Lease), None, 0);
        check(exited(0), Some(StopCause::Drain), None, 0);
        check(Ending::Gone, None, None, 125);
        let missing = Ending::NotStarted(NotStarted::NotFound("no such file".into()));
        check(missing, None, Some(TaskState::Dead), 127);
    }
}
