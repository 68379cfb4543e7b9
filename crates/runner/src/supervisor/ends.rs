//! From running to ended: reading what is written, reaping, killing, and proving gone.

use std::io::ErrorKind;

use model::{Ending, Outcome, StopCause};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;

use super::clock;
use super::kernel::Kernel;
use super::poll::Token;
use super::procedure::{Act, Facts};
use super::running::{MainEnd, Reaped, Running};
use crate::containment::{Kind as Contained, reap_strays};
use crate::output::Stream;
use crate::spawn::Pid;

/// How long, after the tree is gone, somebody outside it may hold the pipes open.
const PIPES_US: u64 = 2_000_000;
/// What is read of one pipe before others have their turn.
const READ_MAX: usize = 256 << 10;
/// Children reaped before others have their turn.
const REAPS_PER_TURN: usize = 256;
/// How often orphans are looked for where that means to read all of `/proc`.
const SWEEP_US: u64 = 200_000;

impl Kernel {
    /// Has the poll tell of what the attempt writes; whether it does.
    pub(super) fn watch_pipes(&mut self, place: usize) -> bool {
        let Some(running) = self.running.get(place) else { return true };
        if running.watched {
            return true;
        }
        let number = running.number;
        let mut watched = true;
        for (which, pipe) in running.pipes.iter().enumerate() {
            let Some(pipe) = pipe else { continue };
            let token = Token::Pipe { which, place, number };
            match self.poll.add(pipe, token, EventFlags::IN) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(_) => watched = false,
            }
        }
        running.watched = watched;
        watched
    }

    /// Reads what is there, but not for ever.
    pub(super) fn read_pipe(&mut self, place: usize, which: usize) {
        let Some(running) = self.running.get(place) else { return };
        let stream = if which == 0 { Stream::Stdout } else { Stream::Stderr };
        let mut read = 0;
        while read < READ_MAX {
            let Some(pipe) = &running.pipes[which] else { return };
            match rustix::io::read(pipe, &mut self.buffer[..]) {
                Ok(length) if length > 0 => {
                    let now = clock::unix_us();
                    self.writer.append(running.attempt, stream, now, &self.buffer[..length]);
                    read += length;
                    if length < self.buffer.len() && running.end.is_none() {
                        return;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                // The end, or nothing that could ever be read.
                Ok(_) | Err(_) => running.pipes[which] = None,
            }
        }
        let number = running.number;
        self.again.push(Token::Pipe { which, place, number });
    }

    /// Takes note of every child that has ended.
    pub(super) fn reap(&mut self) {
        if self.containment().kind() == Contained::Weak {
            return self.notice_weak();
        }
        for _ in 0..REAPS_PER_TURN {
            let Some((pid, reaped)) = wait_for(-1) else { return };
            match self.by_pid.remove(&pid) {
                Some(place) => self.main_ended(place, MainEnd { reaped: Some(reaped) }),
                // An orphan, or one that is being made and is not known yet.
                None => self.starting.reaped(pid, reaped),
            }
        }
        // The signal told of the rest too, and will not come again for it.
        self.again.push(Token::Children);
    }

    /// Without cgroups a main process that has ended is kept: its number names its tree.
    fn notice_weak(&mut self) {
        for place in self.running.taken() {
            self.notice_if_ended(place);
        }
        self.sweep_at.get_or_insert(clock::boot_us() + SWEEP_US);
    }

    /// Looks whether a main process that is not reaped by the loop has ended.
    pub(super) fn notice_if_ended(&mut self, place: usize) {
        let Some(running) = self.running.get(place) else { return };
        if running.end.is_none() && running.tree.needs_main() && has_ended(running.main) {
            self.main_ended(place, MainEnd { reaped: None });
        }
    }

    /// Reaps orphans where reaping any child could reap a main process.
    pub(super) fn sweep(&mut self, now: u64) {
        if self.sweep_at.is_some_and(|at| at <= now) {
            self.sweep_at = None;
            // One that is being made is not known yet, and must not be taken for an orphan.
            if self.starting.len() > 0 {
                self.sweep_at = Some(now + SWEEP_US);
            } else {
                reap_strays(|pid| self.by_pid.contains_key(&pid));
            }
        }
    }

    pub(super) fn main_ended(&mut self, place: usize, end: MainEnd) {
        if let Some(running) = self.running.get(place) {
            running.end = Some(end);
            self.settle(place);
        }
    }

    /// Asks for an attempt's end; the first who asks is named.
    pub(super) fn stop(&mut self, place: usize, cause: StopCause) {
        let Some(running) = self.running.get(place) else { return };
        if running.end.is_none() && running.procedure.stop(clock::boot_us()) {
            running.stopped = Some(cause);
        }
        self.settle(place);
    }

    /// Kills an attempt that is being stopped.
    pub(super) fn hurry(&mut self, place: usize, now: u64) {
        let Some(running) = self.running.get(place) else { return };
        running.procedure.hurry(now);
        self.settle(place);
    }

    /// As [`Kernel::settle`], where only the end of a pipe may have changed something.
    pub(super) fn settle_if_ending(&mut self, place: usize) {
        if self.running.get(place).is_some_and(|running| running.pipes_until.is_some()) {
            self.settle(place);
        }
    }

    /// Does for an attempt whatever is to be done now, up to its end.
    pub(super) fn settle(&mut self, place: usize) {
        let now = clock::boot_us();
        let Some(running) = self.running.get(place) else { return };
        if running.end.is_none() && running.stopped.is_none() {
            if running.warn_at.take_if(|at| *at <= now).is_some() {
                running.procedure.warn(now);
            }
            if running.timeout_at.is_some_and(|at| at <= now) && running.procedure.stop(now) {
                running.stopped = Some(StopCause::Timeout);
            }
        }
        let wait = loop {
            let facts = facts(running);
            match running.procedure.step(now, facts) {
                Act::Wait(at) => break Some(at),
                Act::Gone => break None,
                act => perform(running, act),
            }
        };
        let overdue = running.procedure.overdue(now);
        let changed = running.overdue != overdue;
        running.overdue = overdue;
        match wait {
            Some(at) => {
                let wake = at.into_iter().chain(running.next_clock()).min();
                self.watch_tree(place);
                self.set_wake(place, wake);
            }
            None => self.wait_for_pipes(place, now),
        }
        if changed {
            self.set_degraded();
        }
    }

    /// Has the poll tell when a tree that is being ended changes.
    fn watch_tree(&mut self, place: usize) {
        let Some(running) = self.running.get(place) else { return };
        if running.tree_watched || !running.procedure.is_under_way() {
            return;
        }
        let Some(changes) = running.tree.changes() else { return };
        let token = Token::Tree { place, number: running.number };
        // A lost notice costs a second: the tree is looked at by the clock as well.
        running.tree_watched =
            self.poll.add(changes, token, EventFlags::PRI | EventFlags::ET).is_ok();
    }

    /// The tree is gone; the attempt has ended when its pipes have, or when the wait for that is
    /// over because somebody outside the tree holds them.
    fn wait_for_pipes(&mut self, place: usize, now: u64) {
        for which in 0..2 {
            self.read_pipe(place, which);
        }
        let Some(running) = self.running.get(place) else { return };
        let until = *running.pipes_until.get_or_insert(now + PIPES_US);
        if running.pipes_ended() || now >= until {
            self.finish(place);
        } else {
            self.watch_pipes(place);
            self.set_wake(place, Some(until));
        }
    }

    fn finish(&mut self, place: usize) {
        let Some(running) = self.running.remove(place) else { return };
        self.timers.set(place, running.wake_at, None);
        let Running { attempt, tree, end, failed, overdue, .. } = *running;
        let truncated = running.pipes.iter().any(Option::is_some);
        if running.tree_watched
            && let Some(changes) = tree.changes()
        {
            self.poll.remove(changes);
        }
        let reaped = end.and_then(|end| end.reaped).or_else(|| {
            self.by_pid.remove(&running.main);
            wait_for(running.main).map(|(_, reaped)| reaped)
        });
        if !running.tree_broken {
            self.containment().put_back(tree);
        }
        let ran = failed.is_none();
        let seen = reaped.as_ref().map_or(Ending::Gone, |reaped| reaped.ending.clone());
        let used = reaped.filter(|_| ran);
        let outcome = Outcome {
            ending: failed.map_or(seen, Ending::NotStarted),
            stopped: running.stopped,
            started_us: if ran { running.started_us } else { 0 },
            ended_us: clock::unix_us().max(running.started_us),
            cpu_us: used.as_ref().map_or(0, |used| used.cpu_us),
            memory_peak_bytes: used.as_ref().map_or(0, |used| used.memory_peak_bytes),
            output_truncated: truncated,
            ..Outcome::bare(Ending::Gone)
        };
        self.end(attempt, outcome);
        if overdue {
            self.set_degraded();
        }
    }

    pub(super) fn set_wake(&mut self, place: usize, at: Option<u64>) {
        if let Some(running) = self.running.get(place) {
            let old = std::mem::replace(&mut running.wake_at, at);
            self.timers.set(place, old, at);
        }
    }
}

fn facts(running: &mut Running) -> Facts {
    let main_ended = running.end.is_some();
    let empty = main_ended
        && running.tree.is_empty().unwrap_or_else(|error| {
            // Only an empty cgroup can be removed, so one that is not there is empty.
            let removed = [libc::ENODEV, libc::ENOENT];
            running.tree_broken = error.raw_os_error().is_some_and(|e| removed.contains(&e));
            running.tree_broken
        });
    Facts {
        main_ended,
        empty,
        frozen: running.procedure.is_frozen() && running.tree.is_frozen(),
        kills_at_once: running.tree.kills_at_once(),
        notified: running.tree_watched,
    }
}

fn perform(running: &mut Running, act: Act) {
    let done = match act {
        Act::Freeze => running.tree.freeze(),
        Act::Thaw => running.tree.thaw(),
        Act::Warn => {
            running.tree.signal(running.warn_signal);
            running.tree.thaw()
        }
        Act::Terminate => {
            running.tree.terminate();
            running.tree.thaw()
        }
        Act::Kill => running.tree.kill(),
        Act::Wait(_) | Act::Gone => Ok(()),
    };
    if let Err(error) = done {
        let attempt = running.attempt;
        super::log::line(format_args!("attempt {attempt}: {act:?} failed: {error}"));
    }
}

/// Reaps a child that has ended: this one, or any.
fn wait_for(pid: Pid) -> Option<(Pid, Reaped)> {
    let mut status = 0;
    // SAFETY: both are written by the call; all zeros is a valid `rusage`.
    let (pid, usage) = unsafe {
        let mut usage = std::mem::zeroed::<libc::rusage>();
        (libc::wait4(pid, &mut status, libc::WNOHANG, &mut usage), usage)
    };
    if pid <= 0 {
        return None;
    }
    let ending = if libc::WIFSIGNALED(status) {
        Ending::Signaled { signal: libc::WTERMSIG(status) }
    } else {
        Ending::Exited { code: libc::WEXITSTATUS(status) }
    };
    let micros =
        |time: libc::timeval| time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_usec.unsigned_abs();
    let cpu_us = micros(usage.ru_utime) + micros(usage.ru_stime);
    // In KiB.
    let memory_peak_bytes = usage.ru_maxrss.unsigned_abs() << 10;
    Some((pid, Reaped { ending, cpu_us, memory_peak_bytes }))
}

/// Whether a child has ended, without reaping it.
fn has_ended(pid: Pid) -> bool {
    // SAFETY: all zeros is a valid `siginfo_t`, which the call fills in.
    unsafe {
        let mut info = std::mem::zeroed::<libc::siginfo_t>();
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        let result = libc::waitid(libc::P_PID, pid.unsigned_abs(), &mut info, flags);
        result == 0 && info.si_pid() == pid
    }
}
