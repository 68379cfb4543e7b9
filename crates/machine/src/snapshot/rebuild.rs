//! From items to the state, with everything that was left out derived again.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::{
    Because, ClusterId, Fence, JobSpec, NodeId, RangeSet, RunId, StopCause, SupervisorId, TaskState,
};
use prost::Message;
use proto::record::{
    FreshRun, OpenRun, Placed, RunTask, SnapshotHeader, SnapshotKey, SnapshotNode, SnapshotTimer,
    TaskPlaced, TaskTries, snapshot_item::Kind,
};

use crate::command;
use crate::keys::{KeyAnswer, KeyHash};
use crate::node::{Assigned, Drain, Node};
use crate::run::{Failure, Live, Run, TaskRun, Tries};
use crate::runs::Kept;
use crate::state::{Cluster, Head, State};
use crate::timers::{self, TimerKind};

/// What is wrong with an item, in words.
type Taken = Result<(), String>;

/// The greatest index that is believed. A fence has 48 bits for one; a journal that goes on from
/// here for ages still has room.
const APPLIED_MAX: u64 = 1 << 47;

#[derive(Debug, Default)]
pub(super) struct Rebuild {
    state: State,
    /// The open run whose tasks are coming.
    open: Option<(RunId, Run)>,
    /// What the nodes hold, by node and the number of the assignment.
    assigned: BTreeMap<(NodeId, u64), Assigned>,
}

impl Rebuild {
    pub(super) fn take(&mut self, kind: Kind, is_first: bool) -> Taken {
        if is_first != matches!(kind, Kind::Header(_)) {
            return Err("the header comes first, and once".to_owned());
        }
        match kind {
            Kind::Task(task) => return self.task(task),
            Kind::Tries(tries) => return self.tries(tries),
            Kind::Placed(placed) => return self.placed(placed),
            _ => self.close()?,
        }
        match kind {
            Kind::Header(header) => self.header(&header),
            Kind::Node(node) => self.node(node),
            Kind::Fresh(fresh) => self.fresh(&fresh),
            Kind::Run(run) => self.run(run),
            Kind::Key(key) => self.key(key),
            Kind::Timer(timer) => self.timer(timer),
            Kind::Token(token) => self.token(&token),
            Kind::Member(member) => self.member(&member),
            Kind::JoinToken(token) => self.join_token(&token),
            Kind::Revoked(revoked) => self.revoked(&revoked),
            _ => Err("its count of items is wrong".to_owned()),
        }
    }

    pub(super) fn finish(mut self) -> Result<State, String> {
        self.close()?;
        for ((id, seq), assigned) in std::mem::take(&mut self.assigned) {
            let node = self.state.node_mut(id).ok_or("something is placed on an unknown node")?;
            if seq > node.last_seq {
                return Err("an assignment is numbered above the last one".to_owned());
            }
            node.restore(seq, assigned);
        }
        for node in self.state.nodes.values() {
            let epochs_from = self.state.cluster.map_or(0, Cluster::epochs_from);
            if let Some(fault) = node.fault(epochs_from).or_else(|| self.state.goes_on(node)) {
                return Err(format!("node {}: {fault}", node.name));
            }
        }
        Ok(self.state)
    }

    fn header(&mut self, header: &SnapshotHeader) -> Taken {
        if header.applied > APPLIED_MAX {
            return Err("no journal is so long".to_owned());
        }
        let state = &mut self.state;
        (state.applied, state.time_ms) = (header.applied, header.time_ms);
        state.last_run = RunId(header.last_run);
        state.epoch_floor = header.epoch_floor;
        if !header.cluster_id.is_empty() {
            let id = ClusterId::from_bytes(&header.cluster_id).ok_or("no cluster has this id")?;
            let incarnation =
                u16::try_from(header.incarnation).map_err(|_| "no incarnation is so high")?;
            state.cluster = Some(Cluster { id, incarnation });
            state.is_recovering = header.is_recovering;
        }
        Ok(())
    }

    fn node(&mut self, item: SnapshotNode) -> Taken {
        let register = item.node.ok_or("a node has no description")?;
        let id = node_id(&register.node_id)?;
        let drain = item.drain.map(|because| Drain {
            because: because.into(),
            since_ms: item.drain_since_ms,
            until_ms: item.drain_until_ms,
            stops: item.drain_stops,
        });
        let timer = drain.as_ref().filter(|drain| !drain.stops).and_then(|drain| drain.until_ms);
        if let Some(until_ms) = timer {
            self.state.timers.drain(until_ms, id);
        }
        let node = Node {
            name: register.name,
            capacity: register.capacity.ok_or("a node has no capacity")?.into(),
            labels: register.labels.into_iter().map(|label| (label.key, label.value)).collect(),
            version: register.version,
            containment: register.containment,
            supervisor: SupervisorId::from_bytes(&register.supervisor_id)
                .ok_or("no supervisor has this id")?,
            epoch: item.epoch,
            lease_ms: register.lease_ms,
            hello: register.hello,
            is_lost: item.is_lost,
            last_seq: item.last_seq,
            kept_seq: item.kept_seq,
            drain,
            ..Node::default()
        };
        match self.state.nodes.insert(id, Arc::new(node)) {
            None => Ok(()),
            Some(_) => Err("a node is there twice".to_owned()),
        }
    }

    fn fresh(&mut self, fresh: &FreshRun) -> Taken {
        let id = self.new_run(fresh.run)?;
        let job =
            proto::job::Job::decode(&*fresh.job).map_err(|error| format!("run {id}: {error}"))?;
        let spec = JobSpec::try_from(job).map_err(|error| format!("run {id}: {error}"))?;
        sound(&spec)?;
        self.timers(&spec, fresh.submitted_ms, id);
        self.state.take_in(
            id,
            Kept::fresh_encoded(fresh.submitted_ms, &fresh.job),
            &Head::fresh(&spec),
        );
        Ok(())
    }

    fn run(&mut self, item: OpenRun) -> Taken {
        let id = self.new_run(item.run)?;
        let job = item.job.ok_or("a run has no job")?;
        let spec = JobSpec::try_from(job).map_err(|error| format!("run {id}: {error}"))?;
        sound(&spec)?;
        let mut run = Run::new(Arc::new(spec), item.submitted_ms);
        run.tasks.iter_mut().for_each(|task| task.queued = RangeSet::new());
        run.canceled = item.canceled.map(|because| Arc::new(Because::from(because)));
        run.started_us = item.started_us;
        run.rerun_of = (item.rerun_of > 0).then_some(RunId(item.rerun_of));
        self.open = Some((id, run));
        Ok(())
    }

    fn task(&mut self, item: RunTask) -> Taken {
        let (_, run) = self.open.as_mut().ok_or("a task belongs to no run")?;
        let task = run.tasks.get_mut(item.task as usize).ok_or("its run has no such task")?;
        task.queued = proto::element_ranges(&item.queued).collect();
        task.delayed = proto::element_ranges(&item.delayed).collect();
        for count in item.ended {
            let state: TaskState = count.state.parse().map_err(|()| "nobody knows this state")?;
            task.count_ended(state, count.count);
        }
        task.first_failure = item.failure.map(|failure| Failure {
            ordinal: failure.ordinal,
            exit_code: failure.exit_code,
            summary: failure.summary,
        });
        task.given_up = item.given_up;
        if item.taken_failed > task.failed_count() {
            return Err("more failures were taken over than there are".to_owned());
        }
        task.taken_failed = item.taken_failed;
        Ok(())
    }

    fn tries(&mut self, item: TaskTries) -> Taken {
        let (_, run) = self.open.as_mut().ok_or("tries belong to no run")?;
        let task = run.tasks.get_mut(item.task as usize).ok_or("its run has no such task")?;
        for tries in item.tries {
            if task.delayed.contains(tries.ordinal) != (tries.due_ms > 0) {
                return Err("an element waits for no time, or for none that it knows".to_owned());
            }
            let kept = Tries {
                attempts: tries.attempts,
                failures: tries.failures,
                losses: tries.losses,
                fence: Fence(tries.fence),
                node: node_id(&tries.node_id)?,
                due_ms: tries.due_ms,
            };
            task.tries.insert(tries.ordinal, kept);
        }
        Ok(())
    }

    fn placed(&mut self, item: TaskPlaced) -> Taken {
        let (id, run) = self.open.as_mut().ok_or("what is placed belongs to no run")?;
        let spec = run.spec.tasks.get(item.task as usize).ok_or("its run has no such task")?;
        let task = &mut run.tasks[item.task as usize];
        for placed in item.placed {
            let (ordinal, seq, ahead) = (placed.ordinal, placed.seq, placed.ahead);
            let live = live(placed)?;
            let (run, task_at, wants) = (*id, item.task, spec.resources);
            let assigned = Assigned { run, task: task_at, ordinal, wants, ahead };
            let other = self.assigned.insert((live.node, seq), assigned);
            if other.is_some() || task.live.insert(ordinal, live).is_some() {
                return Err("two elements have one place, or one has two".to_owned());
            }
        }
        Ok(())
    }

    /// Puts the open run where it belongs.
    fn close(&mut self) -> Taken {
        let Some((id, run)) = self.open.take() else { return Ok(()) };
        for (task, spec) in run.tasks.iter().zip(&run.spec.tasks) {
            let count = u64::from(spec.indices().count());
            let waits =
                |ordinal: &u32| task.queued.contains(*ordinal) || task.delayed.contains(*ordinal);
            let ended = task.ended.values().try_fold(0u64, |sum, count| sum.checked_add(*count));
            let known = task.queued.len() + task.delayed.len() + task.live.len() as u64;
            let mut all = task.queued.clone();
            task.delayed.ranges().for_each(|range| all.insert_range(range));
            let below = |last: u32| u64::from(last) < count;
            let sound = ended.and_then(|ended| ended.checked_add(known)) == Some(count)
                && all.len() == task.queued.len() + task.delayed.len()
                && all.last().is_none_or(below)
                && task.live.get_max().is_none_or(|(last, _)| below(*last))
                && !task.live.keys().any(waits)
                && task.tries.keys().all(waits)
                && task.delayed.iter().all(|ordinal| task.tries.contains_key(&ordinal));
            if !sound {
                return Err(format!("run {id}: its elements do not add up"));
            }
        }
        if run.has_ended() {
            return Err(format!("run {id}: it has ended"));
        }
        self.timers(&run.spec, run.submitted_ms, id);
        for (task, position) in run.tasks.iter().zip(0..) {
            for (ordinal, tries) in task.tries.iter().filter(|(_, tries)| tries.due_ms > 0) {
                self.state.timers.delay(tries.due_ms, id, position, *ordinal);
            }
        }
        let waiting = run.tasks.iter().map(TaskRun::waiting).sum();
        let (head, tasks) = (Head::new(&run.spec, waiting), run.tasks.len() as u32);
        self.state.take_in(id, Kept::opened(run), &head);
        (0..tasks).for_each(|task| self.state.requeue(id, task));
        Ok(())
    }

    fn key(&mut self, key: SnapshotKey) -> Taken {
        let half = |hash: Vec<u8>, of: &str| {
            hash.try_into().map_err(|_| format!("no hash of a {of} is so long"))
        };
        let payload_hash = half(key.payload_hash, "payload")?;
        let key_hash = KeyHash(half(key.key_hash, "key")?);
        if self.state.keys.get(key_hash).is_some() {
            return Err("a key is there twice".to_owned());
        }
        let answer = KeyAnswer { payload_hash, run: RunId(key.run), at_ms: key.at_ms };
        self.state.keys.insert(key_hash, answer);
        Ok(())
    }

    fn token(&mut self, token: &proto::record::Token) -> Taken {
        let token = command::token::read(token).map_err(|refusal| refusal.to_string())?;
        let tokens = &mut self.state.tokens;
        if tokens.is_named(&token.name) || tokens.get(&token.id).is_some() {
            return Err("a token is there twice".to_owned());
        }
        tokens.insert(token);
        Ok(())
    }

    fn member(&mut self, member: &proto::record::Member) -> Taken {
        let (node, member) =
            command::member::read(member).map_err(|refusal| refusal.to_string())?;
        if self.state.members.get(node).is_some() {
            return Err("a member is there twice".to_owned());
        }
        self.state.members.set(node, member);
        Ok(())
    }

    fn join_token(&mut self, token: &proto::record::JoinToken) -> Taken {
        let (id, token) =
            command::member::read_token(token).map_err(|refusal| refusal.to_string())?;
        if self.state.members.join_token(id).is_some() {
            return Err("a join token is there twice".to_owned());
        }
        self.state.members.insert_token(id, token);
        Ok(())
    }

    fn revoked(&mut self, revoked: &proto::record::Revoked) -> Taken {
        let node = node_id(&revoked.node_id)?;
        if self.state.members.get(node).is_some() {
            return Err("a node was removed and is a member".to_owned());
        }
        self.state.members.restore_revoked(node, revoked.until_ms);
        Ok(())
    }

    fn timer(&mut self, timer: SnapshotTimer) -> Taken {
        let (run, kind) = (
            RunId(timer.run),
            match timer.total {
                true => TimerKind::Total,
                false => TimerKind::Pending,
            },
        );
        if !self.state.runs.contains(run) {
            return Err("a timer is for an unknown run".to_owned());
        }
        self.state.timers.set((timer.at_ms, run, timer.task, kind));
        Ok(())
    }

    /// Derives the timers of a run's tasks that are not due yet.
    fn timers(&mut self, spec: &JobSpec, submitted_ms: u64, id: RunId) {
        for (task, position) in spec.tasks.iter().zip(0..) {
            for timer in timers::of_task(task, submitted_ms, id, position) {
                if timer.0 > self.state.time_ms {
                    self.state.timers.set(timer);
                }
            }
        }
    }

    fn new_run(&self, id: u64) -> Result<RunId, String> {
        let id = RunId(id);
        match id <= self.state.last_run && !self.state.runs.contains(id) {
            true => Ok(id),
            false => Err(format!("run {id} is there twice, or above the last one")),
        }
    }
}

/// What the machine needs of a job to work with it at all.
fn sound(spec: &JobSpec) -> Taken {
    let sound = |task: &model::TaskSpec| task.array.is_none_or(|a| a.step > 0 && a.first <= a.last);
    match !spec.tasks.is_empty() && spec.tasks.iter().all(sound) {
        true => Ok(()),
        false => Err("a run has no tasks, or one without elements".to_owned()),
    }
}

fn live(placed: Placed) -> Result<Live, String> {
    let cause = proto::job::StopCause::try_from(placed.stop).map_err(|e| e.to_string())?;
    let cause: Option<StopCause> = cause.into();
    let because = Arc::new(placed.because.map(Because::from).unwrap_or_default());
    Ok(Live {
        number: placed.number,
        node: node_id(&placed.node_id)?,
        seq: placed.seq,
        fence: Fence(placed.fence),
        placed_ms: placed.placed_ms,
        started_us: placed.started_us,
        failures: placed.failures,
        losses: placed.losses,
        stop: cause.map(|cause| (cause, because)),
    })
}

fn node_id(bytes: &[u8]) -> Result<NodeId, String> {
    NodeId::from_bytes(bytes).ok_or_else(|| "no node has this id".to_owned())
}
