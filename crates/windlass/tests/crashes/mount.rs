//! File systems of a test's own: small enough to be full, or not writable at all.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A mount that goes with this value.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// A file system of so many MiB at `at`, which is made.
    pub(crate) fn small(at: &Path, mib: u32) -> Mount {
        fs::create_dir_all(at).unwrap();
        let options = format!("size={mib}m,mode=0700");
        mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], at)
    }

    /// What is there already, read-only even for root.
    pub(crate) fn read_only(at: &Path) -> Mount {
        let bound = mount(&["--bind", at.to_str().unwrap()], at);
        std::mem::forget(mount(&["-o", "remount,bind,ro", at.to_str().unwrap()], at));
        bound
    }

    /// Leaves no byte free; the file to remove to have it back.
    pub(crate) fn fill(&self) -> PathBuf {
        let path = self.0.join("filler");
        let mut file = File::create(&path).unwrap();
        for size in [1 << 20, 1] {
            let block = vec![0; size];
            while file.write_all(&block).is_ok() {}
        }
        path
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: where a test has failed something may still be open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(args: &[&str], at: &Path) -> Mount {
    let mut command = Command::new("mount");
    command.args(args);
    if !args.iter().any(|arg| arg.contains("remount")) {
        command.arg(at);
    }
    let output = command.output().unwrap();
    let why = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "this test mounts a file system: run it as root with CAP_SYS_ADMIN: {why}"
    );
    Mount(at.to_owned())
}
