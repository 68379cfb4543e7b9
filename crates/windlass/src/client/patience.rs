//! How long a command that waits for a run bears with a node that does not answer.
//!
//! A daemon that is restarted is back within seconds and its tasks went on; a command that gave up
//! at once would break every script around it.

use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Status};

use super::{Client, is_lost};
use crate::failure::Failure;
use crate::show::out;

/// From the moment the node stopped answering.
const PATIENCE: Duration = Duration::from_secs(30);
const DELAY_FIRST: Duration = Duration::from_millis(50);
const DELAY_MAX: Duration = Duration::from_secs(1);
/// Most restarts are over before anybody would notice; from this delay on the person is told.
const DELAY_TOLD: Duration = Duration::from_millis(800);

/// How long the node has been away, and when to look again.
pub(crate) struct Patience {
    lost_at: Option<Instant>,
    delay: Duration,
}

impl Patience {
    pub(crate) fn new() -> Patience {
        Patience { lost_at: None, delay: DELAY_FIRST }
    }

    /// The node answered.
    pub(crate) fn answered(&mut self) {
        *self = Patience::new();
    }

    /// Waits before the next try, or says why there is none. `what` was tried: `wait for 812`.
    pub(crate) async fn bear(
        &mut self,
        client: &Client,
        what: &str,
        status: &Status,
    ) -> Result<(), Failure> {
        let passing = status.code() == Code::Unavailable || is_lost(status);
        let since = *self.lost_at.get_or_insert_with(Instant::now);
        if !passing || since.elapsed() > PATIENCE {
            return Err(client.failure(what, status));
        }
        if self.delay == DELAY_TOLD {
            let seconds = PATIENCE.as_secs();
            out::note(format!("no node answers at {}; trying for {seconds} s", client.addr));
        }
        tokio::time::sleep(self.delay).await;
        self.delay = (self.delay * 2).min(DELAY_MAX);
        Ok(())
    }
}
