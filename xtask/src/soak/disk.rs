//! A small disk: a file system of its own in a file where that may be mounted, else a plain directory.
//!
//! A file system in memory is the second choice: durable costs nothing on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

pub(super) struct Disk {
    place: PathBuf,
    root: PathBuf,
    /// How, where it is mounted at all.
    kind: Option<&'static str>,
    mib: u64,
}

impl Disk {
    /// Makes it at `place`.
    pub(super) fn make(place: &Path, mib: u64) -> Result<Disk> {
        let root = place.join("root");
        fs::create_dir_all(&root).with_context(|| format!("making {}", root.display()))?;
        let kind = mount(place, &root, mib);
        Ok(Disk { place: place.to_owned(), root, kind, mib })
    }

    pub(super) fn directory(&self) -> &Path {
        &self.root
    }

    pub(super) fn what(&self) -> String {
        match self.kind {
            Some(kind) => format!("a disk of {} MiB ({kind})", self.mib),
            None => "a plain directory: no disk can be mounted here, so none fills".to_owned(),
        }
    }

    /// Takes it away again.
    pub(super) fn remove(self) -> Result<()> {
        self.unmount();
        fs::remove_dir_all(&self.place)
            .with_context(|| format!("removing {}", self.place.display()))
    }

    fn unmount(&self) {
        // Lazily: a task that was not gone in time holds its directory.
        let root = self.root.to_string_lossy();
        let _ = self.kind.is_none() || run("umount", &[&root]) || run("umount", &["-l", &root]);
    }
}

fn mount(place: &Path, root: &Path, mib: u64) -> Option<&'static str> {
    let image = place.join("image");
    let [image_path, root] = [image.to_string_lossy(), root.to_string_lossy()];
    let made = fs::File::create(&image).and_then(|file| file.set_len(mib << 20)).is_ok();
    if made
        && run("mkfs.ext4", &["-q", "-F", "-m", "0", &image_path])
        && run("mount", &["-o", "loop", &image_path, &root])
    {
        return Some("ext4 in a file");
    }
    let size = format!("size={mib}m");
    run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &root]).then_some("tmpfs, in memory")
}

fn run(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_comes_and_goes() {
        let place = std::env::temp_dir().join(format!("xtask-disk-{}", std::process::id()));
        let disk = Disk::make(&place, 16).unwrap();
        fs::write(disk.directory().join("file"), "text").unwrap();
        assert!(disk.what().contains("16 MiB") || disk.what().contains("plain"));
        disk.remove().unwrap();
        assert!(!place.exists());
    }
}
