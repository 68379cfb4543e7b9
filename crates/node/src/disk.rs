//! What is left of a node's disk, and whether that is too little for more work.
//!
//! It must never refuse what is going on: a part of the disk is kept for that.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

/// The part of a disk that is kept for work that is going on: one in so many bytes, within bounds.
const RESERVE_PART: u64 = 20;
pub(crate) const RESERVE_BYTES: (u64, u64) = (16 << 20, 1 << 30);

/// What is left of the disk.
#[derive(Debug)]
pub(crate) struct Disk {
    dir: PathBuf,
    /// That it is low has been said.
    told: AtomicBool,
}

impl Disk {
    pub(crate) fn new(dir: PathBuf) -> Disk {
        Disk { dir, told: AtomicBool::new(false) }
    }

    /// Whether so little is left that only work which is going on may use it.
    pub(crate) fn is_low(&self) -> bool {
        self.look().is_some_and(|(free, reserve)| free < reserve)
    }

    /// Whether so little is left that nothing more is started.
    pub(crate) fn is_held(&self) -> bool {
        self.look().is_some_and(|(free, reserve)| free < reserve / 2)
    }

    /// Where it is, for people.
    pub(crate) fn path(&self) -> std::path::Display<'_> {
        self.dir.display()
    }

    /// What is free and what is kept, in bytes.
    fn look(&self) -> Option<(u64, u64)> {
        let stat = rustix::fs::statvfs(&self.dir).ok()?;
        let (least, most) = RESERVE_BYTES;
        let reserve = (stat.f_blocks * stat.f_frsize / RESERVE_PART).clamp(least, most);
        Some((stat.f_bavail * stat.f_frsize, reserve))
    }

    /// Tells people when it becomes low, and well again; says whether it is so low that nothing
    /// more may be started.
    pub(crate) fn watch(&self) -> bool {
        let Some((free, reserve)) = self.look() else { return false };
        let low = free < reserve;
        if low != self.told.swap(low, Ordering::Relaxed) {
            let (free, reserve) = (model::text::size(free), model::text::size(reserve));
            let dir = self.path();
            match low {
                true => tracing::warn!(
                    %dir, free, reserve,
                    "the disk is nearly full: submits are refused until some space is freed; what was accepted goes on"
                ),
                false => tracing::info!(%dir, free, "there is space on the disk again"),
            }
        }
        free < reserve / 2
    }
}
