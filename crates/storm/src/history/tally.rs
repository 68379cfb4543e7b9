//! How often clients were answered, and how: a world in which nobody is told anything has tried nothing.

use std::fmt;

use crate::wire::Reply;

/// Counts of answers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Submits that were acknowledged.
    pub(crate) submitted: u64,
    /// Cancels that were: of a run that went on, or had ended.
    canceled: u64,
    /// Looks that were answered.
    told: u64,
    /// What was refused, so that it is not done.
    refused: u64,
    /// What nobody knows the outcome of.
    unknown: u64,
}

impl Tally {
    pub(super) fn count(&mut self, reply: Reply) {
        let count = match reply {
            Reply::Submitted { .. } => &mut self.submitted,
            Reply::Canceled | Reply::HadEnded => &mut self.canceled,
            Reply::Run { .. } | Reply::NotThere => &mut self.told,
            Reply::NotDone | Reply::Unfit => &mut self.refused,
            Reply::Unknown => &mut self.unknown,
        };
        *count += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { submitted, canceled, told, refused, unknown } = self;
        write!(
            f,
            "{submitted} submitted, {canceled} canceled, {told} told, {refused} refused, {unknown} unknown"
        )
    }
}
