//! A source file that nobody can hold in the head is two files.

use super::fault::Fault;
use super::tree::Tree;

/// Most files have 100 to 300 lines; at this many a second subject is certain.
const LINES_MAX: usize = 500;

/// Checks every Rust file outside of `tests`.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let measured = tree.rust().filter(|file| !file.is_test());
    let too_long = measured.filter_map(|file| {
        let lines = file.text.lines().count();
        let what = format!("{lines} lines, at most {LINES_MAX} are allowed");
        (lines > LINES_MAX).then(|| {
            Fault::new(
                &file.path,
                LINES_MAX + 1,
                what,
                "find the second subject in it and give it a file",
            )
        })
    });
    too_long.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_a_fault_unless_it_is_a_test() {
        let fits = "\n".repeat(LINES_MAX);
        let long = "\n".repeat(LINES_MAX + 1);
        let tree = Tree::of(&[
            ("xtask/src/a.rs", &fits),
            ("xtask/src/b.rs", &long),
            ("xtask/tests/c.rs", &long),
        ]);
        let faults = check(&tree);
        assert_eq!(faults.len(), 1);
        assert!(faults[0].to_string().starts_with("xtask/src/b.rs:501: 501 lines"));
    }
}
