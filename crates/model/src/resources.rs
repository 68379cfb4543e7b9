//! What a task reserves and a node has.

use std::fmt;

/// An amount of each resource. Reserved amounts never exceed what a node has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Resources {
    /// Processors, in thousandths.
    pub cpu_milli: u64,
    /// Memory in bytes.
    pub memory_bytes: u64,
}

impl Resources {
    /// Whether `wanted` fits into what is left of `self` after `used`.
    pub fn has_room(&self, used: Resources, wanted: Resources) -> bool {
        used.cpu_milli.saturating_add(wanted.cpu_milli) <= self.cpu_milli
            && used.memory_bytes.saturating_add(wanted.memory_bytes) <= self.memory_bytes
    }

    /// How many pieces of `each` fit into what is left of `self` after `used`, at most `most`.
    pub fn pieces(&self, used: Resources, each: Resources, most: u64) -> u64 {
        let fit = |have: u64, used: u64, each: u64| {
            have.saturating_sub(used).checked_div(each).unwrap_or(most)
        };
        fit(self.cpu_milli, used.cpu_milli, each.cpu_milli)
            .min(fit(self.memory_bytes, used.memory_bytes, each.memory_bytes))
            .min(most)
    }

    /// Adds `other`.
    pub fn add(&mut self, other: Resources) {
        self.cpu_milli = self.cpu_milli.saturating_add(other.cpu_milli);
        self.memory_bytes = self.memory_bytes.saturating_add(other.memory_bytes);
    }

    /// Takes `other` off, which must be part of `self`.
    pub fn sub(&mut self, other: Resources) {
        debug_assert!(self.cpu_milli >= other.cpu_milli && self.memory_bytes >= other.memory_bytes);
        self.cpu_milli = self.cpu_milli.saturating_sub(other.cpu_milli);
        self.memory_bytes = self.memory_bytes.saturating_sub(other.memory_bytes);
    }

    /// `self` taken `count` times.
    pub fn times(self, count: u64) -> Resources {
        Resources {
            cpu_milli: self.cpu_milli.saturating_mul(count),
            memory_bytes: self.memory_bytes.saturating_mul(count),
        }
    }
}

impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cpus {}", crate::text::cpus(self.cpu_milli))?;
        match self.memory_bytes {
            0 => Ok(()),
            bytes => write!(f, ", memory {}", crate::text::size(bytes)),
        }
    }
}
