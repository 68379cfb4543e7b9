//! What a worker's end of a session to another machine says beside the reactor's words: output that
//! was asked for, and tails ahead of the reports that they belong to.

use proto::session::{ToControl, ToWorker};
use tokio::sync::mpsc;

use crate::output::{Local, Outbound, Server};

/// Messages of output that wait for the connection.
const OUTPUT_MAX: usize = 4;
const WORDS_MAX: usize = 64;

/// Puts output beside `words`: what to send, and who answers those that ask for output.
///
/// Both end with the session.
pub(super) fn of_this_node(
    local: Local,
    words: mpsc::Receiver<ToControl>,
) -> (mpsc::Receiver<ToControl>, Server) {
    let (output, pieces) = mpsc::channel(OUTPUT_MAX);
    let (out, sent) = mpsc::channel(WORDS_MAX);
    let mut outbound = Outbound::new(words, pieces, local.store.clone());
    tokio::spawn(async move {
        loop {
            let word = tokio::select! {
                word = outbound.next() => word,
                () = out.closed() => return,
            };
            let Some(word) = word else { return };
            if out.send(word).await.is_err() {
                return;
            }
        }
    });
    (sent, Server::new(local, output))
}

/// What of it is the reactor's.
pub(super) fn heard(server: &mut Option<Server>, message: ToWorker) -> Option<ToWorker> {
    match server {
        Some(server) => server.heard(message),
        None => Some(message),
    }
}
