//! Variables that only the task may see.

use std::fmt;

/// A variable whose value is written nowhere in the clear.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret {
    /// The variable's name.
    pub name: String,
    /// The key that the value is sealed with; 0: it is in the clear, as a caller gave it.
    pub key: u32,
    /// The value, sealed or not.
    pub value: Vec<u8>,
}

/// Never the value: what prints a job may write it anywhere.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("name", &self.name).field("key", &self.key).finish()
    }
}
