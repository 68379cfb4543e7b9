//! The bare loop a benchmark holds the whole against: the same processes, pipes and containment,
//! and nothing else.
//!
//! It shares the spawner and the containment with the supervisor, so the difference between the
//! two is what the daemon, the journal, the output files and the messages cost.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use model::{Attempt, Element, Fence, NodeId, RunId};

use crate::containment::{Containment, Error, Kind};
use crate::env;
use crate::spawn::{Image, Spawned, Spawner, Start};
use crate::user::User;

/// Why the loop could not run.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// A system call failed.
    #[error("a process of the bare loop failed")]
    Io(#[from] io::Error),
    /// No cgroup could be made.
    #[error(transparent)]
    Containment(#[from] Error),
}

/// Runs `/bin/true` `count` times, each with two pipes read to their ends and in a cgroup that is
/// seen empty, on `threads` threads with one process at a time each; how long that took.
///
/// To be called in a process of its own and of the supervisor's size, which has no other children.
pub fn run(count: u32, threads: u32) -> Result<Duration, Fault> {
    let threads = threads.max(1);
    // Each thread needs a place of its own in the file system of cgroups.
    let lanes: Vec<Lane> = (0..threads).map(|_| Lane::new()).collect::<Result<_, _>>()?;
    let taken = AtomicU32::new(0);
    let begin = Instant::now();
    let results: Vec<io::Result<Lane>> = std::thread::scope(|scope| {
        let handles: Vec<_> =
            lanes.into_iter().map(|lane| scope.spawn(|| lane.run(count, &taken))).collect();
        handles.into_iter().map(|handle| handle.join().expect("a lane does not panic")).collect()
    });
    let took = begin.elapsed();
    for lane in results {
        lane?.containment.close();
    }
    Ok(took)
}

struct Lane {
    spawner: Spawner,
    containment: Containment,
    node_id: NodeId,
}

impl Lane {
    fn new() -> Result<Lane, Fault> {
        let mut spawner = Spawner::new(false)?;
        let node_id = NodeId(uuid::Uuid::new_v4());
        let mut last = None;
        for kind in Kind::ALL {
            match Containment::open(kind, node_id, &mut spawner) {
                Ok(containment) => return Ok(Lane { spawner, containment, node_id }),
                Err(error) => last = Some(error),
            }
        }
        Err(last.expect("there are kinds").into())
    }

    fn run(mut self, count: u32, taken: &AtomicU32) -> io::Result<Lane> {
        let env = env::shared(&User::own(), self.node_id, std::iter::empty(), std::iter::empty());
        let command = ["/bin/true".to_owned()];
        let image = Image::new(&command, &env, "", None, Fence(1)).expect("no NUL byte in it");
        let mut output = Vec::new();
        loop {
            let index = taken.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(self);
            }
            let element = Element { run: RunId(1), task: 0, index };
            let start = Start::new(Attempt { element, number: 1 }, None);
            let mut tree = self.containment.take()?;
            let made = self.spawner.spawn(&image, &start, tree.entry());
            let Spawned { pid, stdout, stderr } = made.map_err(|failure| failure.error)?;
            tree.begun(start.attempt(), pid);
            for pipe in [stdout, stderr] {
                rustix::io::ioctl_fionbio(&pipe, false)?;
                std::fs::File::from(pipe).read_to_end(&mut output)?;
            }
            let mut status = 0;
            // SAFETY: both are written by the call.
            unsafe {
                let mut usage = std::mem::zeroed::<libc::rusage>();
                libc::wait4(pid, &mut status, 0, &mut usage);
            }
            while !tree.is_empty()? {
                std::thread::sleep(Duration::from_micros(20));
            }
            self.containment.put_back(tree);
        }
    }
}
