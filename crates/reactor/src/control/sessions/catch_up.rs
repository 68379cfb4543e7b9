//! What a node is told when it is welcome again: all that it may have missed.

use std::collections::BTreeSet;

use machine::{Node, State};
use model::{Attempt, Ending, Outcome, StopCause};
use proto::session::{Assignment, End, Item};

use super::{assign, stop, withdraw};
use crate::control::effect::{Effect, SessionId};

/// Sends what the node has not seen, and what it is to stop or to take back. Returns the ends of
/// what it has seen and does not hold.
pub(super) fn send(
    state: &State,
    id: SessionId,
    node: &Node,
    seen: u64,
    held: &BTreeSet<Attempt>,
    effects: &mut Vec<Effect>,
) -> Vec<End> {
    let mut gone = Vec::new();
    let mut assignments: Vec<Assignment> = Vec::new();
    let mut stops = BTreeSet::new();
    let mut unstarted = Vec::new();
    let mut unknown = held.clone();
    for (&seq, at) in &node.assigned {
        let Some(run) = state.run(at.run) else { continue };
        let Some(live) = run.tasks[at.task as usize].live.get(&at.ordinal) else { continue };
        let attempt = run.attempt(at.run, at.task, at.ordinal, live.number);
        unknown.remove(&attempt);
        match &live.stop {
            Some((cause, _)) => _ = stops.insert((*cause, attempt)),
            None if node.drain.is_some() && live.started_us == 0 => unstarted.push(attempt),
            None => {}
        }
        if seq <= seen.max(node.kept_seq) {
            if !held.contains(&attempt) {
                let outcome = Some(Outcome::bare(Ending::Gone).into());
                gone.push(End { attempt: Some(attempt.into()), outcome });
            }
            continue;
        }
        let item = Item { index: attempt.element.index, attempt: live.number, text: None };
        let last = assignments.last_mut().filter(|last| {
            (last.run, last.task, last.fence) == (at.run.0, at.task, live.fence.0)
                && last.seq + last.items.len() as u64 == seq
        });
        match last {
            Some(last) => last.items.push(item),
            None => assignments.push(Assignment {
                seq,
                run: at.run.0,
                task: at.task,
                items: vec![item],
                fence: live.fence.0,
                spec: Some((&run.spec.tasks[at.task as usize]).into()),
                job_name: run.spec.name.clone(),
                run_as: run.spec.run_as.clone(),
            }),
        }
    }
    if !assignments.is_empty() {
        effects.push(assign(id, node.epoch, assignments));
    }
    if !unstarted.is_empty() {
        effects.push(withdraw(id, &unstarted));
    }
    // What it holds of a time before it was removed may have been started elsewhere since.
    stops.extend(unknown.into_iter().map(|attempt| (StopCause::Cancel, attempt)));
    let stops: Vec<(StopCause, Attempt)> = stops.into_iter().collect();
    for same in stops.chunk_by(|a, b| a.0 == b.0) {
        let attempts: Vec<Attempt> = same.iter().map(|(_, attempt)| *attempt).collect();
        effects.push(stop(id, &attempts, same[0].0));
    }
    gone
}
