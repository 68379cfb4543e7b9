//! Getting a command committed: from the question to the machine's answer, by the leader, wherever
//! that is.
//!
//! It exists so that every caller is told alike why there is none. What certainly was not done is
//! tried again for as long as an election takes; what may have been done only where doing it twice
//! is the same as once.

use std::time::Duration;

use machine::{Answer, Refusal};
use proto::peer::{ask, told};
use proto::record::{Command, command::Kind};
use reactor::control::Unavailable;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::cluster::ways::{LEADER_WITHIN, Unasked, Way, no_leader};
use crate::cluster::wire;
use crate::control;
use crate::error::Refused;
use crate::handle::Handle;
use crate::traces;

/// When to try again what was one too many of many requests: they are done within moments.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// When to try again where idempotency keys have to be forgotten first.
const KEYS_RETRY: Duration = Duration::from_secs(3600);
/// How long between two tries.
const AGAIN: Duration = Duration::from_millis(20);

/// What becomes of one try.
enum Tried {
    Done(Result<Answer, Refused>),
    /// Nothing was done.
    Nothing,
    /// It may have been done.
    Unknown,
}

impl Handle {
    pub(crate) async fn commit(&self, command: Kind) -> Result<Answer, Refused> {
        self.commit_traced(command, None).await
    }

    /// A submit comes with what its trace tells of it.
    pub(crate) async fn commit_traced(
        &self,
        command: Kind,
        submit: Option<Box<traces::Submitted>>,
    ) -> Result<Answer, Refused> {
        let mut maybe_done = false;
        match self.try_until_late(command, submit, &mut maybe_done).await {
            // What refuses the last try says nothing of one before it.
            Err(Refused::Unavailable(_) | Refused::Overloaded { .. }) if maybe_done => {
                Err(Refused::OutcomeUnknown)
            }
            answer => answer,
        }
    }

    /// Says by `maybe_done` whether some try may have been done.
    async fn try_until_late(
        &self,
        command: Kind,
        mut submit: Option<Box<traces::Submitted>>,
        maybe_done: &mut bool,
    ) -> Result<Answer, Refused> {
        let until = Instant::now() + LEADER_WITHIN;
        loop {
            let tried = match self.shared.ways.wait().await? {
                Way::Here => self.commit_here(command.clone(), submit.take()).await?,
                Way::There(leader) => {
                    let command = Command { kind: Some(command.clone()) };
                    let asked = self.shared.ways.ask(leader, ask::Kind::Command(command)).await;
                    there(asked)
                }
            };
            *maybe_done |= matches!(tried, Tried::Unknown);
            let late = Instant::now() >= until;
            match tried {
                Tried::Done(answer) => return answer,
                Tried::Nothing if late => return Err(no_leader()),
                Tried::Unknown if late || !is_idempotent(&command) => {
                    return Err(Refused::OutcomeUnknown);
                }
                Tried::Nothing | Tried::Unknown => tokio::time::sleep(AGAIN).await,
            }
        }
    }

    /// The same for another node that believes this one to lead.
    pub(crate) async fn commit_for_another(&self, command: Kind) -> Result<Answer, Refused> {
        match self.commit_here(command, None).await? {
            Tried::Done(answer) => answer,
            Tried::Nothing => Err(no_leader()),
            Tried::Unknown => Err(Refused::OutcomeUnknown),
        }
    }

    async fn commit_here(
        &self,
        command: Kind,
        submit: Option<Box<traces::Submitted>>,
    ) -> Result<Tried, Refused> {
        let (reply, answer) = oneshot::channel();
        let request = control::Input::Request { command, reply, submit };
        let gone = || Refused::Unavailable("the node stops".to_owned());
        self.shared.requests.send(request).await.map_err(|_| gone())?;
        Ok(match answer.await.map_err(|_| Refused::OutcomeUnknown)? {
            Ok(Answer::Refused(refusal)) => Tried::Done(Err(refused(refusal))),
            Ok(answer) => Tried::Done(Ok(answer)),
            Err(Unavailable::NotLeader) => Tried::Nothing,
            Err(Unavailable::Overloaded) => Tried::Done(Err(overloaded("too many requests wait"))),
            Err(Unavailable::OutcomeUnknown) => Tried::Unknown,
        })
    }
}

fn there(asked: Result<told::Kind, Unasked>) -> Tried {
    match asked {
        Ok(told::Kind::Committed(committed)) => match wire::answer(committed) {
            Some(answer) => Tried::Done(Ok(answer)),
            None => Tried::Done(Err(Refused::Failed(
                "the leader's answer cannot be read; it may be of a newer version".to_owned(),
            ))),
        },
        Err(Unasked::Refused(Refused::OutcomeUnknown)) | Err(Unasked::Unknown) => Tried::Unknown,
        // It does not lead, or not yet.
        Err(Unasked::Nothing | Unasked::Refused(Refused::Unavailable(_))) => Tried::Nothing,
        Err(Unasked::Refused(refused)) => Tried::Done(Err(refused)),
        Ok(_) => Tried::Unknown,
    }
}

/// Whether doing it twice is the same as once.
fn is_idempotent(command: &Kind) -> bool {
    match command {
        Kind::SubmitJob(submit) => !submit.idempotency_key.is_empty(),
        Kind::SetMember(_) | Kind::AdmitNode(_) | Kind::Cancel(_) => true,
        Kind::DrainNode(_) | Kind::ResumeNode(_) => true,
        _ => false,
    }
}

fn refused(refusal: Refusal) -> Refused {
    match refusal {
        Refusal::KeyUsed { run } => Refused::KeyUsed { run },
        Refusal::KeysFull => {
            Refused::Overloaded { why: refusal.to_string(), retry_after: KEYS_RETRY }
        }
        Refusal::UnknownRun { .. } | Refusal::UnknownTask { .. } => {
            Refused::NotFound(refusal.to_string())
        }
        Refusal::UnknownToken { .. } => Refused::NotFound(refusal.to_string()),
        Refusal::TokenThere { .. } | Refusal::TokensFull => Refused::Unfit(refusal.to_string()),
        Refusal::UnknownNode { node } => Refused::NotFound(format!("there is no node `{node}`")),
        Refusal::NotRemovable { .. } => Refused::InTheWay(refusal.to_string()),
        Refusal::JoinTokensFull
        | Refusal::UnknownJoinToken
        | Refusal::JoinTokenRoles { .. }
        | Refusal::JoinTokenUsedUp { .. }
        | Refusal::MemberThere { .. }
        | Refusal::MembersFull
        | Refusal::NodeRevoked { .. } => Refused::Unfit(refusal.to_string()),
        other => Refused::Failed(other.to_string()),
    }
}

fn overloaded(why: &str) -> Refused {
    Refused::Overloaded { why: why.to_owned(), retry_after: RETRY_AFTER }
}
