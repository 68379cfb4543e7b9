//! Whether and when what has failed is tried again.

use model::job::Reason;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Whether and when what has failed is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Retries {
    /// Attempts beyond the first.
    #[schema(maximum = 1000)]
    pub attempts: u32,
    /// How long is waited before each.
    pub backoff: Backoff,
    /// Only these failures are tried again; empty for all but a command that cannot be started.
    pub on: Conditions,
    /// These are not, whatever `on` says.
    pub not_on: Conditions,
}

/// How long is waited before an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Backoff {
    /// Before the first, in milliseconds.
    pub base_ms: u64,
    /// What the wait is multiplied with each time, to three places.
    #[schema(minimum = 0, maximum = 1000)]
    pub factor: f64,
    /// The longest wait, in milliseconds.
    pub max_ms: u64,
    /// By how much a wait may be shorter or longer, in percent.
    #[schema(maximum = 100)]
    pub jitter_percent: u32,
}

/// A set of ways to fail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Conditions {
    /// These exit codes.
    pub codes: Vec<u8>,
    /// These signals, by number.
    pub signals: Vec<u8>,
    /// Whole classes.
    pub reasons: Vec<FailureClass>,
}

/// A class of failures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum FailureClass {
    /// Any exit code that is no success.
    Exit,
    /// Any signal.
    Signal,
    /// It ran, or took to start, longer than it may.
    Timeout,
    /// Its command cannot be started.
    Start,
}

impl Default for Retries {
    fn default() -> Retries {
        Retries::from(&model::Retries::default())
    }
}

impl Default for Backoff {
    fn default() -> Backoff {
        Retries::default().backoff
    }
}

impl From<&model::Retries> for Retries {
    fn from(retries: &model::Retries) -> Retries {
        Retries {
            attempts: retries.attempts,
            backoff: Backoff {
                base_ms: retries.base_ms,
                factor: f64::from(retries.factor_milli) / 1000.0,
                max_ms: retries.max_ms,
                jitter_percent: retries.jitter_percent,
            },
            on: Conditions::from(&retries.on),
            not_on: Conditions::from(&retries.not_on),
        }
    }
}

impl Retries {
    pub(super) fn into_spec(self, fault: &mut impl FnMut(&str, &str)) -> model::Retries {
        let factor = self.backoff.factor;
        if !(0.0..=1000.0).contains(&factor) {
            fault("retries.backoff.factor", "must be 0 to 1,000");
        }
        model::Retries {
            attempts: self.attempts,
            base_ms: self.backoff.base_ms,
            factor_milli: (factor * 1000.0).round() as u32,
            max_ms: self.backoff.max_ms,
            jitter_percent: self.backoff.jitter_percent,
            on: self.on.into(),
            not_on: self.not_on.into(),
        }
    }
}

impl From<&model::job::Conditions> for Conditions {
    fn from(conditions: &model::job::Conditions) -> Conditions {
        let class = |reason: &Reason| match reason {
            Reason::Exit => FailureClass::Exit,
            Reason::Signal => FailureClass::Signal,
            Reason::Timeout => FailureClass::Timeout,
            Reason::Start => FailureClass::Start,
        };
        Conditions {
            codes: conditions.codes.clone(),
            signals: conditions.signals.clone(),
            reasons: conditions.reasons.iter().map(class).collect(),
        }
    }
}

impl From<Conditions> for model::job::Conditions {
    fn from(conditions: Conditions) -> model::job::Conditions {
        let reason = |class: FailureClass| match class {
            FailureClass::Exit => Reason::Exit,
            FailureClass::Signal => Reason::Signal,
            FailureClass::Timeout => Reason::Timeout,
            FailureClass::Start => Reason::Start,
        };
        model::job::Conditions {
            codes: conditions.codes,
            signals: conditions.signals,
            reasons: conditions.reasons.into_iter().map(reason).collect(),
        }
    }
}
