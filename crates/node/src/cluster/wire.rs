//! What the leader answers another node, as messages and back.
//!
//! Only what a caller of a [`crate::Handle`] can be told is here: the rest of the machine's answers
//! never leaves its node.

use std::time::Duration;

use journal::raft::Progress;
use machine::Answer;
use model::RunId;
use proto::peer::{
    Canceled, Committed, Refusal, Submitted, committed, committed::Plain, refusal::Code,
};

use crate::error::Refused;

/// An answer as it is sent; `None` for one that answers nobody.
pub(crate) fn committed(answer: &Answer) -> Option<Committed> {
    use committed::Answer as Sent;
    let plain = |plain: Plain| Sent::Plain(plain as i32);
    let answer = match *answer {
        Answer::Submitted { run, repeated } => Sent::Submitted(Submitted { run: run.0, repeated }),
        Answer::Canceled { ended, stopping, already_ended } => {
            Sent::Canceled(Canceled { ended, stopping, already_ended })
        }
        Answer::TokenCreated { expires_ms } => Sent::TokenCreated(expires_ms),
        Answer::TokenRevoked => plain(Plain::TokenRevoked),
        Answer::Noted => plain(Plain::Noted),
        Answer::JoinTokenCreated => plain(Plain::JoinTokenCreated),
        Answer::Admitted => plain(Plain::Admitted),
        Answer::MemberSet => plain(Plain::MemberSet),
        Answer::Draining => plain(Plain::Draining),
        Answer::Resumed { was_drained: true } => plain(Plain::Resumed),
        Answer::Resumed { was_drained: false } => plain(Plain::WasNotDrained),
        Answer::NodeCutOff => plain(Plain::NodeCutOff),
        Answer::NodeRemoved { returned } => Sent::NodeRemoved(returned),
        Answer::Founded
        | Answer::Registered { .. }
        | Answer::NodeLost { .. }
        | Answer::Placed { .. }
        | Answer::Reported { .. }
        | Answer::Woken
        | Answer::Recovering { .. }
        | Answer::Recovered
        | Answer::TurnedAway { .. }
        | Answer::Refused(_) => return None,
    };
    Some(Committed { answer: Some(answer) })
}

/// How far another journal is, as it is sent.
pub(crate) fn progress(known: &Progress) -> proto::peer::Progress {
    let Progress { number, behind, silent, lost, matched } = *known;
    let silent_ms = silent.map(|silent| silent.as_millis() as u64);
    proto::peer::Progress { number, behind, silent_ms, lost, matched }
}

/// How far another journal is, as it came.
pub(crate) fn progress_told(told: &proto::peer::Progress) -> Progress {
    let proto::peer::Progress { number, behind, silent_ms, lost, matched } = *told;
    Progress { number, behind, silent: silent_ms.map(Duration::from_millis), lost, matched }
}

/// An answer as it came.
pub(crate) fn answer(committed: Committed) -> Option<Answer> {
    use committed::Answer as Sent;
    Some(match committed.answer? {
        Sent::Submitted(Submitted { run, repeated }) => {
            Answer::Submitted { run: RunId(run), repeated }
        }
        Sent::Canceled(Canceled { ended, stopping, already_ended }) => {
            Answer::Canceled { ended, stopping, already_ended }
        }
        Sent::TokenCreated(expires_ms) => Answer::TokenCreated { expires_ms },
        Sent::NodeRemoved(returned) => Answer::NodeRemoved { returned },
        Sent::Plain(plain) => match Plain::try_from(plain).ok()? {
            Plain::TokenRevoked => Answer::TokenRevoked,
            Plain::Noted => Answer::Noted,
            Plain::JoinTokenCreated => Answer::JoinTokenCreated,
            Plain::Admitted => Answer::Admitted,
            Plain::MemberSet => Answer::MemberSet,
            Plain::Draining => Answer::Draining,
            Plain::NodeCutOff => Answer::NodeCutOff,
            Plain::Resumed => Answer::Resumed { was_drained: true },
            Plain::WasNotDrained => Answer::Resumed { was_drained: false },
            Plain::Unspecified => return None,
        },
    })
}

/// A refusal as it is sent.
pub(crate) fn refusal(refused: &Refused) -> Refusal {
    let text = refused.to_string();
    let plain =
        |code: Code| Refusal { code: code as i32, text: text.clone(), ..Refusal::default() };
    let later = |code: Code, why: &str, after: Duration| Refusal {
        code: code as i32,
        text: why.to_owned(),
        retry_after_ms: after.as_millis() as u64,
        ..Refusal::default()
    };
    match refused {
        Refused::KeyUsed { run } => Refusal { run: run.0, ..plain(Code::KeyUsed) },
        Refused::Overloaded { why, retry_after } => later(Code::Overloaded, why, *retry_after),
        Refused::NoSpace { why, retry_after } => later(Code::NoSpace, why, *retry_after),
        Refused::NotFound(_) => plain(Code::NotFound),
        Refused::Forbidden(_) => plain(Code::Forbidden),
        Refused::InTheWay(_) => plain(Code::InTheWay),
        Refused::Unavailable(_) => plain(Code::Unavailable),
        Refused::OutcomeUnknown => plain(Code::OutcomeUnknown),
        Refused::Failed(_) => plain(Code::Failed),
        Refused::Invalid(_)
        | Refused::NotASelector(_)
        | Refused::Unfit(_)
        | Refused::TooOld { .. } => plain(Code::Unfit),
    }
}

/// A refusal as it came.
pub(crate) fn refused(refusal: Refusal) -> Refused {
    let Refusal { text, run, retry_after_ms, .. } = refusal.clone();
    let retry_after = Duration::from_millis(retry_after_ms);
    match refusal.code() {
        Code::Unfit => Refused::Unfit(text),
        Code::NotFound => Refused::NotFound(text),
        Code::Forbidden => Refused::Forbidden(text),
        Code::InTheWay => Refused::InTheWay(text),
        Code::KeyUsed => Refused::KeyUsed { run: RunId(run) },
        Code::Overloaded => Refused::Overloaded { why: text, retry_after },
        Code::NoSpace => Refused::NoSpace { why: text, retry_after },
        Code::Unavailable => Refused::Unavailable(text),
        Code::OutcomeUnknown => Refused::OutcomeUnknown,
        Code::Failed | Code::Unspecified => Refused::Failed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_somebody_waits_for_comes_back_as_it_was() {
        for told in [
            Answer::Submitted { run: RunId(812), repeated: true },
            Answer::Canceled { ended: 1, stopping: 2, already_ended: 3 },
            Answer::TokenCreated { expires_ms: 7 },
            Answer::TokenRevoked,
            Answer::Noted,
            Answer::JoinTokenCreated,
            Answer::Admitted,
            Answer::MemberSet,
            Answer::Draining,
            Answer::NodeCutOff,
            Answer::Resumed { was_drained: true },
            Answer::Resumed { was_drained: false },
            Answer::NodeRemoved { returned: 4 },
        ] {
            assert_eq!(answer(committed(&told).unwrap()), Some(told));
        }
        assert_eq!(committed(&Answer::Woken), None);
    }

    #[test]
    fn a_refusal_comes_back_as_it_was() {
        let retry_after = Duration::from_secs(3);
        for told in [
            Refused::Unfit("a".to_owned()),
            Refused::NotFound("b".to_owned()),
            Refused::Forbidden("c".to_owned()),
            Refused::InTheWay("i".to_owned()),
            Refused::KeyUsed { run: RunId(9) },
            Refused::Overloaded { why: "d".to_owned(), retry_after },
            Refused::NoSpace { why: "e".to_owned(), retry_after },
            Refused::Unavailable("f".to_owned()),
            Refused::OutcomeUnknown,
            Refused::Failed("g".to_owned()),
        ] {
            assert_eq!(refused(refusal(&told)), told);
        }
    }
}
