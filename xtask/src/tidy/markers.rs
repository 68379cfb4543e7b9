//! Nothing unfinished is left in the tree: no `todo!`, no `dbg!`, no test that is switched off or hopes for a panic.

use super::code;
use super::fault::Fault;
use super::tree::{File, Tree, numbered};

/// What must not stand in code, and what to do instead.
const MARKERS: &[(&str, &str)] = &[
    ("todo!", "write it, or leave the whole branch out"),
    ("unimplemented!", "write it, or leave the whole branch out"),
    ("dbg!", "take it out, or use `tracing`"),
];

/// What must not stand in an attribute, and what to do instead.
const ATTRIBUTES: &[(&str, &str)] = &[
    ("ignore", "assert today's behaviour with a `FIXME`, or take the test out"),
    ("should_panic", "assert the refusal itself: return a value that says what was wrong"),
];

/// Checks all code, tests included; comments and texts may say what they like.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    tree.rust().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Fault> {
    let blanked = code::blanked(&file.text);
    let mut faults = Vec::new();
    for (line, text) in numbered(&blanked) {
        for (marker, hint) in MARKERS {
            if has_word(text, marker) {
                faults.push(Fault::new(
                    &file.path,
                    line,
                    format!("`{marker}` is left in the code"),
                    *hint,
                ));
            }
        }
        for (attribute, hint) in ATTRIBUTES {
            if text.trim_start().starts_with("#[") && has_word(text, attribute) {
                faults.push(Fault::new(
                    &file.path,
                    line,
                    format!("`#[{attribute}]` on a test"),
                    *hint,
                ));
            }
        }
    }
    faults
}

/// Whether the word stands in the text as a whole word.
fn has_word(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let ends = word.ends_with('!') || code::leading_word(&text[at..]) == word;
        code::starts_word(text, at) && ends
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(source: &str) -> Vec<String> {
        check(&Tree::of(&[("crates/a/src/b.rs", source)])).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn each_marker_is_found_where_it_stands() {
        for (marker, _) in MARKERS {
            let found = faults(&format!("fn f() {{\n    {marker}()\n}}\n"));
            assert_eq!(found.len(), 1, "{marker}");
            assert!(found[0].starts_with(&format!("crates/a/src/b.rs:2: `{marker}` is left")));
        }
    }

    #[test]
    fn a_test_switched_off_in_any_way_is_found() {
        for attribute in
            ["#[ignore]", "#[ignore = \"slow\"]", "#[cfg_attr(miri, ignore)]", "#[should_panic]"]
        {
            assert_eq!(faults(attribute).len(), 1, "{attribute}");
        }
    }

    #[test]
    fn comments_texts_and_longer_words_are_left_alone() {
        assert!(
            faults(
                "// todo!() and dbg!(x)\nlet a = \"dbg!\"; ignore(); my_dbg!(1);\n#[ignored_by]\n"
            )
            .is_empty()
        );
    }
}
