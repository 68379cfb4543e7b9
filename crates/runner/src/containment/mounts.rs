//! Where this process's own cgroups lie in the file system.

use std::fs;
use std::path::{Path, PathBuf};

/// What the kernel says of mounts and of this process's cgroups.
pub(super) struct Mounts {
    mountinfo: String,
    cgroup: String,
}

impl Mounts {
    pub(super) fn read() -> Mounts {
        let text = |path| fs::read_to_string(path).unwrap_or_default();
        Mounts { mountinfo: text("/proc/self/mountinfo"), cgroup: text("/proc/self/cgroup") }
    }

    /// The directory of this process's cgroup v2.
    pub(super) fn v2(&self) -> Option<PathBuf> {
        let own = self.cgroup.lines().find_map(|line| line.strip_prefix("0::"))?;
        self.find(own, |kind, _| kind == "cgroup2")
    }

    /// The directory of this process's cgroup v1, and whether it can freeze: the freezer hierarchy
    /// where there is one, else that of pids.
    pub(super) fn v1(&self) -> Option<(PathBuf, bool)> {
        [("freezer", true), ("pids", false)].into_iter().find_map(|(controller, freezes)| {
            let has = |list: &str| list.split(',').any(|name| name == controller);
            let own = self.cgroup.lines().find_map(|line| {
                let mut fields = line.splitn(3, ':');
                let (_, names, path) = (fields.next()?, fields.next()?, fields.next()?);
                has(names).then_some(path)
            })?;
            let found = self.find(own, |kind, options| kind == "cgroup" && has(options))?;
            Some((found, freezes))
        })
    }

    /// The directory of the cgroup `own` in the first mount that is `wanted` and shows it.
    fn find(&self, own: &str, wanted: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
        self.mountinfo.lines().find_map(|line| {
            let (before, after) = line.split_once(" - ")?;
            let mut before = before.split(' ').skip(3);
            let (root, point) = (unescape(before.next()?), unescape(before.next()?));
            let mut after = after.split(' ');
            let (kind, options) = (after.next()?, after.nth(1)?);
            if !wanted(kind, options) {
                return None;
            }
            // In a container the mount may show only a part of the tree.
            let inside = Path::new(own).strip_prefix(&root).ok()?;
            let dir = Path::new(&point).join(inside);
            dir.is_dir().then_some(dir)
        })
    }
}

/// Spaces and the like are written as three octal digits.
fn unescape(text: &str) -> String {
    let mut out = text.to_owned();
    for (code, plain) in [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")] {
        out = out.replace(code, plain);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_cgroups_are_found_in_their_mounts() {
        let mounts = Mounts {
            mountinfo: "20 1 0:1 / /sys rw - sysfs sysfs rw\n\
                21 20 0:2 /docker/x /tmp rw shared:1 - cgroup cgroup rw,freezer\n\
                22 20 0:3 / /usr rw - cgroup2 cgroup2 rw\n"
                .to_owned(),
            cgroup: "3:cpu,cpuacct:/a\n2:freezer:/docker/x\n0::/bin\n".to_owned(),
        };
        assert_eq!(mounts.v2(), Some("/usr/bin".into()));
        assert_eq!(mounts.v1(), Some(("/tmp".into(), true)));
        let none = Mounts { mountinfo: String::new(), cgroup: mounts.cgroup };
        assert_eq!((none.v2(), none.v1()), (None, None));
    }
}
