//! One ordered, durable sequence of opaque records per cluster.
//!
//! Everything a cluster decides goes through here: a leader proposes a record, the journal makes it durable on a majority,
//! and every control node is handed the same records in the same order.
//! The crate exists so that consensus and its disk can be tested, and replaced, alone.
//!
//! It never looks into a record, never delivers one that could still be lost, never skips an index,
//! and never goes on after its disk or its Raft core has failed: it says [`Leadership::Dead`] and why.

#![deny(unsafe_code)]

mod blocking;
mod error;
mod follow;
#[doc(hidden)]
pub mod fuzz;
mod leader;
mod log;
pub mod mem;
mod member;
pub mod raft;
mod room;
#[doc(hidden)]
pub mod simulated;
mod snapshot;

#[cfg(test)]
mod conformance;

use std::future::Future;

use bytes::Bytes;
use tokio::sync::watch;

pub use error::{JournalError, ProposeError};
pub use follow::{Delivered, Follow};
pub use leader::{LeaderId, Leadership};
pub use log::{DiskError, OpenError, Syncs, Unusable};
pub use member::Member;
pub use snapshot::{Snapshot, SnapshotReader};

/// The place of a record in the journal.
///
/// Index 0 is the journal's own foundation (the first membership) and is never delivered, so 0 also means "nothing yet".
pub type Index = u64;

/// The largest record a journal takes, in bytes.
pub const RECORD_BYTES_MAX: usize = 8 << 20;

/// One committed entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its place; the one after the delivery before it.
    pub index: Index,
    /// The leader that wrote the entry.
    pub leader: LeaderId,
    /// What was proposed; empty for an entry of the journal's own (a leader's first, a change of membership).
    pub record: Bytes,
}

/// One ordered, durable sequence of opaque records.
pub trait Journal: Send + Sync + 'static {
    /// Appends `record` if `leader` still leads, and answers once it is committed.
    ///
    /// Dropping the future does not take the record back.
    /// Between the check and the append the leadership can change, so whoever applies records compares
    /// [`Delivery::leader`] with the leader that the record itself names.
    fn propose(
        &self,
        leader: LeaderId,
        record: Bytes,
    ) -> impl Future<Output = Result<Index, ProposeError>> + Send;

    /// Delivers every committed entry behind `after`, in order and without gaps, first the old ones and then as they come.
    ///
    /// Where the entry behind `after` is not in the log any more, a snapshot comes first and stands for it and more.
    /// See [`Delivered`].
    fn follow(&self, after: Index) -> Follow;

    /// The same from the beginning, but the newest snapshot comes first where there is one, even if the log reaches
    /// back further: the shortest way to where the journal is now.
    fn follow_newest(&self) -> Follow;

    /// The last entry that the newest snapshot stands for; 0 where there is none.
    fn newest_snapshot(&self) -> Index;

    /// Who leads. The value `Leader` appears once everything committed before it can be followed.
    fn leadership(&self) -> watch::Receiver<Leadership>;

    /// Lets a majority confirm that this node leads.
    ///
    /// A linearizable read may answer once the returned index is applied.
    fn barrier(&self) -> impl Future<Output = Result<Index, JournalError>> + Send;

    /// Keeps a snapshot of what all entries up to and with `upto` have made, and trims the log.
    ///
    /// Answers once the snapshot is on disk. What is trimmed is what the snapshot before it stands for:
    /// the two newest are kept, and the log from the older one on, so the first one trims nothing.
    ///
    /// Every error but `Dead` leaves the journal as it was. Dropping the future does not take the checkpoint back.
    fn checkpoint(
        &self,
        upto: Index,
        snapshot: Snapshot,
    ) -> impl Future<Output = Result<(), JournalError>> + Send;

    /// How many bytes of log there are behind the newest snapshot: what a start has to read.
    fn log_bytes(&self) -> u64;

    /// How many bytes the file system under the journal has left for it; `u64::MAX` where nothing tells.
    ///
    /// Cheap: it is looked up once a second at most. A full disk stops the journal only after it has used the space
    /// that it holds for itself: the rest of the segment that is written to, and one more segment.
    /// Whoever stops taking in work while there is still free space leaves that to the work that is going on.
    fn free_bytes(&self) -> u64;

    /// Ends the journal: followers get their end, proposals fail, the files are closed.
    fn shutdown(&self) -> impl Future<Output = ()> + Send;
}
