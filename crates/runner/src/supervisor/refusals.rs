//! What a failure to start means: the task's own fault, the node's, or a lack that passes.

use std::io;

use model::NotStarted;

use super::held::Work;
use super::log;
use crate::spawn::{Failure, Step};

/// Errors by which the kernel says that it lacks something just now: processes, memory,
/// descriptors, room on a disk. Later, or elsewhere, the same start succeeds.
const PASSING: [i32; 7] = [
    libc::EAGAIN,
    libc::ENOMEM,
    libc::EMFILE,
    libc::ENFILE,
    libc::ENOBUFS,
    libc::ENOSPC,
    libc::EDQUOT,
];

/// Bytes of a program's name that an end quotes.
const PROGRAM_BYTES_MAX: usize = 1_000;

/// A refusal for this error, which passes or not.
pub(super) fn refused(why: String, error: &io::Error) -> NotStarted {
    let passes = error.raw_os_error().is_some_and(|errno| PASSING.contains(&errno));
    if passes { NotStarted::Transient(why) } else { NotStarted::Refused(why) }
}

/// As much of a program's name as an end may quote: it is kept with each attempt.
fn short(program: &str) -> &str {
    let mut end = program.len().min(PROGRAM_BYTES_MAX);
    while !program.is_char_boundary(end) {
        end -= 1;
    }
    &program[..end]
}

/// What a failure to start means.
pub(super) fn reason(work: &Work, failure: &Failure) -> NotStarted {
    let program = work.image.program();
    let program = short(&program);
    let error = &failure.error;
    let errno = error.raw_os_error().unwrap_or(0);
    match failure.step {
        Step::Exec if [libc::ENOENT, libc::ENOTDIR].contains(&errno) => {
            let what =
                if program.contains('/') { "no such file" } else { "not in the task's PATH" };
            NotStarted::NotFound(format!("`{program}`: {what}, or its interpreter is missing"))
        }
        // Somebody has it open for writing, which ends as well.
        Step::Exec if errno == libc::ETXTBSY => {
            NotStarted::Transient(format!("cannot execute `{program}`: {error}"))
        }
        Step::Exec if PASSING.contains(&errno) => {
            NotStarted::Transient(format!("cannot execute `{program}`: {error}"))
        }
        Step::Exec => NotStarted::NotExecutable(format!("cannot execute `{program}`: {error}")),
        Step::Directory => {
            refused(format!("cannot change to `{}`: {error}", work.image.cwd()), error)
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
            refused(format!("cannot {what}: {error}"), error)
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Fence;

    use super::*;
    use crate::spawn::Image;

    fn check(step: Step, errno: i32, transient: bool) {
        let image = Image::new(&["tool".to_owned()], &[], "/dir", None, Fence(1)).unwrap();
        let work = Work {
            image,
            noop: false,
            start_timeout_us: None,
            timeout_us: None,
            warn: None,
            grace_us: 0,
        };
        let error = io::Error::from_raw_os_error(errno);
        let why = reason(&work, &Failure { step, error, pid: None });
        assert_eq!(matches!(why, NotStarted::Transient(_)), transient, "{step:?}: {why:?}");
    }

    #[test]
    fn a_lack_that_passes_is_told_from_a_fault() {
        for errno in PASSING {
            for step in [Step::Clone, Step::Enter, Step::Descriptors, Step::User, Step::Exec] {
                check(step, errno, true);
            }
            check(Step::Directory, errno, true);
        }
        check(Step::Exec, libc::ETXTBSY, true);
        for errno in [libc::ENOENT, libc::EACCES, libc::ENOEXEC, libc::E2BIG, libc::EPERM] {
            check(Step::Exec, errno, false);
            check(Step::Directory, errno, false);
            check(Step::User, errno, false);
        }
    }
}
