//! Who votes: which one step the leader takes next, so that 1, 3 or 5 of the control nodes vote.
//!
//! ```text
//!  a control node without a journal in the group       add it as a learner
//!  enough that are well for 3, or for 5                promote
//!  the leader is drained, and another one could lead   let that lead
//!  a voter that was removed, is drained, or is away    promote another one in its place
//!  a learner that no control node stands for           remove it
//! ```
//!
//! One is replaced at a time, by one that has caught up. A voter that is away stays one while there
//! is no other: a number of voters that falls with each death would let the last one decide alone.

use std::collections::BTreeSet;

/// How long a voter has to be silent before another takes its place, in milliseconds.
pub const AWAY_MS: u64 = 60_000;
/// Who has answered so lately is there, in milliseconds.
const THERE_MS: u64 = 3_000;
/// Who is further behind than this, in entries, is not ready to vote.
const BEHIND_MAX: u64 = 500;
/// So many vote at the most.
const VOTERS_MAX: usize = 5;

/// A control node with a journal, as the leader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its journal's number in the group.
    pub number: u64,
    /// How long ago it has answered, in milliseconds; `None`: never. The leader itself: 0.
    pub silent_ms: Option<u64>,
    /// How many entries it is behind.
    pub behind: u64,
    /// It has lost what it had acknowledged.
    pub lost: bool,
    /// It is to give its vote to another one.
    pub drained: bool,
}

/// What the leader knows.
#[derive(Clone, Debug, Default)]
pub struct Group {
    /// The leader's own number.
    pub me: u64,
    /// The control nodes whose journals are known.
    pub candidates: Vec<Candidate>,
    /// Who votes.
    pub voters: BTreeSet<u64>,
    /// Who learns.
    pub learners: BTreeSet<u64>,
    /// How long a voter has to be silent before another takes its place, in milliseconds.
    pub away_ms: u64,
}

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Take it in, as one that learns.
    Add(u64),
    /// These are the voters.
    Promote(BTreeSet<u64>),
    /// Nobody stands for it any more.
    Remove(u64),
    /// Let another one lead: this one is to give its vote away.
    Resign,
}

/// The next step; `None` while all is as it should be, or nothing can be done about it.
pub fn next_step(group: &Group) -> Option<Step> {
    let in_group = |number: &u64| group.voters.contains(number) || group.learners.contains(number);
    if let Some(new) = group.candidates.iter().find(|candidate| !in_group(&candidate.number)) {
        return Some(Step::Add(new.number));
    }
    if leads_for_now(group) {
        return Some(Step::Resign);
    }
    let wanted = wanted(group);
    if wanted != group.voters {
        // Whoever leads is replaced by the next leader, which knows no less.
        let leaves = group.voters.contains(&group.me) && !wanted.contains(&group.me);
        let heir = group.candidates.iter().any(|other| {
            other.number != group.me && group.voters.contains(&other.number) && is_there(other)
        });
        if leaves && heir {
            return Some(Step::Resign);
        }
        return Some(Step::Promote(wanted));
    }
    let known: BTreeSet<u64> = group.candidates.iter().map(|candidate| candidate.number).collect();
    group.learners.difference(&known).next().map(|number| Step::Remove(*number))
}

/// Whether this one leads, is to give its vote away, and another voter can lead as well. It goes on
/// to vote until somebody takes its place.
fn leads_for_now(group: &Group) -> bool {
    let is_drained = |one: &&Candidate| one.number == group.me && one.drained;
    let heir = |one: &Candidate| {
        let votes = group.voters.contains(&one.number);
        votes && !one.drained && !one.lost && is_there(one) && one.behind <= BEHIND_MAX
    };
    group.candidates.iter().find(is_drained).is_some() && group.candidates.iter().any(heir)
}

/// Who should vote after the next step.
fn wanted(group: &Group) -> BTreeSet<u64> {
    let mut ranked: Vec<(u8, u64)> =
        group.candidates.iter().filter_map(|one| Some((rank(group, one)?, one.number))).collect();
    ranked.sort_unstable();
    let well = ranked.iter().filter(|(rank, _)| *rank <= SPARE).count();
    let count = odd(well.min(VOTERS_MAX)).max(odd(group.voters.len().min(ranked.len())));
    let best: BTreeSet<u64> = ranked.iter().take(count).map(|(_, number)| *number).collect();
    if best.len() != group.voters.len() || best.is_empty() {
        return if best.is_empty() { group.voters.clone() } else { best };
    }
    // As many as before: one is replaced at a time, and only one that has to go.
    let leaving = group.voters.difference(&best).next();
    let coming = best.difference(&group.voters).next();
    let mut voters = group.voters.clone();
    if let (Some(leaving), Some(coming)) = (leaving, coming) {
        voters.remove(leaving);
        voters.insert(*coming);
    }
    voters
}

/// The last rank of those that are well.
const SPARE: u8 = 1;

/// How good a voter it makes, 0 the best; `None`: it cannot vote.
fn rank(group: &Group, candidate: &Candidate) -> Option<u8> {
    let votes = group.voters.contains(&candidate.number);
    let is_away = candidate.silent_ms.is_none_or(|silent_ms| silent_ms >= group.away_ms);
    let ready = is_there(candidate) && candidate.behind <= BEHIND_MAX;
    match (votes, candidate.lost || is_away, candidate.drained) {
        (true, false, false) => Some(0),
        (false, false, false) if ready && !candidate.lost => Some(SPARE),
        (true, false, true) => Some(2),
        (true, true, _) => Some(3),
        (false, ..) => None,
    }
}

fn is_there(candidate: &Candidate) -> bool {
    candidate.silent_ms.is_some_and(|silent_ms| silent_ms < THERE_MS)
}

/// The largest of 1, 3, 5 that is not more; 0 for 0.
fn odd(count: usize) -> usize {
    count.saturating_sub(1) / 2 * 2 + usize::from(count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well(number: u64) -> Candidate {
        Candidate { number, silent_ms: Some(0), behind: 0, lost: false, drained: false }
    }

    fn group(voters: &[u64], candidates: Vec<Candidate>) -> Group {
        let voters: BTreeSet<u64> = voters.iter().copied().collect();
        let all: BTreeSet<u64> = candidates.iter().map(|one| one.number).collect();
        let learners = all.difference(&voters).copied().collect();
        Group { me: 1, candidates, voters, learners, away_ms: AWAY_MS }
    }

    fn promote(voters: &[u64]) -> Option<Step> {
        Some(Step::Promote(voters.iter().copied().collect()))
    }

    #[test]
    fn it_grows_by_two() {
        let mut new = group(&[1], vec![well(1), well(2)]);
        new.learners.clear();
        assert_eq!(next_step(&new), Some(Step::Add(2)));
        assert_eq!(next_step(&group(&[1], vec![well(1), well(2)])), None, "never two");
        let three = group(&[1], vec![well(1), well(2), well(3)]);
        assert_eq!(next_step(&three), promote(&[1, 2, 3]));
        let four: Vec<_> = (1..=4).map(well).collect();
        assert_eq!(next_step(&group(&[1, 2, 3], four)), None);
        let five: Vec<_> = (1..=6).map(well).collect();
        assert_eq!(next_step(&group(&[1, 2, 3], five)), promote(&[1, 2, 3, 4, 5]));
    }

    #[test]
    fn who_is_behind_or_silent_does_not_come_to_vote() {
        let behind = Candidate { behind: 501, ..well(3) };
        assert_eq!(next_step(&group(&[1], vec![well(1), well(2), behind])), None);
        let silent = Candidate { silent_ms: Some(THERE_MS), ..well(3) };
        assert_eq!(next_step(&group(&[1], vec![well(1), well(2), silent])), None);
        let never = Candidate { silent_ms: None, ..well(3) };
        assert_eq!(next_step(&group(&[1], vec![well(1), well(2), never])), None);
    }

    #[test]
    fn a_voter_that_is_away_stays_until_another_can_take_its_place() {
        let away = Candidate { silent_ms: Some(AWAY_MS), ..well(3) };
        assert_eq!(next_step(&group(&[1, 2, 3], vec![well(1), well(2), away])), None);
        let spare = group(&[1, 2, 3], vec![well(1), well(2), away, well(4)]);
        assert_eq!(next_step(&spare), promote(&[1, 2, 4]));
        let short = Candidate { silent_ms: Some(AWAY_MS - 1), ..well(3) };
        assert_eq!(next_step(&group(&[1, 2, 3], vec![well(1), well(2), short, well(4)])), None);
    }

    #[test]
    fn one_is_replaced_at_a_time() {
        let away = |number| Candidate { silent_ms: None, ..well(number) };
        let two = vec![well(1), away(2), away(3), well(4), well(5)];
        let Some(Step::Promote(voters)) = next_step(&group(&[1, 2, 3], two)) else { panic!() };
        assert_eq!(voters.len(), 3);
        assert_eq!(voters.intersection(&[1, 2, 3].into()).count(), 2);
    }

    #[test]
    fn a_removed_voter_is_replaced_and_then_removed() {
        let mut gone = group(&[1, 2, 9], vec![well(1), well(2), well(3)]);
        assert_eq!(next_step(&gone), promote(&[1, 2, 3]));
        (gone.voters, gone.learners) = ([1, 2, 3].into(), [9].into());
        assert_eq!(next_step(&gone), Some(Step::Remove(9)));
        // With nobody in its place fewer vote: it has been taken out by a person.
        let fewer = group(&[1, 2, 9], vec![well(1), well(2)]);
        assert_eq!(next_step(&fewer), promote(&[1]));
    }

    #[test]
    fn who_is_drained_gives_its_vote_away_where_somebody_takes_it() {
        let drained = |number| Candidate { drained: true, ..well(number) };
        let spare = group(&[1, 2, 3], vec![well(1), well(2), drained(3), well(4)]);
        assert_eq!(next_step(&spare), promote(&[1, 2, 4]));
        let none = group(&[1, 2, 3], vec![well(1), well(2), drained(3)]);
        assert_eq!(next_step(&none), None);
        for spare in [Vec::new(), vec![well(4)]] {
            let others = [drained(1), well(2), well(3)];
            let leader = group(&[1, 2, 3], others.into_iter().chain(spare).collect());
            assert_eq!(next_step(&leader), Some(Step::Resign));
        }
        let all = group(&[1, 2, 3], vec![drained(1), drained(2), drained(3)]);
        assert_eq!(next_step(&all), None, "somebody has to lead");
        let alone = group(&[1], vec![drained(1)]);
        assert_eq!(next_step(&alone), None);
        let two = group(&[1], vec![drained(1), well(2)]);
        assert_eq!(next_step(&two), promote(&[2]), "the only voter hands over at once");
    }
}
