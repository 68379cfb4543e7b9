//! A cluster that goes on in another incarnation: from a snapshot, or without its majority.
//!
//! Both are done to a data directory that no node holds, and only when a person says so. Both end
//! with a journal of one voter whose last batch is `Recover`; an ordinary start goes on from there.
//! What was begun and not finished is noted in the directory, and no node starts on it.
//!
//! It must never use an incarnation twice: each that is begun is noted before anything else, and the
//! next is above it, whatever has become of it.

mod alone;
mod notes;
mod recover;
mod restore;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use notes::Incarnations;
pub(crate) use notes::check_finished;
pub use recover::{Recovered, recover};
pub use restore::{Restore, Restored, restore};

use crate::cluster_snapshot::Fault;
use crate::error::StartError;
use crate::supervisor;

/// Who wants it, and why, for the audit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct By {
    /// `user:NAME`.
    pub actor: String,
    /// In their words.
    pub reason: String,
}

/// Why a data directory was not restored or recovered.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory cannot be used, or a node holds it.
    #[error(transparent)]
    DataDir(#[from] StartError),
    /// It has a journal.
    #[error(
        "the data directory `{}` has a journal already\nhint: name another directory, or set that journal aside with `--replace`",
        .0.display()
    )]
    HasJournal(PathBuf),
    /// It has none.
    #[error("the data directory `{}` has no journal to recover\nhint: `windlass cluster snapshot restore` makes one from a snapshot", .0.display())]
    NoJournal(PathBuf),
    /// It belongs to another cluster than the snapshot.
    #[error(
        "the data directory `{}` belongs to cluster {there}, and the snapshot is of cluster {snapshot}\nhint: restore it into an empty directory",
        path.display()
    )]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// Its cluster.
        there: uuid::Uuid,
        /// That of the snapshot.
        snapshot: uuid::Uuid,
    },
    /// The cluster's journal has nothing in it.
    #[error("the journal in `{}` names no cluster: nothing was ever acknowledged from it\nhint: start anew in an empty directory, or restore a snapshot", .0.display())]
    NoCluster(PathBuf),
    /// The snapshot cannot be used.
    #[error(transparent)]
    Snapshot(#[from] Fault),
    /// There is no incarnation left.
    #[error(
        "this cluster has used all of its 65535 incarnations\nhint: start a new cluster in an empty directory"
    )]
    UsedUp,
    /// The one that was asked for is not above all that are known.
    #[error(
        "incarnation {asked} may have been used before\nhint: leave `--incarnation` out, or name one above {known}"
    )]
    Incarnation {
        /// The one that was asked for.
        asked: u16,
        /// The highest that is known.
        known: u16,
    },
    /// The journal cannot be opened or written.
    #[error("cannot use the journal")]
    Journal(#[from] journal::OpenError),
    /// The journal ended, or what is in it cannot be applied.
    #[error("cannot bring the journal up to date: {0}")]
    Unusable(String),
    /// A file cannot be used.
    #[error("cannot {what} `{}`", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// A node is about to serve in this incarnation: what still runs of a former one ends first, for
/// nobody would ever stop it, and its reports would count for other elements.
pub(crate) async fn enter(dir: &Path, incarnation: u16) -> Result<(), StartError> {
    let known = Incarnations::read(dir)?;
    if known.served > 0 && known.served < incarnation {
        supervisor::end_former(dir).await?;
    }
    if known != known.served(incarnation) {
        known.served(incarnation).write(dir)?;
    }
    Ok(())
}

/// A node is certified in this incarnation. If it has served in a former one, it has joined again:
/// what still runs of that ends, and its output is set aside: the cluster may have forgotten what
/// that is of, and numbers attempts that it has forgotten anew. An end that is found there later,
/// when a supervisor was killed, would pass for that of another attempt.
///
/// A node that was restored or recovered is certified anew only after it has served: it keeps what
/// it has.
pub(crate) async fn join_again(dir: &Path, incarnation: u16) -> Result<(), StartError> {
    let known = Incarnations::read(dir)?;
    if known.served == 0 || known.served >= incarnation {
        return Ok(());
    }
    supervisor::end_former(dir).await?;
    restore::set_aside(dir, incarnation, &["output"]).map(drop).map_err(|error| match error {
        Error::DataDir(error) => error,
        Error::Io { what, path, source } => StartError::DataDir { path, what, source },
        error => StartError::DataDir {
            path: dir.to_owned(),
            what: "cannot set its output aside",
            source: io::Error::other(error),
        },
    })
}

/// Is told before each step that changes something; in a test it breaks off there.
type Steps<'a> = &'a (dyn Fn(&'static str) -> Result<(), Error> + Sync);

fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Io { what, path, source }
}

/// The number up to which runs may have been given out that this state does not know: twice as many
/// as there were, and a thousand for each former incarnation: one snapshot may be restored twice. It
/// is round, so that people see where the new ones begin.
fn runs_given(last_run: u64, incarnation: u16) -> u64 {
    const ROUND: u64 = 1_000;
    let former = u64::from(incarnation.saturating_sub(1));
    (last_run.saturating_mul(2) / ROUND + former) * ROUND
}
