//! Why a node stops: the first reason that is told stays.

use tokio::sync::watch;

use crate::info::Stopped;

/// Tells why the node stops, unless somebody has told it before.
pub(crate) fn stop(stopped: &watch::Sender<Option<Stopped>>, why: Stopped) {
    stopped.send_if_modified(|current| {
        let first = current.is_none();
        if first {
            *current = Some(why);
        }
        first
    });
}
