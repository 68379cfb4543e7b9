//! Conversions between `model` and the shared wire forms.

mod jobs;
mod placement;

use std::ops::RangeInclusive;

use model::{
    Because, Element, Ending, NotStarted, Outcome, OutputRef, RangeSet, Resources, RunId, StopCause,
};

use crate::{job, record};

/// A message lacks a field that its meaning needs, or holds a value nobody knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub &'static str);

impl std::fmt::Display for Invalid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "message has no valid `{}`", self.0)
    }
}

impl std::error::Error for Invalid {}

/// The value of a field that must be there.
pub fn required<T>(field: Option<T>, name: &'static str) -> Result<T, Invalid> {
    field.ok_or(Invalid(name))
}

/// A set as ranges on the wire.
pub fn ranges(set: &RangeSet) -> Vec<record::Range> {
    set.ranges().map(|range| record::Range { first: *range.start(), last: *range.end() }).collect()
}

/// Ranges on the wire, each as it was written; inverted ones are empty.
pub fn element_ranges(
    ranges: &[record::Range],
) -> impl Iterator<Item = RangeInclusive<u32>> + Clone + '_ {
    ranges.iter().map(|range| range.first..=range.last)
}

impl From<Resources> for job::Resources {
    fn from(r: Resources) -> Self {
        job::Resources { cpu_milli: r.cpu_milli, memory_bytes: r.memory_bytes }
    }
}

impl From<job::Resources> for Resources {
    fn from(r: job::Resources) -> Self {
        Resources { cpu_milli: r.cpu_milli, memory_bytes: r.memory_bytes }
    }
}

impl From<model::Attempt> for job::Attempt {
    fn from(attempt: model::Attempt) -> Self {
        let Element { run, task, index } = attempt.element;
        job::Attempt { run: run.0, task, index, number: attempt.number }
    }
}

impl From<job::Attempt> for model::Attempt {
    fn from(attempt: job::Attempt) -> Self {
        let job::Attempt { run, task, index, number } = attempt;
        model::Attempt { element: Element { run: RunId(run), task, index }, number }
    }
}

impl From<Because> for job::Because {
    fn from(because: Because) -> Self {
        job::Because { actor: because.actor, reason: because.reason }
    }
}

impl From<job::Because> for Because {
    fn from(because: job::Because) -> Self {
        Because { actor: because.actor, reason: because.reason }
    }
}

impl From<Option<StopCause>> for job::StopCause {
    fn from(cause: Option<StopCause>) -> Self {
        match cause {
            None => job::StopCause::None,
            Some(StopCause::Cancel) => job::StopCause::Cancel,
            Some(StopCause::Timeout) => job::StopCause::Timeout,
            Some(StopCause::Down) => job::StopCause::Down,
            Some(StopCause::Deadline) => job::StopCause::Deadline,
            Some(StopCause::Lease) => job::StopCause::Lease,
            Some(StopCause::Drain) => job::StopCause::Drain,
        }
    }
}

impl From<job::StopCause> for Option<StopCause> {
    fn from(cause: job::StopCause) -> Self {
        match cause {
            job::StopCause::None => None,
            job::StopCause::Cancel => Some(StopCause::Cancel),
            job::StopCause::Timeout => Some(StopCause::Timeout),
            job::StopCause::Down => Some(StopCause::Down),
            job::StopCause::Deadline => Some(StopCause::Deadline),
            job::StopCause::Lease => Some(StopCause::Lease),
            job::StopCause::Drain => Some(StopCause::Drain),
        }
    }
}

impl From<Outcome> for job::Outcome {
    fn from(outcome: Outcome) -> Self {
        use job::not_started::Kind;
        use job::outcome::Ending as Wire;
        let not_started =
            |kind: Kind, why| Wire::NotStarted(job::NotStarted { kind: kind as i32, why });
        job::Outcome {
            ending: Some(match outcome.ending {
                Ending::Exited { code } => Wire::Exited(code.unsigned_abs()),
                Ending::Signaled { signal } => Wire::Signaled(signal.unsigned_abs()),
                Ending::NotStarted(why) => match why {
                    NotStarted::Withdrawn => not_started(Kind::Withdrawn, String::new()),
                    NotStarted::NotFound(why) => not_started(Kind::NotFound, why),
                    NotStarted::NotExecutable(why) => not_started(Kind::NotExecutable, why),
                    NotStarted::Refused(why) => not_started(Kind::Refused, why),
                    NotStarted::Transient(why) => not_started(Kind::Transient, why),
                },
                Ending::Gone => Wire::Gone(job::Gone {}),
            }),
            stopped: job::StopCause::from(outcome.stopped) as i32,
            started_us: outcome.started_us,
            ended_us: outcome.ended_us,
            cpu_us: outcome.cpu_us,
            memory_peak_bytes: outcome.memory_peak_bytes,
            output: (outcome.output)
                .map(|at| job::OutputRef { segment: at.segment, offset: at.offset }),
            output_bytes: outcome.output_bytes,
            output_dropped_bytes: outcome.output_dropped_bytes,
            output_truncated: outcome.output_truncated,
        }
    }
}

impl TryFrom<job::Outcome> for Outcome {
    type Error = Invalid;

    fn try_from(outcome: job::Outcome) -> Result<Self, Invalid> {
        use job::not_started::Kind;
        use job::outcome::Ending as Wire;
        let stopped =
            job::StopCause::try_from(outcome.stopped).map_err(|_| Invalid("outcome.stopped"))?;
        let number = |n: u32| i32::try_from(n).map_err(|_| Invalid("outcome.ending"));
        let ending = match required(outcome.ending, "outcome.ending")? {
            Wire::Exited(code) => Ending::Exited { code: number(code)? },
            Wire::Signaled(signal) => Ending::Signaled { signal: number(signal)? },
            Wire::NotStarted(not) => Ending::NotStarted(match Kind::try_from(not.kind) {
                Ok(Kind::Withdrawn) => NotStarted::Withdrawn,
                Ok(Kind::NotFound) => NotStarted::NotFound(not.why),
                Ok(Kind::NotExecutable) => NotStarted::NotExecutable(not.why),
                Ok(Kind::Refused) => NotStarted::Refused(not.why),
                Ok(Kind::Transient) => NotStarted::Transient(not.why),
                Err(_) => return Err(Invalid("outcome.not_started.kind")),
            }),
            Wire::Gone(_) => Ending::Gone,
        };
        Ok(Outcome {
            ending,
            stopped: stopped.into(),
            started_us: outcome.started_us,
            ended_us: outcome.ended_us,
            cpu_us: outcome.cpu_us,
            memory_peak_bytes: outcome.memory_peak_bytes,
            output: (outcome.output).map(|at| OutputRef { segment: at.segment, offset: at.offset }),
            output_bytes: outcome.output_bytes,
            output_dropped_bytes: outcome.output_dropped_bytes,
            output_truncated: outcome.output_truncated,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_survives_the_wire() {
        for ending in [
            Ending::Exited { code: 255 },
            Ending::Signaled { signal: 9 },
            Ending::NotStarted(NotStarted::Withdrawn),
            Ending::NotStarted(NotStarted::NotFound("no such file".into())),
            Ending::Gone,
        ] {
            let mut outcome = Outcome::bare(ending);
            outcome.stopped = Some(StopCause::Down);
            outcome.output = Some(OutputRef { segment: 3, offset: 1 << 33 });
            assert_eq!(Outcome::try_from(job::Outcome::from(outcome.clone())), Ok(outcome));
        }
    }

    #[test]
    fn what_nobody_knows_is_invalid() {
        assert_eq!(Outcome::try_from(job::Outcome::default()), Err(Invalid("outcome.ending")));
    }
}
