//! The kernel: the state behind the one loop that owns every process, pipe, deadline and the
//! connection.
//!
//! It never waits, and never opens, reads or writes a file that lies on a disk, but for
//! `/etc/passwd` where a job names a user.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use model::slots::Slots;
use model::{Attempt, NodeId, Resources, SupervisorId};
use proto::supervisor::{Condition, from_supervisor::Kind};
use rustix::event::epoll::EventFlags;

use super::held::{Held, Seen, State};
use super::lease::Keeping;
use super::link::{Link, Lost};
use super::poll::{Poll, Timers, Token};
use super::running::Places;
use super::starting::Starting;
use super::{clock, log};
use crate::containment::Containment;
use crate::output::Writer;
use crate::spawn::Pid;
use crate::user::User;

/// How long a supervisor without work waits for its first daemon.
const FIRST_DAEMON_US: u64 = 20_000_000;
/// How long it waits for the next one, so that a daemon that restarts finds it.
const NEXT_DAEMON_US: u64 = 2_000_000;
/// The place of the loop's own deadline among the timers.
pub(super) const OWN: usize = usize::MAX;

/// How the loop goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Wait { only_look: bool },
    Leave,
}

/// Everything the loop owns.
pub(super) struct Kernel {
    pub(super) node_id: NodeId,
    pub(super) supervisor_id: SupervisorId,
    pub(super) own_user: User,
    pub(super) socket: PathBuf,
    pub(super) listener: UnixListener,
    pub(super) poll: Poll,
    pub(super) link: Option<Link>,
    pub(super) links: u32,
    pub(super) writer: Writer,
    /// Taken only when the loop is over.
    pub(super) containment: Option<Containment>,
    pub(super) slots: Slots,
    pub(super) held: Held,
    pub(super) seen: Seen,
    pub(super) lease: Keeping,
    /// What goes on when the lease has run out.
    pub(super) waiters: BTreeSet<Attempt>,
    pub(super) running: Places,
    pub(super) running_max: usize,
    pub(super) starting: Starting,
    /// The threads that share the loop.
    pub(super) threads: usize,
    /// More could not be had.
    pub(super) threads_max: usize,
    /// Attempts without a process are left for the next turn.
    pub(super) more_noops: bool,
    /// Attempts whose pipes are not watched yet, by the time when they will be.
    pub(super) young: VecDeque<(u64, usize, u32)>,
    pub(super) by_pid: HashMap<Pid, usize>,
    pub(super) timers: Timers,
    /// Attempts whose notices of output were held back.
    pub(super) unsaid: BTreeSet<Attempt>,
    pub(super) degraded: String,
    pub(super) down: bool,
    /// Of which more is left than one turn takes.
    pub(super) again: Vec<Token>,
    pub(super) over: bool,
    pub(super) buffer: Vec<u8>,
    pub(super) leave_at: Option<u64>,
    /// When orphans are looked for next, where they are not told from kept main processes.
    pub(super) sweep_at: Option<u64>,
    pub(super) own_wake: Option<u64>,
    /// When ends that wait to be written with others are written at the latest.
    pub(super) nudge_at: Option<u64>,
}

impl Kernel {
    /// Before the first turn.
    pub(super) fn begin(&mut self) -> io::Result<()> {
        let own = EventFlags::IN;
        self.poll.add(&self.listener, Token::Listener, own)?;
        self.poll.add(self.writer.wake_fd(), Token::Writer, own)?;
        self.leave_at = Some(clock::boot_us() + FIRST_DAEMON_US);
        Ok(())
    }

    /// One turn of the loop: deals with what has happened.
    pub(super) fn turn(&mut self, tokens: &[Token]) {
        for token in std::mem::take(&mut self.again).iter().chain(tokens) {
            self.dispatch(*token);
        }
    }

    /// What is to be done at the end of a turn, and how to go on. `makes`: whether this thread is
    /// going to make a process first.
    pub(super) fn settle_turn(&mut self, makes: bool) -> io::Result<Next> {
        let now = clock::boot_us();
        self.keep_lease(now);
        self.grow_up(now);
        self.nudge(now);
        self.end_slow_starts(now);
        self.flush();
        if self.over || self.may_leave() {
            self.give_up();
            return Ok(Next::Leave);
        }
        self.set_own_timer(now);
        self.poll.arm(self.timers.first())?;
        let left = !self.again.is_empty() || self.more_noops;
        if left && makes {
            self.poll.kick();
        }
        Ok(Next::Wait { only_look: left })
    }

    /// Has every thread leave.
    pub(super) fn give_up(&mut self) {
        self.over = true;
        self.poll.kick();
    }

    fn dispatch(&mut self, token: Token) {
        match token {
            Token::Listener => self.accept(),
            Token::Link { number } => self.hear(number),
            Token::Writer => self.hear_writer(),
            Token::Children => {
                self.poll.clear_children();
                self.reap();
            }
            Token::Timer => self.wake(),
            Token::Kick if self.over => {}
            Token::Kick => self.poll.clear_kick(),
            Token::Pipe { which, place, number } => {
                if self.running.get(place).is_some_and(|running| running.number == number) {
                    self.read_pipe(place, which);
                    self.settle_if_ending(place);
                }
            }
            Token::Tree { place, number } => {
                if self.running.get(place).is_some_and(|running| running.number == number) {
                    self.settle(place);
                }
            }
        }
    }

    /// A deadline has come.
    fn wake(&mut self) {
        self.poll.disarm();
        let now = clock::boot_us();
        for place in self.timers.due(now) {
            if place == OWN {
                self.sweep(now);
            } else {
                self.settle(place);
            }
        }
    }

    fn set_own_timer(&mut self, now: u64) {
        let young = self.young.front().map(|(at, _, _)| *at);
        let [starting, lease] = [self.starting.next(now), self.lease.next()];
        let own = [self.leave_at, self.sweep_at, self.nudge_at, young, starting, lease];
        let next = own.into_iter().flatten().min();
        self.timers.set(OWN, self.own_wake, next);
        self.own_wake = next;
    }

    fn accept(&mut self) {
        self.links = self.links.wrapping_add(1);
        let Some(link) = Link::accept(&self.listener, self.links) else { return };
        let token = Token::Link { number: link.number };
        match self.poll.add(link.fd(), token, EventFlags::IN) {
            Ok(()) => {
                self.unsaid.clear();
                self.leave_at = None;
                // The one before, if there is one, is closed by this.
                self.link = Some(link);
            }
            Err(error) => log::line(format_args!("cannot watch a new connection: {error}")),
        }
    }

    fn hear(&mut self, number: u32) {
        let Some(link) = self.link.as_mut().filter(|link| link.number == number) else { return };
        let mut messages = Vec::new();
        let received = link.receive(&mut self.buffer, &mut messages);
        messages.into_iter().for_each(|message| self.obey(message));
        match received {
            Ok(true) => self.again.push(Token::Link { number }),
            Ok(false) => {}
            Err(lost) => self.lose(&lost),
        }
    }

    fn flush(&mut self) {
        self.say_unsaid();
        let Some(link) = &mut self.link else { return };
        if !link.urgent && !link.waits_for_room {
            return;
        }
        match link.flush() {
            Ok(waits) if waits != link.waits_for_room => {
                link.waits_for_room = waits;
                let room = if waits { EventFlags::OUT } else { EventFlags::empty() };
                let token = Token::Link { number: link.number };
                if let Err(error) = self.poll.modify(link.fd(), token, EventFlags::IN | room) {
                    self.lose(&Lost::Io(error));
                }
            }
            Ok(_) => {}
            Err(lost) => self.lose(&lost),
        }
    }

    /// Goes on without the daemon.
    pub(super) fn lose(&mut self, lost: &Lost) {
        if !matches!(lost, Lost::Closed) {
            log::line(format_args!("{lost}: {:?}", std::error::Error::source(lost)));
        }
        self.link = None;
        self.unsaid.clear();
    }

    /// Says something to a daemon that has greeted; to any other it is said when it greets.
    pub(super) fn say(&mut self, kind: Kind) {
        if let Some(link) = self.link.as_mut().filter(|link| link.greeted) {
            link.say(kind);
        }
    }

    /// Says it where the state of the node has changed.
    pub(super) fn set_degraded(&mut self) {
        let overdue = self.running.iter().filter(|(_, running)| running.overdue);
        let mut texts: Vec<String> = overdue
            .map(|(_, running)| {
                let pids = running.tree.processes();
                format!("attempt {}: processes {pids:?} survive SIGKILL", running.attempt)
            })
            .collect();
        texts.extend(self.starting.overdue(clock::boot_us()).map(|attempt| {
            format!("attempt {attempt}: its process survives SIGKILL before its program")
        }));
        let degraded = texts.join("; ");
        if degraded != self.degraded {
            log::line(format_args!("degraded: `{degraded}`"));
            self.degraded.clone_from(&degraded);
            self.say(Kind::Condition(Condition { degraded }));
        }
    }

    /// Whether there is nothing more to do, now or after a while of having nothing to do.
    fn may_leave(&mut self) -> bool {
        if self.link.is_none() && self.held.is_empty() {
            let now = clock::boot_us();
            return self.down || now >= *self.leave_at.get_or_insert(now + NEXT_DAEMON_US);
        }
        self.leave_at = None;
        // Ends that nobody hears of any more are on the disk.
        let ended = |state: &State| matches!(state, State::Ended(_));
        self.down && (self.held.is_empty() || self.link.is_none() && self.held.values().all(ended))
    }

    /// Leaves nothing behind but the files.
    pub(super) fn leave(&mut self) {
        let _ = self.flush_last();
        let _ = std::fs::remove_file(&self.socket);
        if let Some(containment) = self.containment.take() {
            containment.close();
        }
        log::line(format_args!("leaves, with nothing left to do"));
    }

    fn flush_last(&mut self) -> Result<(), Lost> {
        self.link.as_mut().map_or(Ok(false), Link::flush).map(|_| ())
    }

    /// The containment, which is there as long as the loop runs.
    pub(super) fn containment(&mut self) -> &mut Containment {
        self.containment.as_mut().expect("it is taken only after the loop")
    }

    pub(super) fn set_capacity(&mut self, capacity: Resources) {
        self.slots.set_capacity(capacity);
    }
}
