//! The bare loops that Windlass is measured against.
//!
//! Two threads start a process, wait for its end, and start the next.
//! `plain` does only that, on the fast path of `posix_spawn`; `contained` makes the same pipes and the same
//! containment as Windlass does, and is a program of the crate `runner`, which knows how.
//! Each runs in a process of its own: starting a process costs more the more memory the parent has.

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, bail};

use crate::workspace;

const THREADS: usize = 2;

/// The plain loop as a command.
pub(super) fn plain(count: u32) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("finding the own program")?);
    command.arg("__bare-spawn").arg(count.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    Ok(command)
}

/// The loop of `xargs`.
pub(super) fn xargs(count: u32) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("seq {count} | xargs -P{THREADS} -n1 /bin/true"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// The loop with pipes and containment as a command.
pub(super) fn contained(program: &std::path::Path, count: u32) -> Command {
    let mut command = Command::new(program);
    command.arg(count.to_string()).arg(THREADS.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

/// Builds the loop with pipes and containment, where the runner brings one.
pub(super) fn build_contained() -> Result<Option<PathBuf>> {
    if !workspace::root().join("crates/runner/examples/bare_loop.rs").exists() {
        eprintln!("warning: the runner brings no bare loop, so its row is left out");
        return Ok(None);
    }
    super::build(&["--package", "runner", "--example", "bare_loop"], "examples/bare_loop").map(Some)
}

/// The plain loop itself, started as `cargo xtask __bare-spawn COUNT`.
pub(crate) fn child(args: &[String]) -> Result<ExitCode> {
    let [count] = args else { bail!("usage: cargo xtask __bare-spawn COUNT") };
    let count: u32 = count.parse().with_context(|| format!("reading the count `{count}`"))?;
    let taken = AtomicU32::new(0);
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..THREADS).map(|_| scope.spawn(|| spawn_until(count, &taken))).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("the loop does not panic"))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// A command without hooks, other environment or other directory takes the fast path.
fn spawn_until(count: u32, taken: &AtomicU32) -> Result<()> {
    while taken.fetch_add(1, Ordering::Relaxed) < count {
        super::run_well(&mut Command::new("/bin/true"), "/bin/true")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loops_end_well() {
        assert_eq!(child(&["5".to_owned()]).unwrap(), ExitCode::SUCCESS);
        assert!(child(&["five".to_owned()]).is_err());
        assert!(xargs(5).status().unwrap().success());
    }
}
