//! The threads that share the loop.
//!
//! All wait at one epoll, which wakes one of them for each thing that happens. Whoever is woken
//! deals with it, and makes the process that may be started for it, which takes until its program
//! is executed; what happens meanwhile wakes another. So a program on a dead file server does not
//! stop the killing of others, and no process is handed from thread to thread to be made. State is
//! touched by one at a time, as in a loop of one thread.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use super::kernel::{Kernel, Next};
use super::log;
use crate::spawn::Spawner;

/// Two can make processes while one waits.
pub(super) const THREADS: usize = 3;

/// None of them needs much stack.
const STACK_BYTES: usize = 256 << 10;

/// Runs until there is nothing more to do, with a spawner for each thread.
pub(super) fn run(mut kernel: Kernel, spawners: Vec<Spawner>) -> io::Result<()> {
    kernel.begin()?;
    let mut spawners = spawners.into_iter();
    let own = spawners.next();
    let kernel = &Mutex::new(kernel);
    let result = thread::scope(|scope| {
        for spawner in spawners {
            let builder = thread::Builder::new().name("kernel".to_owned()).stack_size(STACK_BYTES);
            match builder.spawn_scoped(scope, move || serve(kernel, spawner)) {
                Ok(_) => lock(kernel).starting_max += 1,
                // With fewer threads it is slower, not worse.
                Err(error) => log::line(format_args!("cannot start a thread: {error}")),
            }
        }
        let mut first = lock(kernel);
        first.starting_max = first.starting_max.max(1);
        drop(first);
        own.map_or(Ok(()), |spawner| serve(kernel, spawner))
    });
    lock(kernel).leave();
    result
}

fn serve(kernel: &Mutex<Kernel>, mut spawner: Spawner) -> io::Result<()> {
    let served = turns(kernel, &mut spawner);
    if served.is_err() {
        // The others must not go on with half of what there is to know.
        lock(kernel).give_up();
    }
    served
}

fn turns(shared: &Mutex<Kernel>, spawner: &mut Spawner) -> io::Result<()> {
    let mut waiter = lock(shared).poll.waiter()?;
    loop {
        let mut kernel = lock(shared);
        kernel.turn(&waiter.tokens);
        let mut job = kernel.next_start();
        let mut next = kernel.settle_turn(job.is_some())?;
        drop(kernel);
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

/// A thread that panicked has left the state as it was between two steps at worst; the tasks are
/// better served by going on than by a supervisor that dies.
fn lock(kernel: &Mutex<Kernel>) -> MutexGuard<'_, Kernel> {
    kernel.lock().unwrap_or_else(PoisonError::into_inner)
}
