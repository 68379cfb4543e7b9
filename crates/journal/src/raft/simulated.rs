//! The same journal in a simulated world. It exists for tests of whole clusters; no node calls it.

use std::sync::Arc;

use super::{Config, Disk, OpenError, Peers, Raft};
use crate::simulated;

impl Raft {
    /// Opens the journal on a simulated disk, on a runtime of one thread whose time is simulated.
    ///
    /// To crash it, drop the runtime: what was not written then never is.
    #[doc(hidden)]
    pub async fn open_simulated(
        disk: Arc<dyn simulated::Disk>,
        config: Config,
        peers: Arc<dyn Peers>,
    ) -> Result<Self, OpenError> {
        Self::open_on(Disk::simulated(disk), config, peers).await
    }
}
