//! What the checker lets pass, and what it does not.

use super::*;
use crate::wire::Status;

const SUBMIT: Ask = Ask::Submit { name: 1 };
const CANCEL: Ask = Ask::Cancel { run: 7 };
const NAMED: Ask = Ask::Named { name: 1 };
const STATUS: Ask = Ask::Status { run: 7 };
const FIRST: Reply = Reply::Submitted { run: 7, repeated: false };
const AGAIN: Reply = Reply::Submitted { run: 7, repeated: true };
const OPEN: Reply = Reply::Unknown;
const GOES_ON: Reply = Reply::Run { run: 7, status: Status::GoesOn };
const ENDED: Reply = Reply::Run { run: 7, status: Status::Ended };

/// One after the other.
fn faults(steps: &[(Ask, Reply)]) -> usize {
    let mut history = History::default();
    for (ask, reply) in steps {
        let asked = history.asks(1, *ask);
        history.answered(asked, *reply);
    }
    history.faults().len()
}

#[test]
fn a_run_is_there_until_it_is_canceled() {
    let all = [
        (NAMED, Reply::NotThere),
        (SUBMIT, FIRST),
        (STATUS, GOES_ON),
        (NAMED, GOES_ON),
        (SUBMIT, AGAIN),
        (CANCEL, Reply::Canceled),
        (STATUS, ENDED),
        (NAMED, ENDED),
        (CANCEL, Reply::HadEnded),
        (SUBMIT, AGAIN),
    ];
    assert_eq!(faults(&all), 0);
    assert_eq!(faults(&[(SUBMIT, FIRST), (NAMED, Reply::NotThere)]), 1, "an old answer");
    assert_eq!(faults(&[(SUBMIT, FIRST), (STATUS, Reply::NotThere)]), 1, "it is lost");
    assert_eq!(faults(&[(SUBMIT, FIRST), (CANCEL, Reply::Canceled), (STATUS, GOES_ON)]), 1);
    assert_eq!(faults(&[(SUBMIT, FIRST), (CANCEL, Reply::Canceled), (STATUS, Reply::NotThere)]), 1);
    assert_eq!(faults(&[(SUBMIT, FIRST), (SUBMIT, FIRST)]), 1, "a key makes one run");
    assert_eq!(faults(&[(SUBMIT, FIRST), (STATUS, ENDED)]), 1, "nobody has canceled it");
    let twice = [(SUBMIT, FIRST), (CANCEL, Reply::Canceled), (CANCEL, Reply::Canceled)];
    assert_eq!(faults(&twice), 1, "it ends once");
}

#[test]
fn what_is_open_may_be_done_at_any_time_or_never() {
    let (there, none) = ((NAMED, GOES_ON), (NAMED, Reply::NotThere));
    assert_eq!(faults(&[(SUBMIT, OPEN), none, there]), 0);
    assert_eq!(faults(&[(SUBMIT, OPEN), none, none]), 0);
    assert_eq!(faults(&[(SUBMIT, OPEN), there, none]), 1);
    let canceled = [(SUBMIT, OPEN), there, (CANCEL, OPEN), there, (NAMED, ENDED), (SUBMIT, AGAIN)];
    assert_eq!(faults(&canceled), 0);
    assert_eq!(faults(&[(SUBMIT, Reply::NotDone), there]), 1, "what was refused is not done");
}

#[test]
fn what_goes_on_at_once_may_come_in_either_order() {
    let overlap = |reply| {
        let mut history = History::default();
        let submit = history.asks(1, SUBMIT);
        let named = history.asks(1, NAMED);
        history.answered(named, reply);
        history.answered(submit, FIRST);
        history.faults().len()
    };
    assert_eq!(overlap(Reply::NotThere), 0);
    assert_eq!(overlap(GOES_ON), 0);
    assert_eq!(overlap(Reply::Run { run: 8, status: Status::GoesOn }), 1, "it is another one");
}

#[test]
fn a_number_is_of_one_run() {
    let mut history = History::default();
    for name in [1, 2] {
        let asked = history.asks(name, Ask::Submit { name });
        history.answered(asked, FIRST);
    }
    assert_eq!(history.faults().len(), 1);
}

#[test]
fn answers_are_counted_by_what_they_are() {
    let mut history = History::default();
    for reply in [FIRST, AGAIN, Reply::Canceled, GOES_ON, Reply::NotThere, Reply::NotDone, OPEN] {
        let asked = history.asks(1, SUBMIT);
        history.answered(asked, reply);
    }
    let counted = "2 submitted, 1 canceled, 2 told, 1 refused, 1 unknown";
    assert_eq!(history.tally().to_string(), counted);
}
