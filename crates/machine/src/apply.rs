//! Applying one batch: the checks that hold for all commands, then each in its turn.

use proto::record::{Batch, command::Kind};

use crate::command;
use crate::context::Context;
use crate::event::{Answer, Event, Refusal};
use crate::fire;
use crate::state::State;

/// What a batch did.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// One for each command, in their order; empty where the batch was refused whole.
    pub answers: Vec<Answer>,
    /// What happened, in order.
    pub events: Vec<Event>,
    /// Why the batch was refused whole, if it was.
    pub refused: Option<BatchRefused>,
}

/// Why a batch was refused whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchRefused {
    /// Another leader made it than the one that wrote its entry.
    Leader,
    /// It was made in another incarnation of the cluster.
    Incarnation,
}

impl State {
    /// Applies the batch at `index`, written by the leader `(term, node)`. It cannot fail: what
    /// does not hold is refused in its answer.
    pub fn apply(&mut self, index: u64, leader: (u64, u64), batch: &Batch) -> Applied {
        debug_assert!(index > self.applied, "batches are applied once, in order");
        self.applied = index;
        let header = batch.header.unwrap_or_default();
        let refuse = |refused| Applied { refused: Some(refused), ..Applied::default() };
        if (header.leader_term, header.leader_node) != leader {
            return refuse(BatchRefused::Leader);
        }
        let incarnation = self.cluster.map(|cluster| u32::from(cluster.incarnation));
        if incarnation.is_some_and(|current| current != header.incarnation) {
            return refuse(BatchRefused::Incarnation);
        }
        self.time_ms = self.time_ms.max(header.time_ms);
        let mut context = Context { index, now_ms: self.time_ms, events: Vec::new() };
        fire::due(self, &mut context);
        let answers =
            (batch.commands.iter()).map(|c| self.apply_one(&mut context, c.kind.as_ref()));
        let answers = answers.collect();
        Applied { answers, events: context.events, refused: None }
    }

    /// Notes that the journal's own entry at `index` has been passed.
    pub fn pass(&mut self, index: u64) {
        debug_assert!(index > self.applied, "entries are passed once, in order");
        self.applied = index;
    }

    fn apply_one(&mut self, context: &mut Context, kind: Option<&Kind>) -> Answer {
        let answer = match kind {
            Some(Kind::Found(found)) => command::found::apply(self, found),
            _ if self.cluster.is_none() => Err(Refusal::NotFounded),
            Some(Kind::RegisterNode(node)) => command::register_node::apply(self, context, node),
            Some(Kind::LoseNode(lose)) => command::lose_node::apply(self, context, lose),
            Some(Kind::Recover(recover)) => command::recover::begin(self, context, recover),
            Some(Kind::EndRecovery(end)) => command::recover::end(self, context, end),
            Some(Kind::DrainNode(drain)) => command::drain_node::drain(self, context, drain),
            Some(Kind::ResumeNode(resume)) => command::drain_node::resume(self, context, resume),
            Some(Kind::RemoveNode(remove)) => command::remove_node::apply(self, context, remove),
            Some(Kind::SubmitJob(submit)) => command::submit_job::apply(self, context, submit),
            Some(Kind::Place(place)) => command::place::apply(self, context, place),
            Some(Kind::TurnAway(turn)) => command::turn_away::apply(self, context, turn),
            Some(Kind::Report(report)) => command::report::apply(self, context, report),
            Some(Kind::Cancel(cancel)) => command::cancel::apply(self, context, cancel),
            Some(Kind::Wake(_)) => Ok(Answer::Woken),
            Some(Kind::CreateToken(create)) => command::token::create(self, context, create),
            Some(Kind::RevokeToken(revoke)) => command::token::revoke(self, context, revoke),
            Some(Kind::CreateJoinToken(create)) => {
                command::member::create_token(self, context, create)
            }
            Some(Kind::AdmitNode(admit)) => command::member::admit(self, context, admit),
            Some(Kind::SetMember(set)) => command::member::set(self, context, set),
            Some(Kind::Note(note)) => command::note::apply(context, note),
            None => Err(Refusal::Invalid(proto::Invalid("command"))),
        };
        answer.unwrap_or_else(Answer::Refused)
    }
}
