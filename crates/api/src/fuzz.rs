//! Entries for whoever throws arbitrary bytes at what REST reads.

use crate::json::{Cancel, Job, Purge, Rerun};
use crate::rest::parse;

/// Reads bytes as each body that is taken: never a panic, and what makes a job is shown so that it
/// makes the same job again.
pub fn bodies(bytes: &[u8]) {
    let _ = (parse::<Cancel>(bytes), parse::<Rerun>(bytes), parse::<Purge>(bytes));
    let Ok(read) = parse::<Job>(bytes) else { return };
    assert!(read.faults.iter().all(|fault| !fault.field.is_empty()));
    let Ok(spec) = read.value.into_spec() else { return };
    let is_good = spec.faults().is_empty();
    let shown = serde_json::to_vec(&Job::from(&spec)).expect("what is shown has texts for keys");
    if is_good {
        let again = parse::<Job>(&shown).ok().filter(|again| again.faults.is_empty());
        let again = again.and_then(|again| again.value.into_spec().ok());
        assert_eq!(again.as_ref(), Some(&spec), "a job is shown as another");
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    /// What a fuzzer has found interesting, as a plain test.
    #[test]
    fn the_corpus_is_read() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/rest_bodies");
        let mut inputs = 0;
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let done = std::panic::catch_unwind(|| super::bodies(&bytes));
            assert!(done.is_ok(), "the input {} fails", path.display());
            inputs += 1;
        }
        assert!(inputs > 0);
    }
}
