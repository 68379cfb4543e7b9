//! Disks that are nearly full: a leader without room lets another one lead, and nothing is taken on
//! that no majority could keep.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use serde_json::json;

use crate::ground::{Ground, text, until};
use crate::mount::Mount;

/// Two segments of the journal, and room to work.
const DISK_MIB: u32 = 320;
/// Less than a node keeps for what is going on, and enough for that.
const LEFT_BYTES: u64 = 12 << 20;

/// Takes nearly all that is free; the file to remove to have it back.
fn nearly_fill(dir: &Path) -> PathBuf {
    let path = dir.join("filler");
    let stat = statvfs(dir).unwrap();
    let free = stat.f_bavail * stat.f_frsize;
    let file = File::create(&path).unwrap();
    fallocate(&file, FallocateFlags::empty(), 0, free - LEFT_BYTES).unwrap();
    path
}

#[test]
fn a_leader_without_room_gives_way_and_a_majority_without_room_takes_nothing_on() {
    let ground = Ground::new();
    let [of_a, of_b] = ["a", "b"].map(|name| ground.path(name));
    let _mounts = [&of_a, &of_b].map(|dir| Mount::small(dir, DISK_MIB));
    let a = ground.found("a");
    let b = ground.join("b", &a, "control,worker");
    let c = ground.join("c", &a, "control,worker");
    assert_eq!(ground.leader(&a, 3), "a");

    nearly_fill(&of_a);
    until("another one leads", || (ground.leader(&c, 3) != "a").then_some(()));
    let ran = ground.ask(&c, &["run", "--", "echo", "goes on"]);
    assert_eq!(text(&ran.stdout), "goes on\n", "{}", text(&ran.stderr));

    let filler = nearly_fill(&of_b);
    let refused = until("nothing more is taken on", || {
        let job = json!({ "tasks": [{ "name": "main", "command": ["true"] }] });
        let answer = c.rest("POST", "/v1/runs", Some(job));
        answer["run"].is_null().then(|| answer.to_string())
    });
    assert!(refused.contains("the disks of `") && refused.contains("nearly full"), "{refused}");
    until("who has room leads", || (ground.leader(&a, 3) == "c").then_some(()));
    std::fs::remove_file(filler).unwrap();
    until("work is taken on again", || {
        ground.ask(&c, &["run", "--", "true"]).status.success().then_some(())
    });
    drop((a, b, c));
}
