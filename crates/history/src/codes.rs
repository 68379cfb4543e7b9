//! The numbers that stand for states, endings and causes on disk. A number never changes its
//! meaning; a new meaning takes the next free one.

use std::sync::Arc;

use model::{Because, Ending, NotStarted, StopCause, TaskState};

use crate::bytes::{In, Out};

/// 1 to 14: [`crate::States`] has a bit for each.
pub(crate) fn of_state(state: TaskState) -> u8 {
    match state {
        TaskState::Succeeded => 1,
        TaskState::Failed => 2,
        TaskState::TimedOut => 3,
        TaskState::Canceled => 4,
        TaskState::Lost => 5,
        TaskState::Dead => 6,
        // Not final, so never of something that has ended; kept all the same.
        TaskState::Queued => 10,
        TaskState::Scheduled => 11,
        TaskState::Running => 12,
        TaskState::Stopping => 13,
        TaskState::Unknown => 14,
    }
}

pub(crate) fn state(code: u64) -> Option<TaskState> {
    TaskState::ALL.into_iter().find(|state| u64::from(of_state(*state)) == code)
}

fn of_stop(cause: Option<StopCause>) -> u64 {
    match cause {
        None => 0,
        Some(StopCause::Cancel) => 1,
        Some(StopCause::Timeout) => 2,
        Some(StopCause::Down) => 3,
        Some(StopCause::Deadline) => 4,
        Some(StopCause::Lease) => 5,
        Some(StopCause::Drain) => 6,
    }
}

pub(crate) fn write_stop(out: &mut Out, cause: Option<StopCause>) {
    out.number(of_stop(cause));
}

pub(crate) fn read_stop(bytes: &mut In<'_>) -> Option<Option<StopCause>> {
    Some(match bytes.number()? {
        0 => None,
        1 => Some(StopCause::Cancel),
        2 => Some(StopCause::Timeout),
        3 => Some(StopCause::Down),
        4 => Some(StopCause::Deadline),
        5 => Some(StopCause::Lease),
        6 => Some(StopCause::Drain),
        _ => return None,
    })
}

pub(crate) fn write_ending(out: &mut Out, ending: &Ending) {
    let (code, number, text) = match ending {
        Ending::Exited { code } => (1, Some(*code), None),
        Ending::Signaled { signal } => (2, Some(*signal), None),
        Ending::Gone => (3, None, None),
        Ending::NotStarted(NotStarted::Withdrawn) => (4, None, None),
        Ending::NotStarted(NotStarted::NotFound(why)) => (5, None, Some(why)),
        Ending::NotStarted(NotStarted::NotExecutable(why)) => (6, None, Some(why)),
        Ending::NotStarted(NotStarted::Refused(why)) => (7, None, Some(why)),
        Ending::NotStarted(NotStarted::Transient(why)) => (8, None, Some(why)),
    };
    out.number(code);
    if let Some(number) = number {
        out.step(0, i64::from(number) as u64);
    }
    if let Some(text) = text {
        out.text(text);
    }
}

pub(crate) fn read_ending(bytes: &mut In<'_>) -> Option<Ending> {
    let number = |bytes: &mut In<'_>| i32::try_from(bytes.step(0)? as i64).ok();
    Some(match bytes.number()? {
        1 => Ending::Exited { code: number(bytes)? },
        2 => Ending::Signaled { signal: number(bytes)? },
        3 => Ending::Gone,
        4 => Ending::NotStarted(NotStarted::Withdrawn),
        5 => Ending::NotStarted(NotStarted::NotFound(bytes.text()?)),
        6 => Ending::NotStarted(NotStarted::NotExecutable(bytes.text()?)),
        7 => Ending::NotStarted(NotStarted::Refused(bytes.text()?)),
        8 => Ending::NotStarted(NotStarted::Transient(bytes.text()?)),
        _ => return None,
    })
}

pub(crate) fn write_because(out: &mut Out, because: Option<&Because>) {
    match because {
        None => out.number(0),
        Some(because) => {
            out.number(1);
            out.text(&because.actor);
            out.text(&because.reason);
        }
    }
}

pub(crate) fn read_because(bytes: &mut In<'_>) -> Option<Option<Arc<Because>>> {
    Some(match bytes.number()? {
        0 => None,
        1 => Some(Arc::new(Because { actor: bytes.text()?, reason: bytes.text()? })),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_has_a_code_of_its_own() {
        for some in TaskState::ALL {
            assert_eq!(state(u64::from(of_state(some))), Some(some));
            assert!((1..15).contains(&of_state(some)));
        }
        assert_eq!(state(0), None);
    }
}
