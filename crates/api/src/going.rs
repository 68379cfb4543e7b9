//! How many tasks are left of a node that goes down, told until it is gone.

use std::time::Duration;

use proto::api::DownEvent;
use tonic::Status;

use crate::streams::Recipient;

/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Tells it until the node has `stopped`; `left` were there when it began.
pub(crate) async fn going<T>(
    running: impl Fn() -> u64,
    stopped: impl Future<Output = T>,
    mut left: u64,
    recipient: Recipient<DownEvent>,
) -> Result<(), Status> {
    recipient.send(DownEvent { tasks_left: left }).await?;
    let mut looks = tokio::time::interval(LOOK_EVERY);
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            _ = looks.tick() => {
                let now = running();
                if now != std::mem::replace(&mut left, now) {
                    recipient.send(DownEvent { tasks_left: left }).await?;
                }
            }
            _ = &mut stopped => return recipient.send(DownEvent { tasks_left: 0 }).await,
        }
    }
}
