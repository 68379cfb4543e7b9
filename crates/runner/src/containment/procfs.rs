//! Processes as `/proc` shows them, for where there are no cgroups.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Read};

use crate::spawn::Pid;

/// The kernel's `PF_FORKNOEXEC`.
const FORKED_ONLY: u32 = 0x40;

/// A process at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) parent: Pid,
    pub(super) group: Pid,
    pub(super) session: Pid,
    /// It has ended and nobody has waited for it.
    pub(super) ended: bool,
}

/// All processes by number.
pub(super) fn processes() -> io::Result<HashMap<Pid, Process>> {
    let mut found = HashMap::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that is gone by now is not there.
        let Ok(stat) = fs::read(format!("/proc/{pid}/stat")) else { continue };
        if let Some(process) = parse(&String::from_utf8_lossy(&stat)) {
            found.insert(pid, process);
        }
    }
    Ok(found)
}

fn parse(stat: &str) -> Option<Process> {
    // The name, in parentheses, may hold anything, parentheses too.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let mut number = || fields.next()?.parse().ok();
    let (parent, group, session) = (number()?, number()?, number()?);
    Some(Process { parent, group, session, ended: matches!(state, "Z" | "X") })
}

/// Whether the process has every one of these `NAME=value` in the environment it began with.
pub(super) fn has_variables(pid: Pid, wanted: &[String]) -> bool {
    // Command and environment together have at most a few MiB.
    let mut env = Vec::new();
    let Ok(file) = fs::File::open(format!("/proc/{pid}/environ")) else { return false };
    if file.take(16 << 20).read_to_end(&mut env).is_err() {
        return false;
    }
    let has =
        |wanted: &String| env.split(|byte| *byte == 0).any(|found| found == wanted.as_bytes());
    wanted.iter().all(has)
}

/// Whether a process that we made runs a program of its own by now.
pub fn has_executed(pid: Pid) -> bool {
    let stat = fs::read(format!("/proc/{pid}/stat")).unwrap_or_default();
    let stat = String::from_utf8_lossy(&stat);
    let flags = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_ascii_whitespace().nth(6));
    let flags = flags.and_then(|flags| flags.parse::<u32>().ok());
    flags.is_some_and(|flags| flags & FORKED_ONLY == 0)
}

/// Sends a signal; a process that is gone needs none.
pub(super) fn signal(pid: Pid, signal: i32) {
    debug_assert!(pid > 1, "0 and below are groups, 1 is never ours");
    // SAFETY: a plain system call.
    unsafe { libc::kill(pid, signal) };
}

/// Waits for a child that is about to end, and forgets it.
pub(super) fn wait_for(pid: Pid) {
    // SAFETY: writes nothing.
    unsafe { libc::waitpid(pid, std::ptr::null_mut(), 0) };
}

/// Waits for every child that has ended, but for those that `keep` names.
pub fn reap_strays(keep: impl Fn(Pid) -> bool) {
    let own = std::process::id() as Pid;
    let Ok(processes) = processes() else { return };
    for (pid, process) in processes {
        if process.parent == own && process.ended && !keep(pid) {
            // SAFETY: writes nothing, and does not wait: the child has ended.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::WNOHANG) };
        }
    }
}

/// Which start of the machine this is.
pub fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// Asks the kernel to spare this process when memory is short; whether it does.
///
/// Not to the last: a supervisor that itself takes all memory must still be one that can be killed.
pub fn lower_oom_score() -> bool {
    fs::write("/proc/self/oom_score_adj", "-900").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let process = parse("7 (a) Z 1) S 2 3 4 0 -1").unwrap();
        assert_eq!(process, Process { parent: 2, group: 3, session: 4, ended: false });
        assert!(parse("8 (x) Z 2 3 4 0").unwrap().ended);
        assert_eq!(parse("garbage"), None);
    }

    #[test]
    fn this_process_is_there() {
        let own = std::process::id() as Pid;
        assert!(!processes().unwrap()[&own].ended);
        assert!(has_executed(own));
    }
}
