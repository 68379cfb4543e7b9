//! What ran.

use serde::Serialize;
use utoipa::ToSchema;

use super::run::Run;

/// Runs that have ended.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct History {
    /// The runs, latest first.
    pub runs: Vec<PastRun>,
    /// Where the next page begins: `--before` of the command line; `null` where there is none.
    pub next_before: Option<u64>,
}

/// A run that has ended, with what its attempts come to.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PastRun {
    /// In short.
    #[serde(flatten)]
    pub run: Run,
    /// How many attempts its elements had; `null` of a run with more than 100 elements.
    pub attempts: Option<u64>,
    /// Their processor time together, in microseconds; `null` as above.
    pub cpu_us: Option<u64>,
}
