//! What waits: everything that keeps it from running.

use std::collections::BTreeMap;
use std::sync::Arc;

use machine::{Run, TaskRun, Tries};
use model::{RangeSet, RunId, TaskPosition, TaskState, text};

use super::{Asked, Reason, ReasonCode, Why, count_of};

/// Waiting elements that are looked at one by one for when they are due.
const DUE_MAX: usize = 10_000;

/// What placement would place now, of each task.
pub(super) type Plan = BTreeMap<(RunId, TaskPosition), RangeSet>;

/// The groups of a task's elements that wait.
pub(super) fn groups(
    asked: &Asked<'_>,
    run: &Arc<Run>,
    task: TaskPosition,
    ordinals: &RangeSet,
    plan: &mut Option<Plan>,
    answers: &mut Vec<Why>,
) {
    let of = &run.tasks[task as usize];
    let delayed = common(&of.delayed, ordinals);
    if !delayed.is_empty() {
        answers.push(backoff(asked, of, task, &delayed));
    }
    let queued = common(&of.queued, ordinals);
    if queued.is_empty() {
        return;
    }
    let plan = plan.get_or_insert_with(|| asked.plan());
    let nothing = RangeSet::new();
    let chosen = common(plan.get(&(asked.resolved.run, task)).unwrap_or(&nothing), &queued);
    let mut rest = queued;
    chosen.ranges().for_each(|range| rest.remove_range(range));
    if !chosen.is_empty() {
        let mut group = asked.group(task, &chosen, TaskState::Queued);
        group.since_ms = since(run, of, &chosen);
        group.reasons.push(Reason::new(
            ReasonCode::BeingPlaced,
            "a node is being chosen for it just now",
            "nothing has to: it is placed within moments",
        ));
        group.usual = asked.usual(task, None);
        answers.push(group);
    }
    if rest.is_empty() {
        return;
    }
    let mut group = asked.group(task, &rest, TaskState::Queued);
    group.since_ms = since(run, of, &rest);
    let before = asked.before(task, asked.spec(task));
    group.reasons = obstacles(asked, of, task, &before, chosen.len());
    let ahead = before.elements.map(|elements| elements + chosen.len());
    group.usual = asked.usual(task, ahead);
    answers.push(group);
}

/// Every reason why the rest of a task's queued elements is not placed.
fn obstacles(
    asked: &Asked<'_>,
    of: &TaskRun,
    task: TaskPosition,
    before: &super::line::Before,
    chosen: u64,
) -> Vec<Reason> {
    let spec = asked.spec(task);
    let run = asked.resolved.run;
    let mut reasons = asked.holds();
    let most = spec.indices().parallel_max;
    if of.parallel_room(most) <= chosen {
        reasons.push(Reason::new(
            ReasonCode::ArrayLimit,
            format!(
                "the array runs at most {most} of its elements at once, and has that many on nodes"
            ),
            "one of them ends; a new submit may have a higher limit (`--array …%MAX`)",
        ));
    }
    let homes = asked.obstacles(spec);
    reasons.extend(homes.reasons);
    if !homes.some_free {
        reasons.extend(homes.ahead);
    }
    if let Some(reason) = before.reason(run) {
        reasons.push(reason);
    }
    if let Some(late) = before.late.filter(|_| homes.some_free) {
        reasons.push(Reason::new(
            ReasonCode::KeptFree,
            format!("run {late} has waited long for more room than is free, so a node's room may be kept for it"),
            format!("run {late} is placed, or canceled with `windlass cancel {late}`"),
        ));
    }
    if homes.some_free && chosen > 0 {
        let text = format!(
            "{} of the same task {} before it, and then there is no room left",
            count_of(chosen, "element"),
            if chosen == 1 { "is placed" } else { "are placed" },
        );
        reasons.push(Reason::new(ReasonCode::Behind, text, "one of those that run ends"));
    }
    // Those before it in their order are about one node each.
    let told = |reason: &Reason| reason.code >= ReasonCode::KeptFree;
    if homes.some_free && !reasons.iter().any(told) {
        reasons.push(Reason::new(
            ReasonCode::KeptFree,
            "the room of every node is kept for what has waited on it, or for it, for long",
            "what waits longer gets its seat or is canceled; `windlass node ls` shows where something waits",
        ));
    }
    reasons
}

fn backoff(asked: &Asked<'_>, of: &TaskRun, task: TaskPosition, delayed: &RangeSet) -> Why {
    let mut group = asked.group(task, delayed, TaskState::Queued);
    let of_each = delayed.iter().take(DUE_MAX).filter_map(|ordinal| of.tries.get(&ordinal));
    let tries: Vec<Tries> = of_each.copied().collect();
    let first = tries.iter().min_by_key(|tries| tries.due_ms).copied().unwrap_or_default();
    let last_ms = tries.iter().map(|tries| tries.due_ms).max().unwrap_or(0);
    let node = asked.view.node_name(first.node);
    let wait = |until_ms: u64| text::duration_ms(until_ms.saturating_sub(asked.situation.now_ms));
    let behind = match (first.attempts, first.failures, first.losses) {
        (1, 1, 0) => format!("the first failed on node {node}"),
        (1, ..) => format!("the first was lost or refused on node {node}"),
        (_, failures, 0) => format!("{failures} failed, the last on node {node}"),
        (_, 0, losses) => format!("{losses} were lost or refused, the last on node {node}"),
        (_, failures, losses) => {
            format!("{failures} failed, {losses} were lost or refused, the last on node {node}")
        }
    };
    let mut text = match group.count {
        1 => format!(
            "it waits {} before attempt {}: {behind}",
            wait(first.due_ms),
            first.attempts + 1,
        ),
        _ => format!(
            "they wait before their next attempts, the first for {}, the last for {}",
            wait(first.due_ms),
            wait(last_ms),
        ),
    };
    let retries = &asked.spec(task).retries;
    if first.failures > 0 {
        text.push_str(&format!(
            "; the job allows {}",
            match retries.attempts {
                1 => "1 retry".to_owned(),
                many => format!("{many} retries"),
            }
        ));
    }
    let mut reason =
        Reason::new(ReasonCode::Backoff, text, "nothing has to: it is due then, and wants a node");
    reason.until_ms = first.due_ms;
    group.reasons.push(reason);
    group.reasons.extend(asked.holds());
    group
}

impl Asked<'_> {
    /// What keeps everything from being placed.
    fn holds(&self) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if let Some(disk) = &self.situation.full_disk {
            reasons.push(Reason::new(
                ReasonCode::DiskReserve,
                format!("nothing is placed, for the disk of `{disk}` is nearly full"),
                format!(
                    "free some space on the disk of `{disk}`, or `windlass purge` what has ended"
                ),
            ));
        }
        if self.view.state.is_recovering() {
            reasons.push(Reason::new(
                ReasonCode::Recovering,
                "nothing is placed, for the cluster was recovered, and tasks of before may still run until the leases of their nodes are over",
                "nothing has to: that is over within a minute, or as long as the longest lease",
            ));
        }
        if self.situation.closing {
            reasons.push(Reason::new(
                ReasonCode::GoingDown,
                "nothing is placed, for the node goes down",
                "start it again with `windlass up`",
            ));
        }
        reasons
    }

    /// What placement would place now.
    fn plan(&self) -> Plan {
        let mut plan = Plan::new();
        let recovering = self.view.state.is_recovering();
        if self.situation.full_disk.is_some() || self.situation.closing || recovering {
            return plan;
        }
        for place in reactor::placement::plan(&self.view.state, &self.room()).places {
            for pick in place.picks {
                let ordinals = plan.entry((RunId(pick.run), pick.task)).or_default();
                proto::element_ranges(&pick.ordinals)
                    .for_each(|range| ordinals.insert_range(range));
            }
        }
        plan
    }
}

/// Since when they wait: known of what was never tried.
fn since(run: &Run, of: &TaskRun, ordinals: &RangeSet) -> u64 {
    let is_fresh = |range: std::ops::RangeInclusive<u32>| {
        of.tries.range(range.clone()).take(DUE_MAX).count() as u64
            <= u64::from(*range.end() - *range.start())
    };
    match ordinals.ranges().next().is_some_and(is_fresh) {
        true => run.submitted_ms,
        false => 0,
    }
}

fn common(set: &RangeSet, wanted: &RangeSet) -> RangeSet {
    let mut found = RangeSet::new();
    wanted.ranges().for_each(|range| found.append_common(set, range));
    found
}
