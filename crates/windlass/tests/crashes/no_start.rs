//! What stands in the way of a start, on real file systems: each says what to do.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::mount::Mount;
use crate::node::{Home, Shown, filters};

/// Checks all that a command leaves.
macro_rules! check {
    ($home:expr, $shown:expr, @$expected:literal) => {{
        let shown = $shown;
        filters(&$home, "127.0.0.1:0").bind(|| insta::assert_snapshot!(shown, @$expected));
    }};
}

const UP: [&str; 5] = ["up", "--data-dir", "data", "--api", "127.0.0.1:0"];

#[test]
fn a_disk_that_is_too_small_is_named() {
    let home = Home::new();
    let _disk = Mount::small(&home.path().join("data"), 32);
    let shown = home.windlass(&UP);
    check!(home, shown, @r"
    exit code: 1
    --- stderr ---
    error: the disk of `[DIR]/data` has 32 MiB free, a node needs 192 MiB
    hint: free some space there, or name another directory with `--data-dir`
    ");
    let left = std::fs::read_dir(home.path().join("data")).unwrap().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert_eq!(left, ["lock"], "nothing half-made is left");
}

#[test]
fn a_disk_that_is_full_is_named() {
    let home = Home::new();
    let disk = Mount::small(&home.path().join("data"), 32);
    disk.fill();
    let shown = home.windlass(&UP);
    check!(home, shown, @r"
    exit code: 1
    --- stderr ---
    error: the disk of `[DIR]/data` has 0 B free, a node needs 192 MiB
    hint: free some space there, or name another directory with `--data-dir`
    ");
}

#[test]
fn a_disk_that_cannot_be_written_is_named() {
    let home = Home::new();
    std::fs::create_dir(home.path().join("data")).unwrap();
    let _mount = Mount::read_only(&home.path().join("data"));
    let shown = home.windlass(&UP);
    check!(home, shown, @r"
    exit code: 1
    --- stderr ---
    error: cannot use the data directory `[DIR]/data`: cannot write in it: Read-only file system (os error 30)
    hint: make it writable for this user, or name another one with `--data-dir`
    ");
}

#[test]
fn a_directory_of_somebody_else_is_named() {
    let home = Home::new();
    for (dir, mode) in [(home.path(), 0o755), (home.path().join("data"), 0o755)] {
        let _ = std::fs::create_dir(&dir);
        std::fs::set_permissions(&dir, PermissionsExt::from_mode(mode)).unwrap();
    }
    let nobody = ["--reuid=65534", "--regid=65534", "--clear-groups", "--"];
    let mut command = Command::new("setpriv");
    command.args(nobody).arg(env!("CARGO_BIN_EXE_windlass")).args(UP);
    command.env("HOME", "/nonexistent").current_dir(home.path());
    let shown = command.output().expect("`setpriv` is not there: install util-linux");
    let shown = Shown(shown);
    check!(home, shown, @r"
    exit code: 1
    --- stderr ---
    error: cannot use the data directory `[DIR]/data`: cannot write in it: Permission denied (os error 13)
    hint: make it writable for this user, or name another one with `--data-dir`
    ");
}
