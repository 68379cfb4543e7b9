//! Links between the pages lead somewhere.
//!
//! Only links inside the repository are followed: whether another server answers is not for a check that must
//! give the same result on every machine.

use super::fault::Fault;
use super::tree::{File, Tree};

/// Checks the relative links of every page.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    tree.markdown().flat_map(|file| check_file(tree, file)).collect()
}

fn check_file(tree: &Tree, file: &File) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut in_code = false;
    for (line, text) in file.lines() {
        if text.trim_start().starts_with("```") {
            in_code = !in_code;
        }
        if in_code {
            continue;
        }
        for target in targets(text) {
            let leads = resolve(&file.path, target).is_some_and(|path| tree.contains(&path));
            if !leads {
                let what = format!("the link `{target}` leads nowhere");
                faults.push(Fault::new(
                    &file.path,
                    line,
                    what,
                    "name a file, relative to this page",
                ));
            }
        }
    }
    faults
}

/// The targets inside the repository that a line links to, as `[…](target)` or `[…]: target`.
fn targets(line: &str) -> Vec<&str> {
    // Every second piece stands between backticks and shows code. Where a link's text is code, the piece after it
    // begins with the target.
    let prose = line.split('`').step_by(2);
    let inline = prose.flat_map(|piece| {
        let after = piece.match_indices("](").map(move |(at, mark)| &piece[at + mark.len()..]);
        after.map(|rest| rest.split(')').next().unwrap_or_default())
    });
    let defined =
        line.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
    let all =
        inline.chain(defined).map(|target| target.split_whitespace().next().unwrap_or_default());
    all.filter(|target| is_relative(target)).collect()
}

fn is_relative(target: &str) -> bool {
    !target.contains("://") && !target.starts_with("mailto:") && !target.starts_with('#')
}

/// The path from the root of the repository; none if the target leaves it.
fn resolve(page: &str, target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or_default();
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    if target.is_empty() || target.starts_with('/') {
        return None;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let files = [("docs/a.md", text), ("docs/adr/b.md", ""), ("README.md", "")];
        check(&Tree::of(&files)).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn links_that_lead_somewhere_are_fine() {
        let fine = "[a](adr/b.md) [`b`](../README.md#install) [c](adr/) [d](..)\n[e]: adr/b.md\n";
        assert!(faults(fine).is_empty(), "{:?}", faults(fine));
    }

    #[test]
    fn a_link_that_leads_nowhere_is_a_fault() {
        for target in ["adr/c.md", "../../b.md", "/README.md", ""] {
            let found = faults(&format!("one\n[x]({target})\n"));
            assert_eq!(found.len(), 1, "{target}");
            assert!(
                found[0].starts_with(&format!("docs/a.md:2: the link `{target}` leads nowhere"))
            );
        }
        assert_eq!(faults("[`x`](gone.md)\n").len(), 1);
        assert_eq!(faults("[x]: gone.md\n").len(), 1);
    }

    #[test]
    fn other_servers_anchors_and_code_are_left_alone() {
        let text = "[a](https://x.org/b) [b](#c) [c](mailto:d@e) `[x](y)`\n```\n[x](y)\n```\n";
        assert!(faults(text).is_empty());
    }
}
