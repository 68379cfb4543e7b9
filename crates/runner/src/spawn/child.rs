//! What a new process does between its making and its program.
//!
//! It runs in the supervisor's own memory while the supervisor's thread is suspended: raw system
//! calls and plain reads only. It must never allocate, panic, lock or touch thread-local state.

use std::ffi::{c_char, c_void};
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, Ordering::Relaxed};

use super::syscall::call;

/// What the child reads, and where it says what failed. Every pointer outlives the child's stay
/// in this memory, because the parent that owns it is suspended.
pub(super) struct Orders {
    /// An open `cgroup.procs` to enter by, or -1 where the making itself put the child inside.
    pub(super) enter: RawFd,
    pub(super) stdin: RawFd,
    pub(super) stdout: RawFd,
    pub(super) stderr: RawFd,
    /// Whether the supervisor changed its own `oom_score_adj`.
    pub(super) reset_oom: bool,
    pub(super) files: libc::rlimit64,
    pub(super) user: Option<Ids>,
    pub(super) cwd: *const c_char,
    /// Paths to try in this order, null-terminated; empty to leave at once without a fault.
    pub(super) programs: *const *const c_char,
    pub(super) argv: *const *const c_char,
    pub(super) envp: *const *const c_char,
    pub(super) failed_step: AtomicI32,
    pub(super) failed_errno: AtomicI32,
}

/// Whom the process is to be.
#[derive(Clone, Copy)]
pub(super) struct Ids {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: *const u32,
    pub(super) groups_count: usize,
}

/// What a child was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum Step {
    /// The process could not be made.
    Clone = 1,
    /// Entering its cgroup.
    Enter,
    /// Making a session.
    Session,
    /// Putting its descriptors in place.
    Descriptors,
    /// Setting its limits.
    Limits,
    /// Becoming its user.
    User,
    /// Changing to its working directory.
    Directory,
    /// Executing its program.
    Exec,
}

impl Step {
    pub(super) fn from_number(number: i32) -> Option<Step> {
        use Step::*;
        [Clone, Enter, Session, Descriptors, Limits, User, Directory, Exec]
            .into_iter()
            .find(|step| *step as i32 == number)
    }
}

/// The child's whole life before its program.
///
/// # Safety
/// `arg` points to [`Orders`] that stay valid until the child has executed or left.
pub(super) unsafe extern "C" fn main(arg: *mut c_void) -> ! {
    // SAFETY: as promised by the caller.
    let orders = unsafe { &*arg.cast::<Orders>() };
    // SAFETY: the orders' pointers are valid, see `Orders`.
    let (step, errno) = match unsafe { obey(orders) } {
        Ok(()) => (0, 0),
        Err((step, errno)) => (step as i32, errno),
    };
    orders.failed_errno.store(errno, Relaxed);
    orders.failed_step.store(step, Relaxed);
    loop {
        // SAFETY: leaves; nothing of the parent's is undone by it.
        unsafe { call(libc::SYS_exit_group, [127, 0, 0, 0, 0]) };
    }
}

/// Does everything up to the program, in an order that matters: into the cgroup before anything
/// else, the user after what only root may do, the signal mask last.
#[inline(always)]
unsafe fn obey(orders: &Orders) -> Result<(), (Step, i32)> {
    // SAFETY: plain system calls; every pointer is a static or the orders' own.
    unsafe {
        if orders.enter >= 0 {
            let zero = c"0".as_ptr() as usize;
            check(Step::Enter, call(libc::SYS_write, [orders.enter as usize, zero, 1, 0, 0]))?;
        }
        check(Step::Session, call(libc::SYS_setsid, [0; 5]))?;
        for (from, to) in [(orders.stdin, 0), (orders.stdout, 1), (orders.stderr, 2)] {
            let result = call(libc::SYS_dup3, [from as usize, to, 0, 0, 0]);
            check(Step::Descriptors, result)?;
        }
        call(libc::SYS_umask, [0o022, 0, 0, 0, 0]);
        if orders.reset_oom {
            reset_oom();
        }
        let files = (&raw const orders.files) as usize;
        let nofile = libc::RLIMIT_NOFILE as usize;
        check(Step::Limits, call(libc::SYS_prlimit64, [0, nofile, files, 0, 0]))?;
        if let Some(user) = orders.user {
            become_user(user)?;
        }
        check(Step::Directory, call(libc::SYS_chdir, [orders.cwd as usize, 0, 0, 0, 0]))?;
        let none = 0_u64;
        let mask = (&raw const none) as usize;
        call(libc::SYS_rt_sigprocmask, [libc::SIG_SETMASK as usize, mask, 0, 8, 0]);
        execute(orders)
    }
}

/// The lower score is the supervisor's alone. Failing is no reason not to run.
#[inline(always)]
unsafe fn reset_oom() {
    let path = c"/proc/self/oom_score_adj".as_ptr() as usize;
    let here = libc::AT_FDCWD as isize as usize;
    let flags = libc::O_WRONLY as usize;
    // SAFETY: the strings are static.
    unsafe {
        let file = call(libc::SYS_openat, [here, path, flags, 0, 0]);
        if file >= 0 {
            call(libc::SYS_write, [file as usize, c"0".as_ptr() as usize, 1, 0, 0]);
            call(libc::SYS_close, [file as usize, 0, 0, 0, 0]);
        }
    }
}

#[inline(always)]
unsafe fn become_user(user: Ids) -> Result<(), (Step, i32)> {
    let (uid, gid) = (user.uid as usize, user.gid as usize);
    // SAFETY: the groups are valid for their count.
    unsafe {
        let groups = [user.groups_count, user.groups as usize, 0, 0, 0];
        check(Step::User, call(libc::SYS_setgroups, groups))?;
        check(Step::User, call(libc::SYS_setresgid, [gid, gid, gid, 0, 0]))?;
        check(Step::User, call(libc::SYS_setresuid, [uid, uid, uid, 0, 0]))
    }
}

/// Tries the programs as `execvp` would: one that is not there or may not be executed makes way
/// for the next, and "permission denied" is what is reported if any of them was.
#[inline(always)]
unsafe fn execute(orders: &Orders) -> Result<(), (Step, i32)> {
    let mut next = orders.programs;
    let mut fault = 0;
    loop {
        // SAFETY: the list ends with a null pointer, where this loop ends.
        let program = unsafe { *next };
        if program.is_null() {
            return if fault == 0 { Ok(()) } else { Err((Step::Exec, fault)) };
        }
        let args = [program as usize, orders.argv as usize, orders.envp as usize, 0, 0];
        // SAFETY: program, arguments and environment are null-terminated.
        let errno = -unsafe { call(libc::SYS_execve, args) } as i32;
        match errno {
            libc::ENOENT | libc::ENOTDIR if fault == libc::EACCES => {}
            libc::ENOENT | libc::ENOTDIR | libc::EACCES => fault = errno,
            _ => return Err((Step::Exec, errno)),
        }
        // SAFETY: not yet at the end.
        next = unsafe { next.add(1) };
    }
}

#[inline(always)]
fn check(step: Step, result: isize) -> Result<(), (Step, i32)> {
    if result < 0 { Err((step, -result as i32)) } else { Ok(()) }
}
