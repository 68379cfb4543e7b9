//! Waits for the end of another process, known by a descriptor and not by a number that may be
//! given to the next.

use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Another process of this machine.
pub(crate) struct Process(OwnedFd);

impl Process {
    /// `None`: there is no such process here.
    pub(crate) fn open(pid: u32) -> Option<Process> {
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        pidfd_open(pid, PidfdFlags::empty()).ok().map(Process)
    }

    /// Waits, and blocks the thread; whether it has ended.
    pub(crate) fn gone_within(&self, limit: Duration) -> bool {
        let timeout = Timespec { tv_sec: limit.as_secs() as i64, tv_nsec: 0 };
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        poll(&mut fds, Some(&timeout)).is_ok_and(|ready| ready > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_seen() {
        let mut child = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let process = Process::open(child.id()).unwrap();
        assert!(!process.gone_within(Duration::ZERO));
        drop(child.stdin.take());
        assert!(process.gone_within(Duration::from_secs(10)));
        child.wait().unwrap();
        assert!(Process::open(0).is_none());
    }
}
