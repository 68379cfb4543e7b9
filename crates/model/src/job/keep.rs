//! How long history keeps what has ended.

/// Runs are kept as long as one of the two says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Those that ended at most so many days ago.
    pub days: u32,
    /// The latest so many of each job.
    pub runs: u32,
}

impl Default for Keep {
    fn default() -> Keep {
        Keep { days: 30, runs: 1_000 }
    }
}

/// How long runs are kept, apart for success and failure.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Runs that succeeded.
    pub success: Keep,
    /// All others.
    pub failure: Keep,
}
