//! Words that must not stand in the tree: they mean something only on the machine or the day they were written on.
//!
//! Each is kept in two pieces, so that this file does not match itself.

use super::fault::Fault;
use super::tree::{File, Tree};

/// The first and second half of a word, and why it must not stand here.
const WORDS: &[(&str, &str, &str)] = &[
    ("/wo", "rk/", "it is a path of one machine: name the file relative to the repository"),
    ("/root/", ".cargo", "it is a path of one machine: ask cargo"),
    ("/tmp/", "brief", "it is a path of one machine: say it here"),
    ("../sha", "red", "it leads out of the repository: say it here"),
    ("sha", "red/DESIGN", "it leads out of the repository: say it here"),
    ("sha", "red/SEMANTICS", "it leads out of the repository: say it here"),
    ("DESIGN", " §", "it leads out of the repository: name a page of `docs`"),
    ("DESIGN", ".md", "it leads out of the repository: name a page of `docs`"),
    ("SEMANTICS", " §", "it leads out of the repository: name a page of `docs`"),
    ("SEMANTICS", ".md", "it leads out of the repository: name a page of `docs`"),
    ("STYLE", ".md", "it leads out of the repository: name CONTRIBUTING.md"),
    ("PEERS", ".md", "it leads out of the repository: name a page of `docs`"),
    ("the bri", "ef ", "nobody who reads this has seen it: say what it says"),
];

/// Checks every file but the lock file, which cargo writes.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    tree.files.iter().filter(|file| file.path != "Cargo.lock").flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (first, second, why) in WORDS {
        let word = format!("{first}{second}");
        if !file.text.contains(&word) {
            continue;
        }
        let hits = file.lines().filter(|(_, line)| stands_in(line, &word));
        faults.extend(
            hits.map(|(line, _)| {
                Fault::new(&file.path, line, format!("`{word}` stands here"), *why)
            }),
        );
    }
    faults
}

/// A path counts only from its root: `build/top/` is not `/top/`.
fn stands_in(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let inside = line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.".contains(c));
        !(word.starts_with('/') && inside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_found_in_any_file() {
        for (first, second, _) in WORDS {
            let tree = Tree::of(&[("docs/a.md", &format!("one\ntwo {first}{second} three\n"))]);
            let faults = check(&tree);
            assert!(!faults.is_empty(), "{first}{second}");
            assert!(faults.iter().all(|fault| fault.line == 2));
        }
    }

    #[test]
    fn a_path_inside_another_is_no_fault() {
        assert!(!stands_in("build/top/x", "/top/"));
        assert!(stands_in("cd /top/x", "/top/"));
    }
}
