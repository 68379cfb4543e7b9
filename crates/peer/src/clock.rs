//! The time that certificates are held to: the wall clock, or one that a test sets.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Tells the time.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The machine's.
    pub fn wall() -> Clock {
        let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Clock(Arc::new(now))
    }

    /// One that says what it is told, in seconds since 1970.
    pub fn of(now_s: impl Fn() -> u64 + Send + Sync + 'static) -> Clock {
        Clock(Arc::new(now_s))
    }

    /// Now, in seconds since 1970.
    pub fn now_s(&self) -> u64 {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}
