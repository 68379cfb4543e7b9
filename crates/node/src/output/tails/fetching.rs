//! Tails that this node lacks, because it was away when they were handed on, and other control nodes have.
//!
//! They are asked for when somebody wants to read them, and kept then.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use model::{Attempt, NodeId};
use proto::session::Tail;

use super::Tails;
use crate::output::elsewhere::Elsewhere;
use crate::output::{Ended, List, Wanted};

/// How long the others are waited for.
const WITHIN: Duration = Duration::from_secs(3);
/// So many are asked for at once; of an array with more the rest shows its marks.
pub(crate) const ASKED_MAX: usize = 512;

/// Fetches what is wanted of a node that is gone, and is not here.
pub(in crate::output) async fn fetch(
    tails: &Arc<Tails>,
    elsewhere: &dyn Elsewhere,
    node: NodeId,
    wanted: &Wanted,
) {
    let has_output = |ended: &&Ended| matches!(ended.list, List::End(_)) && ended.bytes > 0;
    let attempts = wanted.ended.iter().filter(has_output).map(|ended| ended.attempt);
    let attempts: BTreeSet<Attempt> = attempts.collect();
    let run = wanted.run;
    let missing = blocking(tails, move |tails| {
        let here = tails.find(node, run, &attempts);
        let missing = attempts.into_iter().filter(|attempt| !here.contains_key(attempt));
        missing.take(ASKED_MAX).collect::<BTreeSet<Attempt>>()
    });
    let Some(missing) = missing.await.filter(|missing| !missing.is_empty()) else { return };
    let mut missing = missing;
    let mut coming = elsewhere.tails(node, &missing);
    let mut found: Vec<Tail> = Vec::new();
    let all = async {
        while !missing.is_empty()
            && let Some(tail) = coming.recv().await
        {
            // Only what was asked for, whoever answers, and once.
            if tail.attempt.is_some_and(|attempt| missing.remove(&Attempt::from(attempt))) {
                found.push(tail);
            }
        }
    };
    // What has come by then is kept.
    let _ = tokio::time::timeout(WITHIN, all).await;
    let kept = blocking(tails, move |tails| tails.keep(node, &found)).await;
    if let Some(Err(error)) = kept {
        tracing::warn!(%node, %error, "what others have of the node's output cannot be kept here");
    }
}

/// `None` where the look failed, which then finds nothing.
async fn blocking<T: Send + 'static>(
    tails: &Arc<Tails>,
    look: impl FnOnce(&Tails) -> T + Send + 'static,
) -> Option<T> {
    let tails = tails.clone();
    tokio::task::spawn_blocking(move || look(&tails)).await.ok()
}
