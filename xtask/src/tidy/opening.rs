//! Every source file opens with words on what it is for.
//!
//! A reader who lands in the middle of the house learns from them where he is.

use super::fault::Fault;
use super::tree::{File, Tree};

/// Checks that the first line of each source file is `//!` with words after it.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    tree.rust().filter(|file| file.source_of().is_some()).filter_map(check_file).collect()
}

fn check_file(file: &File) -> Option<Fault> {
    let first = file.text.lines().next().unwrap_or_default();
    let words = first.strip_prefix("//!").map(str::trim).unwrap_or_default();
    if !words.is_empty() && !words.starts_with('(') {
        return None;
    }
    let hint = "begin with `//!`: what it is for, why it exists, what it must never do";
    Some(Fault::new(&file.path, 1, "no opening words", hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(first: &str) -> usize {
        check(&Tree::of(&[("crates/a/src/lib.rs", first)])).len()
    }

    #[test]
    fn words_are_wanted_on_the_first_line() {
        assert_eq!(faults("//! The vocabulary.\n"), 0);
        assert_eq!(faults("use std::fs;\n//! Late.\n"), 1);
        assert_eq!(faults(""), 1);
    }

    #[test]
    fn a_place_kept_for_words_is_not_words() {
        assert_eq!(faults("//!\n"), 1);
        assert_eq!(faults("//! (words come later)\n"), 1);
    }

    #[test]
    fn tests_beside_the_source_need_no_opening() {
        assert!(check(&Tree::of(&[("crates/a/tests/b.rs", "fn main() {}")])).is_empty());
    }
}
