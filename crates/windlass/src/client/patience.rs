//! How long a command bears with a node that does not answer, or has too much to do.
//!
//! A daemon that is restarted is back within seconds and its tasks went on, and one that refused a
//! job for want of room said when to come again; a command that gave up at once would break every
//! script around it.

use std::io::IsTerminal;
use std::time::Duration;

use tokio::time::Instant;
use tonic::{Code, Status};

use super::{Client, is_hopeless, is_lost};
use crate::failure::Failure;
use crate::show::out;

/// From the moment the node stopped answering, or first refused for want of room.
const PATIENCE: Duration = Duration::from_secs(30);
const DELAY_FIRST: Duration = Duration::from_millis(50);
const DELAY_MAX: Duration = Duration::from_secs(1);
/// A node that says more is asked again all the same.
const AGAIN_MAX: Duration = Duration::from_secs(10);
/// Most restarts are over before anybody would notice; from this delay on the person is told.
const DELAY_TOLD: Duration = Duration::from_millis(800);

/// How long the node has been away, and when to look again.
pub(crate) struct Patience {
    lost_at: Option<Instant>,
    delay: Duration,
    told: bool,
}

impl Patience {
    pub(crate) fn new() -> Patience {
        Patience { lost_at: None, delay: DELAY_FIRST, told: false }
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
        let crowded = status.code() == Code::ResourceExhausted && again_in(status).is_some();
        let passing = status.code() == Code::Unavailable || is_lost(status) || crowded;
        let since = *self.lost_at.get_or_insert_with(Instant::now);
        if !passing || is_hopeless(status) || since.elapsed() > PATIENCE {
            return Err(client.failure(what, status));
        }
        if crowded {
            self.crowded(what, status).await;
            return Ok(());
        }
        if self.delay == DELAY_TOLD {
            let seconds = PATIENCE.as_secs();
            out::note(format!("no node answers at {}; trying for {seconds} s", client.addr));
        }
        tokio::time::sleep(self.delay).await;
        self.delay = (self.delay * 2).min(DELAY_MAX);
        Ok(())
    }

    /// The node said when to come again.
    async fn crowded(&mut self, what: &str, status: &Status) {
        let again = again_in(status).unwrap_or(DELAY_MAX).clamp(DELAY_FIRST, AGAIN_MAX);
        if !std::mem::replace(&mut self.told, true) && std::io::stderr().is_terminal() {
            let (seconds, why) = (PATIENCE.as_secs(), status.message());
            out::note(format!("cannot {what} yet: {why}; trying for {seconds} s"));
        }
        tokio::time::sleep(again).await;
    }
}

/// When a refused call may be made again, if the node said so.
fn again_in(status: &Status) -> Option<Duration> {
    let seconds = status.metadata().get("retry-after")?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
