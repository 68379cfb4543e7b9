//! Ways in for [`crate::output::fuzz`].

use std::path::Path;

use super::{lost, recover, removed};
use crate::output::extents::Extents;
use crate::output::frame::{FileId, Header};

/// The frames that are found in a file.
pub(in crate::output) fn frames_of(dir: &Path, id: FileId, mut each: impl FnMut(u64, &Header)) {
    let all = recover::frames(dir, id, |_, offset, header| {
        each(offset, header);
        Ok(())
    });
    all.expect("a temporary file can be read");
}

/// The bytes as each of the lists.
pub(in crate::output) fn list(bytes: &[u8]) {
    if let Some(extents) = lost::decode(bytes) {
        let list = Extents::covering(extents);
        assert!(list.as_slice().len() <= bytes.len());
    }
    if let Some(mut removed) = removed::Removed::decode_file(bytes) {
        removed.insert(7);
        assert!(removed.contains(7));
    }
}
