//! What the cluster promises of one name, as a sequential thing: nothing, a run that goes on, a run that has ended.
//!
//! All that clients do with one name is checked alone: a history is linearizable where it is for each object of its own.

use todc_utils::specifications::Specification;

use crate::wire::{Ask, Reply, Status};

/// One name.
pub(super) struct Name;

/// What is known of it. The number of its run comes with the first answer that tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum State {
    Nothing,
    GoesOn(Option<u64>),
    Ended(Option<u64>),
}

/// What was asked, and the answer; `None` where nobody knows whether it was done.
pub(super) type Operation = (Ask, Option<Reply>);

impl Specification for Name {
    type State = State;
    type Operation = Operation;

    fn init() -> State {
        State::Nothing
    }

    fn apply((ask, reply): &Operation, state: &State) -> (bool, State) {
        match step(*ask, *reply, *state) {
            Some(next) => (true, next),
            None => (false, *state),
        }
    }
}

/// The state behind the operation; `None` where that answer cannot be given in this state.
fn step(ask: Ask, reply: Option<Reply>, state: State) -> Option<State> {
    let Some(reply) = reply else { return Some(unknown(ask, state)) };
    match (ask, reply, state) {
        // A host asks the leader again where it does not know what became of the first time, so that
        // it may be told of its own doing that it was done before.
        (Ask::Submit { .. }, Reply::Submitted { run, .. }, State::Nothing) => {
            Some(State::GoesOn(Some(run)))
        }
        (Ask::Submit { .. }, Reply::Submitted { run, repeated: true }, _) => state.of(run),
        (Ask::Cancel { run }, Reply::Canceled, State::GoesOn(_)) => state.of(run)?.ended(),
        (Ask::Cancel { run }, Reply::HadEnded, _) => state.of(run)?.ended(),
        (Ask::Named { .. }, Reply::NotThere, State::Nothing) => Some(state),
        (Ask::Named { .. } | Ask::Status { .. }, Reply::Run { run, status }, _) => {
            let found = state.of(run)?;
            let fits = match found {
                State::Nothing => false,
                State::GoesOn(_) => status == Status::GoesOn,
                State::Ended(_) => status == Status::Ended,
            };
            fits.then_some(found)
        }
        _ => None,
    }
}

/// What it has come to where it was done; where it was not, it comes last and nobody sees it.
fn unknown(ask: Ask, state: State) -> State {
    match (ask, state) {
        (Ask::Submit { .. }, State::Nothing) => State::GoesOn(None),
        (Ask::Cancel { run }, State::GoesOn(_)) => {
            state.of(run).and_then(State::ended).unwrap_or(state)
        }
        _ => state,
    }
}

impl State {
    fn ended(self) -> Option<State> {
        match self {
            State::Nothing => None,
            State::GoesOn(run) | State::Ended(run) => Some(State::Ended(run)),
        }
    }

    /// The same, with its run known to be this one; `None` where it is another, or there is none.
    fn of(self, run: u64) -> Option<State> {
        let fits = |known: Option<u64>| known.is_none_or(|known| known == run);
        match self {
            State::GoesOn(known) if fits(known) => Some(State::GoesOn(Some(run))),
            State::Ended(known) if fits(known) => Some(State::Ended(Some(run))),
            _ => None,
        }
    }
}
