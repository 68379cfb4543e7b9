//! What the kernel thread waits for: descriptors, ended children and deadlines, all in one epoll.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, Timespec, epoll, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, timerfd_create, timerfd_settime,
};

/// Whose turn it is. A place says which running attempt, a number tells its users apart, so that
/// an event for one that is gone does not reach the next in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    Listener,
    Link {
        number: u32,
    },
    Writer,
    Children,
    Timer,
    /// Somebody left something to do, or all is over.
    Kick,
    Pipe {
        which: usize,
        place: usize,
        number: u32,
    },
    Tree {
        place: usize,
        number: u32,
    },
}

impl Token {
    fn pack(self) -> u64 {
        let pack = |kind: u64, place: usize, number: u32| {
            kind << 56 | (place as u64 & 0xff_ffff) << 32 | u64::from(number)
        };
        match self {
            Token::Listener => pack(0, 0, 0),
            Token::Link { number } => pack(1, 0, number),
            Token::Writer => pack(2, 0, 0),
            Token::Children => pack(3, 0, 0),
            Token::Timer => pack(4, 0, 0),
            Token::Kick => pack(5, 0, 0),
            Token::Tree { place, number } => pack(6, place, number),
            Token::Pipe { which, place, number } => pack(7 + which as u64, place, number),
        }
    }

    fn unpack(packed: u64) -> Token {
        let (place, number) = ((packed >> 32 & 0xff_ffff) as usize, packed as u32);
        match packed >> 56 {
            0 => Token::Listener,
            1 => Token::Link { number },
            2 => Token::Writer,
            3 => Token::Children,
            4 => Token::Timer,
            5 => Token::Kick,
            6 => Token::Tree { place, number },
            kind => Token::Pipe { which: kind as usize - 7, place, number },
        }
    }
}

/// The epoll instance with the descriptors that are the loop's own.
#[derive(Debug)]
pub(super) struct Poll {
    epoll: OwnedFd,
    children: OwnedFd,
    timer: OwnedFd,
    kick: OwnedFd,
    armed: Option<u64>,
}

/// The one place where the kernel waits.
pub(super) struct Waiter {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    pub(super) tokens: Vec<Token>,
}

// SAFETY: the events carry numbers, not pointers, which they could carry too.
unsafe impl Send for Waiter {}

impl Waiter {
    /// Waits until something happens, or looks only; what happened is in `tokens` then.
    pub(super) fn wait(&mut self, only_look: bool) -> io::Result<()> {
        const NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
        self.events.clear();
        let timeout = only_look.then_some(&NOW);
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), timeout) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
        self.tokens.clear();
        self.tokens.extend(self.events.iter().map(|event| Token::unpack(event.data.u64())));
        Ok(())
    }
}

impl Poll {
    pub(super) fn new() -> io::Result<Poll> {
        let poll = Poll {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            children: children()?,
            timer: timerfd_create(
                TimerfdClockId::Boottime,
                TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
            )?,
            kick: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            armed: None,
        };
        poll.add(&poll.children, Token::Children, epoll::EventFlags::IN)?;
        poll.add(&poll.timer, Token::Timer, epoll::EventFlags::IN)?;
        let data = epoll::EventData::new_u64(Token::Kick.pack());
        epoll::add(&poll.epoll, &poll.kick, data, epoll::EventFlags::IN)?;
        Ok(poll)
    }

    /// Tells once of every change to `flags` on a descriptor, until it is closed or removed.
    ///
    /// Only of changes: else all threads would be woken for what one of them deals with.
    /// Whoever is told must take all there is, or see to it that the rest is not forgotten.
    pub(super) fn add(
        &self,
        fd: impl AsFd,
        token: Token,
        flags: epoll::EventFlags,
    ) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token.pack());
        Ok(epoll::add(&self.epoll, fd, data, flags | epoll::EventFlags::ET)?)
    }

    /// Changes what is told of.
    pub(super) fn modify(
        &self,
        fd: impl AsFd,
        token: Token,
        flags: epoll::EventFlags,
    ) -> io::Result<()> {
        let data = epoll::EventData::new_u64(token.pack());
        Ok(epoll::modify(&self.epoll, fd, data, flags | epoll::EventFlags::ET)?)
    }

    /// Tells no more of a descriptor that stays open.
    pub(super) fn remove(&self, fd: impl AsFd) {
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// What waits for this poll.
    pub(super) fn waiter(&self) -> io::Result<Waiter> {
        let epoll = self.epoll.try_clone()?;
        Ok(Waiter { epoll, events: Vec::with_capacity(64), tokens: Vec::new() })
    }

    /// Makes [`Token::Timer`] come at this time of the boot clock.
    ///
    /// A timer that is too early is left: it comes for nothing once, which is cheaper than being
    /// set for every attempt that starts and ends.
    pub(super) fn arm(&mut self, deadline: Option<u64>) -> io::Result<()> {
        let Some(at) = deadline else { return Ok(()) };
        if self.armed.is_some_and(|armed| armed <= at) {
            return Ok(());
        }
        // Zero would disarm it.
        let at = at.max(1);
        let it_value =
            Timespec { tv_sec: (at / 1_000_000) as i64, tv_nsec: (at % 1_000_000 * 1000) as i64 };
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        let value = Itimerspec { it_interval, it_value };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &value)?;
        self.armed = Some(at);
        Ok(())
    }

    /// The timer came.
    pub(super) fn disarm(&mut self) {
        self.armed = None;
        clear(self.timer.as_fd());
    }

    /// Wakes all that wait, until [`Poll::clear_kick`].
    pub(super) fn kick(&self) {
        let _ = rustix::io::write(&self.kick, &1_u64.to_ne_bytes());
    }

    pub(super) fn clear_kick(&self) {
        clear(self.kick.as_fd());
    }

    /// Children came to their ends, how many is not said.
    pub(super) fn clear_children(&self) {
        clear(self.children.as_fd());
    }
}

fn clear(fd: BorrowedFd<'_>) {
    // A signal's description is the longest thing read here.
    let mut buffer = [0; 4 * size_of::<libc::signalfd_siginfo>()];
    let _ = rustix::io::read(fd, &mut buffer);
}

/// A descriptor that is readable when a child has ended: one for all, orphans too, where a pidfd
/// would have to be made, watched and closed for each.
fn children() -> io::Result<OwnedFd> {
    // SAFETY: fills the set it is given.
    let fd = unsafe {
        let mut set = std::mem::zeroed::<libc::sigset_t>();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGCHLD);
        libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: just made, and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The deadlines of running attempts, at most one each.
#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(u64, usize)>,
}

impl Timers {
    /// Moves a deadline.
    pub(super) fn set(&mut self, place: usize, old: Option<u64>, new: Option<u64>) {
        if old == new {
            return;
        }
        if let Some(old) = old {
            self.order.remove(&(old, place));
        }
        if let Some(new) = new {
            self.order.insert((new, place));
        }
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Whose deadline has come; it stays until it is moved.
    pub(super) fn due(&self, now: u64) -> Vec<usize> {
        self.order.iter().take_while(|(at, _)| *at <= now).map(|(_, place)| *place).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_their_packing() {
        for token in [
            Token::Listener,
            Token::Link { number: 7 },
            Token::Writer,
            Token::Children,
            Token::Timer,
            Token::Kick,
            Token::Pipe { which: 1, place: 0xff_fffe, number: u32::MAX },
            Token::Tree { place: 3, number: 4 },
        ] {
            assert_eq!(Token::unpack(token.pack()), token);
        }
    }
}
