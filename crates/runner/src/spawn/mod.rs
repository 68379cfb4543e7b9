//! Makes processes at a cost that does not depend on how large the supervisor is.
//!
//! `clone3` with shared memory, the parent suspended until the child executes (as `vfork`), and
//! the child put into its cgroup by the making itself. `posix_spawn` can neither enter a cgroup
//! nor change the user, `fork` copies page tables, and a helper program costs a second `exec`.
//!
//! Only the thread that owns a [`Spawner`] makes processes, and with every signal blocked, for a
//! handler must never run in the child.

mod child;
mod image;
mod syscall;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::ptr::{null, null_mut};
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

use model::Attempt;
use rustix::pipe::{PipeFlags, pipe_with};

pub use child::Step;
use child::{Ids, Orders};
pub use image::Image;
use image::Pointers;

/// A process's id.
pub type Pid = i32;

/// The soft limit of open files that every task starts with; the hard one is inherited.
///
/// Programs that use `select` break above 1024, and those that need more raise it themselves.
pub const FILES_SOFT: u64 = 1024;

const STACK_BYTES: usize = 64 << 10;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// How a process gets into its containment.
#[derive(Clone, Copy, Debug)]
pub enum Entry<'a> {
    /// The kernel makes it inside this cgroup v2 directory.
    Made(BorrowedFd<'a>),
    /// It writes itself into this open `cgroup.procs` before it does anything else.
    Writes(BorrowedFd<'a>),
    /// There is no cgroup.
    Free,
}

/// One attempt's start, which others may watch while it is under way.
#[derive(Debug)]
pub struct Start {
    attempt: Attempt,
    item: Option<Box<str>>,
    pid: AtomicI32,
}

impl Start {
    /// The start of this attempt, which finds `item` as [`crate::env::ITEM`].
    pub fn new(attempt: Attempt, item: Option<Box<str>>) -> Start {
        Start { attempt, item, pid: AtomicI32::new(0) }
    }

    /// Whose start it is.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// The process that is being made, once there is one. It may have ended since.
    pub fn pid(&self) -> Option<Pid> {
        Some(self.pid.load(Relaxed)).filter(|pid| *pid > 0)
    }
}

/// A process that runs, and the reading ends of its pipes.
#[derive(Debug)]
pub struct Spawned {
    /// Its id, valid until it is waited for.
    pub pid: Pid,
    /// Non-blocking.
    pub stdout: OwnedFd,
    /// Non-blocking.
    pub stderr: OwnedFd,
}

/// Why there is no process with the wanted program.
#[derive(Debug)]
pub struct Failure {
    /// What failed.
    pub step: Step,
    /// The kernel's reason.
    pub error: io::Error,
    /// The process that failed; it has left or is about to, and must be waited for.
    pub pid: Option<Pid>,
}

/// Makes processes, one at a time.
#[derive(Debug)]
pub struct Spawner {
    stack: Stack,
    null: File,
    files: libc::rlimit64,
    reset_oom: bool,
    has_clone3: bool,
    pointers: Pointers,
}

// SAFETY: the stack is a mapping of the spawner's own, and the pointers are made anew for each use.
unsafe impl Send for Spawner {}

impl Spawner {
    /// A spawner. `reset_oom`: whether this process changed its own `oom_score_adj`.
    pub fn new(reset_oom: bool) -> io::Result<Spawner> {
        // SAFETY: a call without arguments makes nothing; it tells whether there is such a call.
        let probe = unsafe { syscall::call(libc::SYS_clone3, [0; 5]) };
        Ok(Spawner {
            stack: Stack::new()?,
            null: OpenOptions::new().read(true).write(true).open("/dev/null")?,
            files: files_limit()?,
            reset_oom,
            // A container's seccomp filter may deny it with either of the two.
            has_clone3: ![-libc::ENOSYS, -libc::EPERM].contains(&(probe as i32)),
            pointers: Pointers::default(),
        })
    }

    /// Another one, for another thread.
    pub fn another(&self) -> io::Result<Spawner> {
        Spawner::new(self.reset_oom)
    }

    /// Whether processes can be made inside a cgroup; else [`Entry::Writes`] has to do.
    pub fn makes_inside(&self) -> bool {
        self.has_clone3
    }

    /// Starts an attempt's program. The calling thread waits until the program is executed.
    pub fn spawn(
        &mut self,
        image: &Image,
        start: &Start,
        entry: Entry<'_>,
    ) -> Result<Spawned, Failure> {
        let pipes = || pipe_with(PipeFlags::CLOEXEC);
        let made = pipes().and_then(|out| Ok((out, pipes()?)));
        let ((stdout, out), (stderr, err)) = made.map_err(|errno| Failure {
            step: Step::Descriptors,
            error: errno.into(),
            pid: None,
        })?;
        self.pointers.point(image, start.attempt, start.item.as_deref());
        let ids = image.user.as_ref().map(|user| Ids {
            uid: user.uid,
            gid: user.gid,
            groups: user.groups.as_ptr(),
            groups_count: user.groups.len(),
        });
        let orders = Orders {
            user: ids,
            cwd: image.cwd.as_ptr(),
            programs: self.pointers.programs.as_ptr(),
            argv: self.pointers.argv.as_ptr(),
            envp: self.pointers.envp.as_ptr(),
            ..self.orders(out.as_raw_fd(), err.as_raw_fd(), entry)
        };
        let pid = self.clone(&orders, entry, &start.pid)?;
        for end in [&stdout, &stderr] {
            // Only this end: the program's must block, as every program expects.
            let _ = rustix::io::ioctl_fionbio(end, true);
        }
        Ok(Spawned { pid, stdout, stderr })
    }

    /// Makes a process that enters its containment and leaves at once: whether that works here.
    pub fn probe(&mut self, entry: Entry<'_>) -> Result<Pid, Failure> {
        let output = self.null.as_raw_fd();
        let programs = [null()];
        let orders = Orders { programs: programs.as_ptr(), ..self.orders(output, output, entry) };
        self.clone(&orders, entry, &AtomicI32::new(0))
    }

    fn orders(&self, stdout: RawFd, stderr: RawFd, entry: Entry<'_>) -> Orders {
        let enter = match entry {
            Entry::Writes(procs) => procs.as_raw_fd(),
            Entry::Made(_) | Entry::Free => -1,
        };
        Orders {
            enter,
            stdin: self.null.as_raw_fd(),
            stdout,
            stderr,
            reset_oom: self.reset_oom,
            files: self.files,
            user: None,
            cwd: c"/".as_ptr(),
            programs: null(),
            argv: null(),
            envp: null(),
            failed_step: AtomicI32::new(0),
            failed_errno: AtomicI32::new(0),
        }
    }

    fn clone(
        &mut self,
        orders: &Orders,
        entry: Entry<'_>,
        made: &AtomicI32,
    ) -> Result<Pid, Failure> {
        // The kernel says the child's number before the child runs: whoever wants to end a start
        // that hangs must not wait for its end to learn it.
        let shared = (libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_PARENT_SETTID) as u64;
        let parent_tid = made.as_ptr() as usize;
        let arg = (orders as *const Orders).cast_mut().cast();
        // SAFETY: the child gets a stack of its own and shares the memory only while this thread
        // is suspended, so that `orders` and all it points to stay as they are; `child::main`
        // keeps to raw system calls. The kernel writes one `i32` to `made`, which is one.
        let result = unsafe {
            if self.has_clone3 {
                let (flag, cgroup) = match entry {
                    Entry::Made(dir) => (CLONE_INTO_CGROUP, dir.as_raw_fd() as u64),
                    Entry::Writes(_) | Entry::Free => (0, 0),
                };
                let args = CloneArgs {
                    flags: shared | flag,
                    parent_tid: parent_tid as u64,
                    exit_signal: libc::SIGCHLD as u64,
                    stack: self.stack.start as u64,
                    stack_size: STACK_BYTES as u64,
                    cgroup,
                    ..CloneArgs::default()
                };
                let args = [(&raw const args) as usize, size_of::<CloneArgs>(), 0, 0, 0];
                syscall::clone(libc::SYS_clone3, args, child::main, arg)
            } else {
                let flags = shared as usize | libc::SIGCHLD as usize;
                let top = self.stack.start as usize + STACK_BYTES;
                let args = [flags, top, parent_tid, 0, 0];
                syscall::clone(libc::SYS_clone, args, child::main, arg)
            }
        };
        if result < 0 {
            let error = io::Error::from_raw_os_error(-result as i32);
            return Err(Failure { step: Step::Clone, error, pid: None });
        }
        let pid = result as Pid;
        match Step::from_number(orders.failed_step.load(Relaxed)) {
            None => Ok(pid),
            Some(step) => {
                let error = io::Error::from_raw_os_error(orders.failed_errno.load(Relaxed));
                Err(Failure { step, error, pid: Some(pid) })
            }
        }
    }
}

/// `struct clone_args` as of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

fn files_limit() -> io::Result<libc::rlimit64> {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: writes one limit.
    if unsafe { libc::getrlimit64(libc::RLIMIT_NOFILE, &mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max.min(FILES_SOFT);
    Ok(limit)
}

/// The stack of the one child that shares this memory at a time, with a guard page below.
#[derive(Debug)]
struct Stack {
    mapping: *mut libc::c_void,
    start: *mut libc::c_void,
}

const GUARD_BYTES: usize = 64 << 10;

impl Stack {
    fn new() -> io::Result<Stack> {
        let bytes = GUARD_BYTES + STACK_BYTES;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a fresh mapping at an address of the kernel's choice, and a change to it alone.
        unsafe {
            let mapping = libc::mmap(null_mut(), bytes, libc::PROT_NONE, flags, -1, 0);
            if mapping == libc::MAP_FAILED {
                return Err(io::Error::last_os_error());
            }
            let start = mapping.byte_add(GUARD_BYTES);
            let stack = Stack { mapping, start };
            match libc::mprotect(start, STACK_BYTES, libc::PROT_READ | libc::PROT_WRITE) {
                0 => Ok(stack),
                _ => Err(io::Error::last_os_error()),
            }
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and no child runs on it while we do.
        unsafe { libc::munmap(self.mapping, GUARD_BYTES + STACK_BYTES) };
    }
}

#[cfg(test)]
mod tests {
    use model::{Element, Fence, RunId};

    use super::*;

    /// Starts a shell that writes and leaves with 7.
    fn check(spawner: &mut Spawner) {
        let command =
            ["sh", "-c", "echo $WINDLASS_INDEX $WINDLASS_ITEM; exit 7"].map(str::to_owned);
        let env = [("PATH".to_owned(), crate::env::PATH.to_owned())];
        let image = Image::new(&command, &env, "", None, Fence(1)).unwrap();
        let element = Element { run: RunId(1), task: 0, index: 41 };
        let start = Start::new(Attempt { element, number: 1 }, Some("an item".into()));
        let spawned = spawner.spawn(&image, &start, Entry::Free).unwrap();
        assert_eq!(start.pid(), Some(spawned.pid));
        rustix::io::ioctl_fionbio(&spawned.stdout, false).unwrap();
        assert_eq!(io::read_to_string(File::from(spawned.stdout)).unwrap(), "41 an item\n");
        let mut status = 0;
        // SAFETY: the status is written.
        assert_eq!(unsafe { libc::waitpid(spawned.pid, &mut status, 0) }, spawned.pid);
        assert_eq!(libc::WEXITSTATUS(status), 7);
    }

    #[test]
    fn a_process_is_made_with_the_newer_call_and_with_the_older() {
        let mut spawner = Spawner::new(false).unwrap();
        check(&mut spawner);
        spawner.has_clone3 = false;
        check(&mut spawner);
    }

    #[test]
    fn a_process_that_cannot_be_executed_says_where_it_failed() {
        let mut spawner = Spawner::new(false).unwrap();
        let image = Image::new(&["/".to_owned()], &[], "", None, Fence(1)).unwrap();
        let element = Element { run: RunId(1), task: 0, index: 0 };
        let start = Start::new(Attempt { element, number: 1 }, None);
        let failure = spawner.spawn(&image, &start, Entry::Free).unwrap_err();
        assert_eq!((start.attempt().element, start.pid()), (element, failure.pid));
        assert_eq!(failure.step, Step::Exec);
        assert_eq!(failure.error.raw_os_error(), Some(libc::EACCES));
        let mut status = 0;
        // SAFETY: the status is written.
        unsafe { libc::waitpid(failure.pid.unwrap(), &mut status, 0) };
        assert_eq!(libc::WEXITSTATUS(status), 127);
    }
}
