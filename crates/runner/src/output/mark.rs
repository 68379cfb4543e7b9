//! The words that stand where output is missing.
//!
//! They exist because a silent gap is worse than none: a reader who sees no mark may trust that
//! nothing is missing. Words are for people; the numbers beside them are in the frames.

/// Why bytes are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// The queue before the disk was full.
    TooSlow,
    /// The disk, or the quota on it, was full.
    Full,
    /// The disk answered with this error number.
    Failed(i32),
    /// The attempt's oldest own file went to make room for the next.
    Rotated,
    /// What was written is not there any more.
    Gone,
    /// What was written is not what is there.
    Damaged,
    /// The disk does not give it back.
    Unreadable,
    /// It was not written, and the disk took no mark that says why.
    NeverWritten,
    /// It was old, and its file was removed for newer ones.
    Removed,
    /// Its supervisor was killed, and what was left did not show where it lies.
    NotFound,
}

/// The mark behind the output of an attempt whose supervisor was killed.
pub(super) const SUPERVISOR_ENDED: &str =
    "[windlass: the supervisor ended here; what came after is not known]";

/// The mark in place of output that nothing lists any more.
pub(super) fn unlisted(why: &str) -> String {
    format!("[windlass: the output of this attempt is missing: {why}]")
}

impl Reason {
    fn words(self) -> String {
        match self {
            Reason::TooSlow => "the disk is too slow".to_owned(),
            Reason::Full => "the disk is full".to_owned(),
            Reason::Failed(errno) => {
                format!("the disk failed: {}", std::io::Error::from_raw_os_error(errno))
            }
            Reason::Rotated => "the oldest goes beyond the limit of one attempt".to_owned(),
            Reason::Gone => "its file is gone".to_owned(),
            Reason::Damaged => "its file is damaged".to_owned(),
            Reason::Unreadable => "its file cannot be read".to_owned(),
            Reason::NeverWritten => "the disk did not take it".to_owned(),
            Reason::Removed => "it was removed (retention)".to_owned(),
            Reason::NotFound => "it was not found again after its supervisor had ended".to_owned(),
        }
    }

    /// The mark for a gap of so many bytes.
    pub(super) fn mark(self, missing_bytes: u64) -> String {
        let what = match self {
            Reason::TooSlow | Reason::Full | Reason::Failed(_) | Reason::Rotated => "dropped",
            Reason::Gone
            | Reason::Damaged
            | Reason::Unreadable
            | Reason::NeverWritten
            | Reason::Removed
            | Reason::NotFound => "missing",
        };
        format!("[windlass: {} of output {what} here: {}]", size(missing_bytes), self.words())
    }

    /// The mark for a gap of which nobody knows the size.
    pub(super) fn mark_unknown(self) -> String {
        match self {
            Reason::Removed => "[windlass: output was removed here (retention)]".to_owned(),
            _ => format!("[windlass: output may be missing here: {}]", self.words()),
        }
    }
}

/// A size for people: `517 bytes`, `12.3 MiB`.
fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes == 1 {
        return "1 byte".to_owned();
    }
    if bytes < 1024 {
        return format!("{bytes} bytes");
    }
    let mut size = bytes as f64 / 1024.0;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    format!("{size:.1} {}", UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_says_how_much_and_why() {
        let mark = Reason::TooSlow.mark(12_897_485);
        assert_eq!(mark, "[windlass: 12.3 MiB of output dropped here: the disk is too slow]");
        let mark = Reason::Full.mark(1);
        assert_eq!(mark, "[windlass: 1 byte of output dropped here: the disk is full]");
        let mark = Reason::Damaged.mark(1023);
        assert_eq!(mark, "[windlass: 1023 bytes of output missing here: its file is damaged]");
    }
}
