//! Getting a command committed: from the question to the machine's answer.
//!
//! It exists so that every caller is told alike why there is none. It must never try again: what a
//! refusal leaves undone is for whoever asked.

use std::time::Duration;

use machine::{Answer, Refusal};
use proto::record::command::Kind;
use reactor::control::Unavailable;
use tokio::sync::oneshot;

use crate::control;
use crate::error::Refused;
use crate::handle::Handle;
use crate::traces;

/// When to try again what was one too many of many requests: they are done within moments.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// When to try again where idempotency keys have to be forgotten first.
const KEYS_RETRY: Duration = Duration::from_secs(3600);

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
        let (reply, answer) = oneshot::channel();
        let request = control::Input::Request { command, reply, submit };
        let gone = || Refused::Unavailable("the node stops".to_owned());
        self.shared.requests.send(request).await.map_err(|_| gone())?;
        match answer.await.map_err(|_| Refused::OutcomeUnknown)? {
            Ok(Answer::Refused(refusal)) => Err(refused(refusal)),
            Ok(answer) => Ok(answer),
            Err(Unavailable::NotLeader) => {
                Err(Refused::Unavailable("no leader is known just now; try again".to_owned()))
            }
            Err(Unavailable::Overloaded) => Err(overloaded("too many requests wait")),
            Err(Unavailable::OutcomeUnknown) => Err(Refused::OutcomeUnknown),
        }
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
        other => Refused::Failed(other.to_string()),
    }
}

fn overloaded(why: &str) -> Refused {
    Refused::Overloaded { why: why.to_owned(), retry_after: RETRY_AFTER }
}
