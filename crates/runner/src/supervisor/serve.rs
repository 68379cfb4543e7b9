//! The threads that share the loop.
//!
//! All wait at one epoll, which wakes one of them for each thing that happens. Whoever is woken
//! deals with it, and makes the process that may be started for it, which takes until its program
//! is executed; what happens meanwhile wakes another. So a program on a dead file server does not
//! stop the killing of others, and no process is handed from thread to thread to be made. State is
//! touched by one at a time, as in a loop of one thread.
//!
//! A thread whose program hangs is no use to others; another one takes its place, up to a limit.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Scope};

use super::kernel::{Kernel, Next};
use super::{clock, log};
use crate::spawn::Spawner;

/// Two can make processes while one waits.
pub(super) const THREADS: usize = 3;
/// Eight programs may hang while they are executed; with more, nothing starts until one is through.
pub(super) const THREADS_MAX: usize = THREADS + 8;

/// None of them needs much stack.
const STACK_BYTES: usize = 256 << 10;

/// Runs until there is nothing more to do, with a spawner for each thread.
pub(super) fn run(mut kernel: Kernel, spawners: Vec<Spawner>) -> io::Result<()> {
    kernel.begin()?;
    let mut spawners = spawners.into_iter();
    let own = spawners.next();
    kernel.threads = spawners.len() + 1;
    let kernel = &Mutex::new(kernel);
    let result = thread::scope(|scope| {
        for spawner in spawners {
            add_thread(scope, kernel, Ok(spawner));
        }
        own.map_or(Ok(()), |spawner| serve(scope, kernel, spawner))
    });
    lock(kernel).leave();
    result
}

/// Starts a thread that is counted already.
fn add_thread<'scope>(
    scope: &'scope Scope<'scope, '_>,
    kernel: &'scope Mutex<Kernel>,
    spawner: io::Result<Spawner>,
) {
    let builder = thread::Builder::new().name("kernel".to_owned()).stack_size(STACK_BYTES);
    let started = spawner.and_then(|spawner| {
        builder.spawn_scoped(scope, move || serve(scope, kernel, spawner)).map(drop)
    });
    if let Err(error) = started {
        // With fewer threads it is slower, not worse.
        log::line(format_args!("cannot start a thread: {error}"));
        let mut kernel = lock(kernel);
        kernel.threads -= 1;
        kernel.threads_max = kernel.threads;
    }
}

fn serve<'scope>(
    scope: &'scope Scope<'scope, '_>,
    kernel: &'scope Mutex<Kernel>,
    mut spawner: Spawner,
) -> io::Result<()> {
    let served = turns(scope, kernel, &mut spawner);
    if served.is_err() {
        // The others must not go on with half of what there is to know.
        lock(kernel).give_up();
    }
    served
}

fn turns<'scope>(
    scope: &'scope Scope<'scope, '_>,
    shared: &'scope Mutex<Kernel>,
    spawner: &mut Spawner,
) -> io::Result<()> {
    let mut waiter = lock(shared).poll.waiter()?;
    loop {
        let mut kernel = lock(shared);
        kernel.turn(&waiter.tokens);
        let mut job = kernel.next_start();
        let mut next = kernel.settle_turn(job.is_some())?;
        let more_threads = kernel.takes_thread();
        drop(kernel);
        if more_threads {
            add_thread(scope, shared, spawner.another());
        }
        while let Some(begun) = job {
            let made = begun.spawn(spawner);
            let mut kernel = lock(shared);
            kernel.take_started(begun, made);
            job = kernel.next_start();
            next = kernel.settle_turn(job.is_some())?;
        }
        match next {
            Next::Leave => return Ok(()),
            Next::Wait { only_look } => waiter.wait(only_look)?,
        }
    }
}

impl Kernel {
    /// How many processes may be made at once: so many that one thread is left for the loop.
    pub(super) fn makers(&self) -> usize {
        let hanging = self.starting.hanging(clock::boot_us());
        (self.threads - 1).clamp(1, THREADS - 1 + hanging)
    }

    /// Whether another thread is to be started, which is counted from now on.
    fn takes_thread(&mut self) -> bool {
        let hanging = self.starting.hanging(clock::boot_us());
        let takes = self.threads < (THREADS + hanging).min(self.threads_max);
        self.threads += usize::from(takes);
        takes
    }
}

/// A thread that panicked has left the state as it was between two steps at worst; the tasks are
/// better served by going on than by a supervisor that dies.
fn lock(kernel: &Mutex<Kernel>) -> MutexGuard<'_, Kernel> {
    kernel.lock().unwrap_or_else(PoisonError::into_inner)
}
