//! A machine that is thrown away: this one's files with a layer over them, seen from namespaces of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::shown;

/// What is changed on it is gone with it.
pub(crate) struct Machine {
    dir: TempDir,
}

impl Machine {
    pub(crate) fn new() -> Machine {
        let machine = Machine { dir: tempfile::tempdir().unwrap() };
        for part in ["upper", "work", "root"] {
            std::fs::create_dir(machine.path(part)).unwrap();
        }
        machine
    }

    fn path(&self, part: &str) -> PathBuf {
        self.dir.path().join(part)
    }

    /// Puts a file into its root.
    pub(crate) fn bring(&self, from: &Path, name: &str) {
        std::fs::copy(from, self.path("upper").join(name)).unwrap();
    }

    /// Runs a script there as root, to its end, and says what it printed.
    pub(crate) fn run(&self, script: &str) -> String {
        let [upper, work, root] = ["upper", "work", "root"].map(|part| self.path(part));
        // The engine of the layers wants its own file system, whatever the temporary directory is on.
        let mounts = format!(
            "set -e; mount -t overlay overlay -o lowerdir=/,upperdir={},workdir={} {root}; \
             mount --rbind /dev {root}/dev; mount -t proc proc {root}/proc; \
             mount --rbind /sys {root}/sys; mount -t tmpfs tmpfs {root}/run; \
             exec chroot {root} /bin/bash -c \"$0\"",
            upper.display(),
            work.display(),
            root = root.display(),
        );
        let mut command = Command::new("unshare");
        command.args(["--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]);
        command.args(["/bin/bash", "-c", &mounts, script]).env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", "/root").env("DEBIAN_FRONTEND", "noninteractive");
        let output = command.output().unwrap();
        assert!(output.status.success(), "`{script}`: {}", shown(&output));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
