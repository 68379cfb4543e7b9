//! The worker's side of its lease: when heartbeats go, and which words of leaders count.
//!
//! The supervisor holds the deadline; here is what it was told. Two rules make it safe: a lease is
//! claimed only once the supervisor has said that it keeps to it, and a deadline counts from the
//! *sending* of what a leader answered.

use std::collections::VecDeque;

use model::{lease_heartbeat_ms, lease_term_ms};
use proto::supervisor::Lease as Told;

/// What was sent and may be answered at most.
const SENT_MAX: usize = 64;
/// How long a node without a lease waits to be welcome, in milliseconds.
const UNWELCOME_MS: u64 = 10_000;

/// What a leader can answer with a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Hello(u64),
    Heartbeat(u64),
}

#[derive(Debug, Default)]
pub(super) struct Lease {
    /// The longest that the supervisor may keep to; 0: none.
    lease_ms: u64,
    deadline_ms: u64,
    term: u64,
    /// A shorter lease that the supervisor was told and has not echoed.
    wanted_ms: Option<u64>,
    /// Welcome in this session.
    welcome: bool,
    heartbeats: u64,
    sent: VecDeque<(Word, u64)>,
    next_ms: u64,
    /// When a leader was last heard of in this session, or it began.
    heard_ms: u64,
}

impl Lease {
    /// What a hello claims.
    pub(super) fn claim_ms(&self) -> u64 {
        self.lease_ms
    }

    /// What the supervisor says of itself when a daemon meets it.
    pub(super) fn met(&mut self, told: Told) {
        let Told { lease_ms, deadline_ms, term } = told;
        (self.lease_ms, self.deadline_ms) = (lease_ms, deadline_ms);
        self.term = self.term.max(term);
        self.wanted_ms = None;
    }

    pub(super) fn session_began(&mut self, now_ms: u64) {
        self.session_over();
        self.heard_ms = now_ms;
    }

    /// The node has to be registered anew.
    pub(super) fn unwelcome(&mut self) {
        self.welcome = false;
    }

    pub(super) fn session_over(&mut self) {
        self.welcome = false;
        self.sent.clear();
        self.heartbeats = 0;
    }

    pub(super) fn sent(&mut self, word: Word, now_ms: u64) {
        if self.sent.len() >= SENT_MAX {
            self.sent.pop_front();
        }
        self.sent.push_back((word, now_ms));
    }

    /// Before the node is registered its supervisor must keep to this lease. What to tell it, if it
    /// does not yet.
    pub(super) fn wanted(&mut self, lease_ms: u64, now_ms: u64) -> Option<Told> {
        if lease_ms == 0 || (self.lease_ms != 0 && self.lease_ms <= lease_ms) {
            return None;
        }
        self.wanted_ms = Some(lease_ms);
        let latest = now_ms + lease_ms;
        let deadline_ms = if self.lease_ms == 0 { latest } else { self.deadline_ms.min(latest) };
        Some(Told { lease_ms, deadline_ms, term: self.term })
    }

    /// The supervisor has echoed what it keeps to; whether that was waited for.
    pub(super) fn echoed(&mut self, told: Told) -> bool {
        if self.wanted_ms != Some(told.lease_ms) {
            return false;
        }
        self.wanted_ms = None;
        (self.lease_ms, self.deadline_ms) = (told.lease_ms, told.deadline_ms);
        true
    }

    /// Whether the words of a leader of this term count.
    pub(super) fn counts(&mut self, term: u64, now_ms: u64) -> bool {
        let counts = term >= self.term;
        if counts {
            self.term = term;
            self.heard_ms = now_ms;
        }
        counts
    }

    /// The node is registered with this lease, in answer to that hello. What to tell the supervisor.
    pub(super) fn welcomed(&mut self, hello: u64, lease_ms: u64, now_ms: u64) -> Option<Told> {
        self.welcome = true;
        self.next_ms = now_ms + lease_heartbeat_ms(lease_ms);
        if lease_ms == 0 && self.lease_ms == 0 {
            return None;
        }
        self.wanted_ms = None;
        self.lease_ms = lease_ms;
        self.answered(Word::Hello(hello), now_ms).or_else(|| (lease_ms == 0).then(|| self.told()))
    }

    /// A leader has acknowledged a heartbeat. What to tell the supervisor.
    pub(super) fn acknowledged(&mut self, number: u64, now_ms: u64) -> Option<Told> {
        self.answered(Word::Heartbeat(number), now_ms)
    }

    /// A lease that is so nearly over that its tasks would have to end is no news: the answer was late,
    /// or this daemon was paused.
    fn answered(&mut self, word: Word, now_ms: u64) -> Option<Told> {
        let at = self.sent.iter().position(|(sent, _)| *sent == word)?;
        let (_, sent_ms) = self.sent[at];
        self.sent.drain(..=at);
        let deadline_ms = sent_ms + self.lease_ms;
        let ends_ms = deadline_ms.saturating_sub(lease_term_ms(self.lease_ms));
        if self.lease_ms == 0 || deadline_ms <= self.deadline_ms || ends_ms <= now_ms {
            return None;
        }
        self.deadline_ms = deadline_ms;
        Some(self.told())
    }

    fn told(&self) -> Told {
        Told { lease_ms: self.lease_ms, deadline_ms: self.deadline_ms, term: self.term }
    }

    /// The number of the heartbeat that is due.
    pub(super) fn beat(&mut self, now_ms: u64) -> Option<u64> {
        if !self.beats() || now_ms < self.next_ms {
            return None;
        }
        self.next_ms = now_ms + lease_heartbeat_ms(self.lease_ms);
        self.heartbeats += 1;
        self.sent(Word::Heartbeat(self.heartbeats), now_ms);
        Some(self.heartbeats)
    }

    /// Whether heartbeats go.
    fn beats(&self) -> bool {
        self.welcome && self.lease_ms > 0
    }

    /// Whether this session has been silent for so long that another control part is to be tried.
    pub(super) fn is_silent(&self, now_ms: u64) -> bool {
        self.silent_at_ms().is_some_and(|at_ms| at_ms <= now_ms)
    }

    fn silent_at_ms(&self) -> Option<u64> {
        match self.lease_ms {
            0 if self.welcome => None,
            0 => Some(self.heard_ms + UNWELCOME_MS),
            lease_ms => Some(self.heard_ms + lease_ms / 2),
        }
    }

    /// When there is something to do in an open session.
    pub(super) fn due_ms(&self) -> Option<u64> {
        let beat_ms = self.beats().then_some(self.next_ms);
        beat_ms.into_iter().chain(self.silent_at_ms()).min()
    }
}
