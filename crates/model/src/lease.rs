//! The times of a lease: how long a node keeps its tasks without a word from a leader.
//!
//! A lease counts from the sending of the last heartbeat that was acknowledged, on the node's own
//! clock that goes on in suspend. The node's supervisor ends what runs *inside* the lease; a leader
//! waits for the lease and a margin, from the arrival of that heartbeat, before it lets anything
//! start elsewhere. So the two never meet as long as their clocks differ in pace by less than the
//! margin over one lease.

/// The shortest lease, in milliseconds.
pub const LEASE_MS_MIN: u64 = 1_000;
/// The longest, in milliseconds.
pub const LEASE_MS_MAX: u64 = 600_000;
/// The lease where nobody asks for another, in milliseconds.
pub const LEASE_MS_DEFAULT: u64 = 30_000;
/// What a leader waits beyond the lease, in milliseconds: for the pace of clocks, and for the
/// kernel to finish what was killed.
pub const LEASE_MARGIN_MS: u64 = 2_000;

/// How long before the end of the lease the supervisor asks its tasks to end: 6 s, or half of a
/// lease that is shorter than 12 s.
pub fn lease_term_ms(lease_ms: u64) -> u64 {
    6_000.min(lease_ms / 2)
}

/// How long before the end of the lease the supervisor kills what is left: 1 s, or a quarter of a
/// lease that is shorter than 4 s.
pub fn lease_kill_ms(lease_ms: u64) -> u64 {
    1_000.min(lease_ms / 4)
}

/// How often a node asks for its lease to be counted anew: six times in each.
pub fn lease_heartbeat_ms(lease_ms: u64) -> u64 {
    (lease_ms / 6).max(1)
}
