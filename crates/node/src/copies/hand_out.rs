//! Gives the elements of a list their items, on the way from the control part to a worker.
//!
//! The reactor decides without reading files; what it wants said passes through here. Reading may
//! wait for a disk, so it is done aside and in order, and the control part never waits for it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use model::Items;
use proto::session::{Assign, Assignment, Item, ToWorker, to_worker::Kind};
use tokio::sync::mpsc;

use super::Lists;
use crate::blobs::{Blobs, Fault, hex};

/// How long a worker waits for lists that other nodes have. Of what comes after them it hears nothing
/// meanwhile but that its heartbeats were heard.
const FETCHED_WITHIN: Duration = Duration::from_secs(3);
/// Bytes of items in one message; a supervisor takes messages of 16 MiB.
const ITEMS_BYTES_MAX: usize = 1 << 20;

/// What is said to the result reaches `worker` in the same order, with the items put in. An element
/// whose item cannot be read goes without it; its supervisor refuses to start it then.
pub(crate) fn hand_out(
    lists: Arc<Lists>,
    worker: mpsc::UnboundedSender<ToWorker>,
) -> mpsc::UnboundedSender<ToWorker> {
    let (sender, mut messages) = mpsc::unbounded_channel();
    // It ends with the control part's end of the session, or with the worker's.
    tokio::spawn(async move {
        let mut behind = VecDeque::new();
        loop {
            let message = match behind.pop_front() {
                Some(message) => Some(message),
                None => messages.recv().await,
            };
            let Some(message) = message else { return };
            let given = match message {
                ToWorker { kind: Some(Kind::Assign(assign)) } if assign.wants_items() => {
                    let blobs = lists.blobs.clone();
                    let lacking = assign.lacking(&blobs);
                    if !lacking.is_empty() {
                        fetch(&lists, lacking, &mut messages, &worker, &mut behind).await;
                    }
                    let fill = tokio::task::spawn_blocking(move || fill(&blobs, assign));
                    fill.await.unwrap_or_default()
                }
                message => vec![message],
            };
            for message in given {
                if worker.send(message).is_err() {
                    return;
                }
            }
        }
    });
    sender
}

/// Fetches lists, as many as come in time. What is said meanwhile waits `behind`, but for the answers to
/// heartbeats: a node that does not hear them ends its tasks.
async fn fetch(
    lists: &Lists,
    lacking: BTreeSet<Items>,
    messages: &mut mpsc::UnboundedReceiver<ToWorker>,
    worker: &mpsc::UnboundedSender<ToWorker>,
    behind: &mut VecDeque<ToWorker>,
) {
    let fetching = async {
        for items in lacking {
            // Where it does not come it is said when it is read.
            let _ = lists.count(items).await;
        }
    };
    let fetching = tokio::time::timeout(FETCHED_WITHIN, fetching);
    tokio::pin!(fetching);
    loop {
        tokio::select! {
            _ = &mut fetching => return,
            Some(message) = messages.recv() => match message.kind {
                Some(Kind::LeaseAck(_)) => _ = worker.send(message),
                _ => behind.push_back(message),
            },
        }
    }
}

trait WantsItems {
    fn wants_items(&self) -> bool;
    /// The lists that it wants and that are not here.
    fn lacking(&self, blobs: &Blobs) -> BTreeSet<Items>;
}

impl WantsItems for Assign {
    fn wants_items(&self) -> bool {
        self.assignments.iter().any(|assignment| items_of(assignment).is_some())
    }

    fn lacking(&self, blobs: &Blobs) -> BTreeSet<Items> {
        let wanted = self.assignments.iter().filter_map(items_of);
        let mut wanted: BTreeSet<Items> = wanted.collect();
        wanted.retain(|items| !blobs.is_here(*items));
        wanted
    }
}

fn items_of(assignment: &Assignment) -> Option<Items> {
    assignment.spec.as_ref()?.items.clone()?.try_into().ok()
}

/// The same assignments with their items, in messages that are not too large.
fn fill(blobs: &Blobs, assign: Assign) -> Vec<ToWorker> {
    let epoch = assign.epoch;
    let mut messages = vec![Vec::new()];
    let mut size = 0;
    // One run's elements come in many assignments.
    let mut faults = BTreeMap::new();
    for mut assignment in assign.assignments {
        if let Some(items) = items_of(&assignment)
            && let Err(fault) = put_in(blobs, items, &mut assignment.items)
        {
            faults.entry(items.blob).or_insert((assignment.run, fault));
        }
        for part in parts(assignment) {
            let bytes: usize = part.items.iter().map(item_bytes).sum();
            if size > 0 && size + bytes > ITEMS_BYTES_MAX {
                messages.push(Vec::new());
                size = 0;
            }
            size += bytes;
            if let Some(last) = messages.last_mut() {
                last.push(part);
            }
        }
    }
    for (blob, (run, fault)) in faults {
        tracing::warn!(
            run,
            list = hex(&blob),
            "elements are not started without their items: {fault}"
        );
    }
    let message =
        |assignments| ToWorker { kind: Some(Kind::Assign(Assign { epoch, assignments })) };
    messages.into_iter().map(message).collect()
}

fn put_in(blobs: &Blobs, items: Items, elements: &mut [Item]) -> Result<(), Fault> {
    let numbers: Vec<u32> = elements.iter().map(|element| element.index).collect();
    let texts = blobs.list(items)?.texts(&numbers)?;
    for (element, text) in elements.iter_mut().zip(texts) {
        element.text = Some(text);
    }
    Ok(())
}

/// The assignment in parts whose items fit a message; their numbers go on.
fn parts(mut assignment: Assignment) -> Vec<Assignment> {
    let mut parts = Vec::new();
    loop {
        let mut size = 0;
        let fits = assignment.items.iter().take_while(|item| {
            size += item_bytes(item);
            size <= ITEMS_BYTES_MAX
        });
        // One item alone always does.
        let count = fits.count().max(1);
        if count >= assignment.items.len() {
            parts.push(assignment);
            return parts;
        }
        let rest = assignment.items.split_off(count);
        let after =
            Assignment { seq: assignment.seq + count as u64, items: rest, ..assignment.clone() };
        parts.push(std::mem::replace(&mut assignment, after));
    }
}

fn item_bytes(item: &Item) -> usize {
    item.text.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_items_go_in_several_messages_with_the_same_numbers() {
        let item = |index| Item { index, attempt: 1, text: Some("x".repeat(400_000)) };
        let assignment =
            Assignment { seq: 7, items: (1..=6).map(item).collect(), ..Default::default() };
        let parts = parts(assignment);
        let found: Vec<(u64, Vec<u32>)> = (parts.iter())
            .map(|part| (part.seq, part.items.iter().map(|item| item.index).collect()))
            .collect();
        assert_eq!(found, [(7, vec![1, 2]), (9, vec![3, 4]), (11, vec![5, 6])]);
    }
}
