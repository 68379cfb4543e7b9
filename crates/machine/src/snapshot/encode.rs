//! From the state to items.

use std::sync::Arc;

use model::{Because, NodeId, RunId, StopCause};
use prost::Message;
use proto::record::{
    Failure, FreshRun, OpenRun, Placed, RegisterNode, RunTask, SnapshotEnd, SnapshotHeader,
    SnapshotItem, SnapshotKey, SnapshotNode, SnapshotTimer, StateCount, TaskPlaced, TaskTries,
    Tries, snapshot_item::Kind,
};

use crate::members::{JoinToken, JoinTokenId, Member};
use crate::node::Node;
use crate::record::LEVEL;
use crate::run::{Live, Run, TaskRun};
use crate::runs::{Kept, split};
use crate::state::State;
use crate::timers::TimerKind;
use crate::token::Token;

/// Bytes of a piece, beyond its last item, at least.
const PIECE_BYTES: usize = 256 << 10;
/// Elements of one item at most.
const ELEMENTS_MAX: usize = 1024;

/// The state in pieces, which belong one behind the other.
pub fn encode(state: &State) -> impl Iterator<Item = Vec<u8>> + '_ {
    let mut count = 0;
    let items = std::iter::once(header(state))
        .chain(state.nodes.iter().map(|(id, node)| Kind::Node(self::node(*id, node))))
        .chain(state.runs.kept().flat_map(|(id, kept)| run(state, id, kept)))
        .chain(state.keys.iter().map(|(key, answer)| {
            Kind::Key(SnapshotKey {
                key_hash: key.0.to_vec(),
                payload_hash: answer.payload_hash.to_vec(),
                run: answer.run.0,
                at_ms: answer.at_ms,
            })
        }))
        .chain(state.tokens.iter().map(|token| Kind::Token(self::token(token))))
        .chain(members(state))
        .chain(overdue(state));
    let mut items = items.fuse();
    let mut ended = false;
    std::iter::from_fn(move || {
        let mut piece = Vec::new();
        while piece.len() < PIECE_BYTES && !ended {
            let kind = items.next().unwrap_or_else(|| {
                ended = true;
                Kind::End(SnapshotEnd { items: count })
            });
            count += 1;
            let item = SnapshotItem { kind: Some(kind) };
            item.encode_length_delimited(&mut piece).expect("a vector grows");
        }
        (!piece.is_empty()).then_some(piece)
    })
}

fn header(state: &State) -> Kind {
    Kind::Header(SnapshotHeader {
        level: LEVEL,
        applied: state.applied,
        time_ms: state.time_ms,
        last_run: state.last_run.0,
        cluster_id: state.cluster.map(|cluster| cluster.id.to_bytes()).unwrap_or_default(),
        incarnation: state.cluster.map_or(0, |cluster| cluster.incarnation.into()),
        is_recovering: state.is_recovering,
        epoch_floor: state.epoch_floor,
    })
}

fn node(id: NodeId, node: &Node) -> SnapshotNode {
    let label = |(key, value): (&String, &String)| proto::record::Label {
        key: key.clone(),
        value: value.clone(),
    };
    let register = RegisterNode {
        node_id: id.to_bytes(),
        name: node.name.clone(),
        capacity: Some(node.capacity.into()),
        labels: node.labels.iter().map(label).collect(),
        supervisor_id: node.supervisor.to_bytes(),
        version: node.version.clone(),
        containment: node.containment.clone(),
        lease_ms: node.lease_ms,
        recovered: Vec::new(),
        hello: node.hello,
    };
    let drain = node.drain.as_ref();
    SnapshotNode {
        node: Some(register),
        epoch: node.epoch,
        last_seq: node.last_seq,
        is_lost: node.is_lost,
        kept_seq: node.kept_seq,
        drain: drain.map(|drain| drain.because.clone().into()),
        drain_since_ms: drain.map_or(0, |drain| drain.since_ms),
        drain_until_ms: drain.and_then(|drain| drain.until_ms),
        drain_stops: drain.is_some_and(|drain| drain.stops),
    }
}

fn members(state: &State) -> impl Iterator<Item = Kind> + '_ {
    let members = state.members.iter().map(|(id, member)| Kind::Member(self::member(id, member)));
    let tokens = state.members.join_tokens();
    let tokens = tokens.map(|(id, token)| Kind::JoinToken(join_token(id, token)));
    let revoked = state.members.revoked().map(|(node, until_ms)| {
        Kind::Revoked(proto::record::Revoked { node_id: node.to_bytes(), until_ms })
    });
    members.chain(tokens).chain(revoked)
}

fn member(id: NodeId, member: &Member) -> proto::record::Member {
    proto::record::Member {
        node_id: id.to_bytes(),
        name: member.name.clone(),
        control: member.roles.control,
        worker: member.roles.worker,
        address: member.address.clone(),
        api_address: member.api_address.clone(),
        journal_life: member.journal_life,
        joined_ms: member.joined_ms,
    }
}

fn join_token(id: JoinTokenId, token: &JoinToken) -> proto::record::JoinToken {
    let used = |(node, key_hash): &(NodeId, [u8; 32])| proto::record::JoinTokenUse {
        node_id: node.to_bytes(),
        key_hash: key_hash.to_vec(),
    };
    proto::record::JoinToken {
        id: id.to_vec(),
        secret_hash: token.secret_hash.to_vec(),
        control: token.roles.control,
        worker: token.roles.worker,
        expires_ms: token.expires_ms,
        uses_max: token.uses_max,
        used_by: token.used_by.iter().map(used).collect(),
    }
}

fn token(token: &Token) -> proto::record::Token {
    proto::record::Token {
        id: token.id.to_string(),
        name: token.name.clone(),
        role: token.role.to_string(),
        owner: token.owner.clone(),
        run_as: token.run_as.clone(),
        hash: token.hash.to_vec(),
        created_ms: token.created_ms,
        expires_ms: token.expires_ms,
        creator: token.creator.clone(),
    }
}

fn run<'a>(state: &'a State, id: RunId, kept: &'a Kept) -> Box<dyn Iterator<Item = Kind> + 'a> {
    match kept {
        Kept::Fresh(bytes) => {
            let (submitted_ms, job) = split(bytes);
            let fresh = FreshRun { run: id.0, submitted_ms, job: job.to_vec() };
            Box::new(std::iter::once(Kind::Fresh(fresh)))
        }
        Kept::Open(run, _) => {
            let tasks = run.tasks.iter().zip(0..).flat_map(|(of, at)| task(state, of, at));
            Box::new(std::iter::once(open(id, run)).chain(tasks))
        }
    }
}

fn open(id: RunId, run: &Run) -> Kind {
    Kind::Run(OpenRun {
        run: id.0,
        submitted_ms: run.submitted_ms,
        job: Some((&*run.spec).into()),
        canceled: run.canceled.as_deref().cloned().map(Into::into),
        started_us: run.started_us,
        rerun_of: run.rerun_of.map_or(0, |run| run.0),
    })
}

fn task<'a>(state: &'a State, of: &'a TaskRun, task: u32) -> impl Iterator<Item = Kind> + 'a {
    let count = |(state, count): (&model::TaskState, &u64)| StateCount {
        state: state.name().to_owned(),
        count: *count,
    };
    let head = RunTask {
        task,
        queued: proto::ranges(&of.queued),
        delayed: proto::ranges(&of.delayed),
        ended: of.ended.iter().map(count).collect(),
        failure: of.first_failure.as_ref().map(|failure| Failure {
            ordinal: failure.ordinal,
            exit_code: failure.exit_code,
            summary: failure.summary.clone(),
        }),
        given_up: of.given_up,
        taken_failed: of.taken_failed,
    };
    let tries = of.tries.iter().map(|(ordinal, tries)| Tries {
        ordinal: *ordinal,
        attempts: tries.attempts,
        failures: tries.failures,
        losses: tries.losses,
        fence: tries.fence.0,
        node_id: tries.node.to_bytes(),
        due_ms: tries.due_ms,
    });
    let tries = pieces(tries).map(move |tries| Kind::Tries(TaskTries { task, tries }));
    let placed = of.live.iter().map(|(ordinal, live)| self::placed(state, *ordinal, live));
    let placed = pieces(placed).map(move |placed| Kind::Placed(TaskPlaced { task, placed }));
    std::iter::once(Kind::Task(head)).chain(tries).chain(placed)
}

fn placed(state: &State, ordinal: u32, live: &Live) -> Placed {
    let stop = live.stop.as_ref();
    let because = |(_, because): &(StopCause, Arc<Because>)| Because::clone(because).into();
    let seat = state.node(live.node).and_then(|node| node.assigned.get(&live.seq));
    Placed {
        ordinal,
        number: live.number,
        node_id: live.node.to_bytes(),
        seq: live.seq,
        fence: live.fence.0,
        placed_ms: live.placed_ms,
        started_us: live.started_us,
        failures: live.failures,
        losses: live.losses,
        stop: proto::job::StopCause::from(stop.map(|(cause, _)| *cause)) as i32,
        because: stop.map(because),
        ahead: seat.is_some_and(|seat| seat.ahead),
    }
}

/// Timers of tasks that are due already: those that are not are derived.
fn overdue(state: &State) -> impl Iterator<Item = Kind> + '_ {
    let due = state.timers.iter().take_while(|((at_ms, ..), _)| *at_ms <= state.time_ms);
    due.filter_map(|((at_ms, run, task, kind), _)| {
        let total = match kind {
            TimerKind::Retry => return None,
            TimerKind::Pending => false,
            TimerKind::Total => true,
        };
        Some(Kind::Timer(SnapshotTimer { at_ms: *at_ms, run: run.0, task: *task, total }))
    })
}

fn pieces<T>(mut items: impl Iterator<Item = T>) -> impl Iterator<Item = Vec<T>> {
    std::iter::from_fn(move || {
        let piece: Vec<T> = items.by_ref().take(ELEMENTS_MAX).collect();
        (!piece.is_empty()).then_some(piece)
    })
}
