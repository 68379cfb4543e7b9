//! The attempts that run: their processes, pipes and clocks.

use std::os::fd::OwnedFd;

use model::{Attempt, Ending, NotStarted, StopCause};

use super::procedure::Procedure;
use crate::containment::Tree;
use crate::spawn::Pid;

/// An attempt from its making to the proof that its tree is gone.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) attempt: Attempt,
    /// Tells it from others that had its place before.
    pub(super) number: u32,
    pub(super) tree: Tree,
    pub(super) main: Pid,
    /// Set once the main process has ended.
    pub(super) end: Option<MainEnd>,
    /// Why its program never ran, though a process was made.
    pub(super) failed: Option<NotStarted>,
    /// The reading ends of standard output and error; `None` once they ended.
    pub(super) pipes: [Option<OwnedFd>; 2],
    /// Whether the poll tells of the pipes.
    pub(super) watched: bool,
    /// Whether the poll tells of changes of the tree.
    pub(super) tree_watched: bool,
    pub(super) stopped: Option<StopCause>,
    pub(super) procedure: Procedure,
    pub(super) started_us: u64,
    pub(super) timeout_at: Option<u64>,
    /// When the warning is due, until it is given.
    pub(super) warn_at: Option<u64>,
    pub(super) warn_signal: i32,
    /// When the wait for the pipes' end runs out, once the tree is gone.
    pub(super) pipes_until: Option<u64>,
    /// Its deadline in the timers.
    pub(super) wake_at: Option<u64>,
    /// It has survived its killing for too long.
    pub(super) overdue: bool,
    /// Its cgroup was taken away by somebody else and is not to be used again.
    pub(super) tree_broken: bool,
}

impl Running {
    pub(super) fn pipes_ended(&self) -> bool {
        self.pipes.iter().all(Option::is_none)
    }

    /// When the next of its own clocks runs out: those of an attempt that nobody stopped.
    pub(super) fn next_clock(&self) -> Option<u64> {
        let clocks = self.timeout_at.into_iter().chain(self.warn_at);
        clocks.min().filter(|_| self.end.is_none() && self.stopped.is_none())
    }
}

/// How a main process ended, and what it and the children it waited for used.
#[derive(Clone, Debug)]
pub(super) struct MainEnd {
    /// `None` where it is kept unreaped until the tree is gone.
    pub(super) reaped: Option<Reaped>,
}

/// What the kernel says of an ended child.
#[derive(Clone, Debug)]
pub(super) struct Reaped {
    pub(super) ending: Ending,
    pub(super) cpu_us: u64,
    pub(super) memory_peak_bytes: u64,
}

/// Running attempts by place. A place is used again, a number never soon.
#[derive(Debug, Default)]
pub(super) struct Places {
    places: Vec<Option<Box<Running>>>,
    free: Vec<usize>,
    number: u32,
}

impl Places {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn next_number(&mut self) -> u32 {
        self.number = self.number.wrapping_add(1);
        self.number
    }

    pub(super) fn insert(&mut self, running: Running) -> usize {
        let running = Some(Box::new(running));
        match self.free.pop() {
            Some(place) => {
                self.places[place] = running;
                place
            }
            None => {
                self.places.push(running);
                self.places.len() - 1
            }
        }
    }

    pub(super) fn get(&mut self, place: usize) -> Option<&mut Running> {
        self.places.get_mut(place)?.as_deref_mut()
    }

    pub(super) fn remove(&mut self, place: usize) -> Option<Box<Running>> {
        let removed = self.places.get_mut(place)?.take();
        if removed.is_some() {
            self.free.push(place);
        }
        removed
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, &Running)> {
        self.places
            .iter()
            .enumerate()
            .filter_map(|(place, running)| Some((place, running.as_deref()?)))
    }

    pub(super) fn taken(&self) -> Vec<usize> {
        self.iter().map(|(place, _)| place).collect()
    }
}
