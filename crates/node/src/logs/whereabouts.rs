//! Which attempts are selected, and on which nodes their output lies.

use std::collections::{BTreeMap, BTreeSet};

use history::{AttemptFact, History, States, Told};
use model::{Attempt, Element, Ending, NodeId, RangeSet, TaskPosition};

use crate::output::{Ended, List};
use crate::query::Resolved;
use crate::view::View;

/// Ended attempts that may have written something, by their nodes.
pub(super) type EndedBy = BTreeMap<NodeId, Vec<Ended>>;

/// The selected attempts that history knows. Where its facts are damaged, `own` node says so.
pub(super) fn ended(resolved: &Resolved, history: &History, own: NodeId) -> EndedBy {
    let run = resolved.run;
    let mut found = EndedBy::new();
    for (task, ordinals) in &resolved.tasks {
        let array = resolved.spec.tasks[*task as usize].indices();
        let attempt = |ordinal, number| {
            let element = Element { run, task: *task, index: array.index(ordinal) };
            Attempt { element, number }
        };
        for told in history.elements(run, *task, ordinals, States::ANY) {
            match told {
                Told::Attempt(fact) => {
                    let Some(list) = list(&fact) else { continue };
                    if resolved.attempt.is_some_and(|number| number != fact.number) {
                        continue;
                    }
                    let ended = Ended {
                        attempt: attempt(fact.ordinal, fact.number),
                        list,
                        bytes: fact.outcome.output_bytes,
                        ended_us: fact.outcome.ended_us,
                    };
                    found.entry(fact.node).or_default().push(ended);
                }
                Told::Ended(..) => {}
                Told::Damaged(range) => {
                    // One word for all of them, where the first of them would be.
                    if let Some(first) = ordinals.ranges_from(*range.start()).next() {
                        let first = (*first.start()).max(*range.start());
                        let attempt = attempt(first, resolved.attempt.unwrap_or(1));
                        let list = List::Damaged;
                        let ended = Ended { attempt, list, bytes: u64::MAX, ended_us: 0 };
                        found.entry(own).or_default().push(ended);
                    }
                }
            }
        }
    }
    found
}

/// What lists an ended attempt's output, if it may have any.
fn list(fact: &AttemptFact) -> Option<List> {
    let outcome = &fact.outcome;
    // A supervisor that is replaced is looked for what it left; of a node that was given up nobody knows more.
    let actor = || fact.because.as_ref().map(|because| because.actor.as_str());
    let is_of_a_loss = || matches!(actor(), Some("node-lost" | "node-removed"));
    match outcome.output {
        Some(at) => Some(List::End(at)),
        None => (outcome.ending == Ending::Gone)
            .then(|| List::Lost { unheard: outcome.started_us > 0 && is_of_a_loss() }),
    }
}

/// The indices of the selected elements, by task.
pub(super) fn indices(resolved: &Resolved) -> BTreeMap<TaskPosition, RangeSet> {
    let task = |(task, ordinals): &(TaskPosition, RangeSet)| {
        let array = resolved.spec.tasks[*task as usize].indices();
        let mut indices = RangeSet::new();
        for range in ordinals.ranges() {
            // With what lies between the steps, which no element has.
            indices.insert_range(array.index(*range.start())..=array.index(*range.end()));
        }
        (*task, indices)
    };
    resolved.tasks.iter().map(task).collect()
}

/// The selected attempts that are placed on a node.
pub(super) fn placed(resolved: &Resolved, view: &View) -> BTreeMap<NodeId, BTreeSet<Attempt>> {
    let mut placed = BTreeMap::<NodeId, BTreeSet<Attempt>>::new();
    let Some(run) = view.state.run(resolved.run) else { return placed };
    for (task, ordinals) in &resolved.tasks {
        let live = &run.tasks[*task as usize].live;
        for (ordinal, one) in ordinals.ranges().flat_map(|range| live.range(range)) {
            if resolved.attempt.is_none_or(|number| number == one.number) {
                let attempt = run.attempt(resolved.run, *task, *ordinal, one.number);
                placed.entry(one.node).or_default().insert(attempt);
            }
        }
    }
    placed
}
