//! No circles between the modules of a crate: a circle is one module under two names.
//!
//! Seen are the modules right under the crate's root and what they name as `crate::module`, in code that ships.
//! The root itself may use all of them. Names which the root exports again are not followed: that would take a
//! parser, and the circles which matter show without it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::code;
use super::fault::Fault;
use super::tree::{File, Tree};

/// From a module to those it uses, each with the place of the first use.
type Uses<'a> = BTreeMap<String, BTreeMap<String, Place<'a>>>;
type Place<'a> = (&'a str, usize);

/// Checks each crate.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let mut crates: BTreeMap<&str, Uses<'_>> = BTreeMap::new();
    for file in tree.rust().filter(|file| !file.is_test()) {
        if let Some((package, rest)) = file.source_of() {
            add_uses(crates.entry(package).or_default(), file, &module_of(rest));
        }
    }
    crates.values().flat_map(faults_of).collect()
}

/// The module right under the root that a file belongs to; none for the root.
fn module_of(path: &str) -> Option<String> {
    let first = path.split('/').next().unwrap_or_default();
    let name = first.strip_suffix(".rs").unwrap_or(first);
    (!["lib", "main", "bin"].contains(&name)).then(|| name.to_owned())
}

fn add_uses<'a>(uses: &mut Uses<'a>, file: &'a File, module: &Option<String>) {
    let Some(from) = module else { return };
    let (shipped, _) = code::split_tests(&code::blanked(&file.text));
    let known = uses.entry(from.clone()).or_default();
    for (to, line) in named_in(&shipped) {
        if to != *from {
            known.entry(to).or_insert((&file.path, line));
        }
    }
}

/// Every name that follows `crate::`, with its line.
fn named_in(code: &str) -> Vec<(String, usize)> {
    let mut named = Vec::new();
    for (at, path) in code.match_indices("crate::") {
        if !code::starts_word(code, at) || code[..at].ends_with('$') {
            continue;
        }
        let line = code[..at].matches('\n').count() + 1;
        let rest = code[at + path.len()..].trim_start();
        let names = match rest.strip_prefix('{') {
            Some(group) => names_of_group(group),
            None => vec![code::leading_word(rest)],
        };
        named.extend(names.into_iter().map(|name| (name.to_owned(), line)));
    }
    named
}

/// The first word of each branch of a `{a::b, c::{d, e}}`, after its first brace.
fn names_of_group(group: &str) -> Vec<&str> {
    let mut names = vec![code::leading_word(group.trim_start())];
    let mut depth = 1_usize;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 1 => break,
            '}' => depth -= 1,
            ',' if depth == 1 => names.push(code::leading_word(group[at + 1..].trim_start())),
            _ => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

fn faults_of(uses: &Uses<'_>) -> Vec<Fault> {
    let mut told: BTreeSet<&String> = BTreeSet::new();
    let mut faults = Vec::new();
    for module in uses.keys() {
        if told.contains(module) {
            continue;
        }
        if let Some(circle) = shortest_circle(uses, module) {
            let (path, line) = uses[circle[0]][circle[1]];
            let names: Vec<&str> =
                circle.iter().chain(&circle[..1]).map(|name| name.as_str()).collect();
            let what = format!("modules use each other in a circle: {}", names.join(" → "));
            faults.push(Fault::new(
                path,
                line,
                what,
                "move what both need into a module below them",
            ));
            told.extend(circle);
        }
    }
    faults
}

/// The shortest way from a module back to itself.
fn shortest_circle<'u>(uses: &'u Uses<'_>, start: &'u String) -> Option<Vec<&'u String>> {
    let mut came_from: BTreeMap<&String, &String> = BTreeMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(module) = queue.pop_front() {
        for to in uses.get(module)?.keys().filter(|to| uses.contains_key(*to)) {
            if to == start {
                return Some(way_to(module, start, &came_from));
            }
            if !came_from.contains_key(to) {
                came_from.insert(to, module);
                queue.push_back(to);
            }
        }
    }
    None
}

fn way_to<'u>(
    end: &'u String,
    start: &'u String,
    came_from: &BTreeMap<&'u String, &'u String>,
) -> Vec<&'u String> {
    let mut way = vec![end];
    while way[way.len() - 1] != start {
        way.push(came_from[way[way.len() - 1]]);
    }
    way.reverse();
    way
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).iter().map(Fault::to_string).collect()
    }

    #[test]
    fn two_modules_that_use_each_other_are_a_circle() {
        let found = faults(&[
            ("crates/x/src/a.rs", "//! A.\nuse crate::b::B;\n"),
            ("crates/x/src/b/deep.rs", "fn f() { crate::a::g() }\n"),
            ("crates/x/src/b.rs", "mod deep;\n"),
        ]);
        assert_eq!(found.len(), 1);
        assert!(
            found[0].starts_with(
                "crates/x/src/a.rs:2: modules use each other in a circle: a → b → a; "
            )
        );
    }

    #[test]
    fn a_longer_circle_through_groups_is_found_once() {
        let found = faults(&[
            ("xtask/src/a.rs", "use crate::{\n  d,\n  b::{X, Y},\n};\n"),
            ("xtask/src/b.rs", "use crate::{c};\n"),
            ("xtask/src/c.rs", "pub(in crate::a) fn f() {}\n"),
            ("xtask/src/d.rs", ""),
        ]);
        assert_eq!(found.len(), 1);
        assert!(found[0].contains("a → b → c → a"), "{}", found[0]);
    }

    #[test]
    fn the_root_tests_comments_and_other_crates_make_no_circle() {
        let found = faults(&[
            ("crates/x/src/lib.rs", "use crate::a::A;\n"),
            ("crates/x/src/a.rs", "use crate::b::B;\nuse crate::Error;\n"),
            (
                "crates/x/src/b.rs",
                "// crate::a\n#[cfg(test)]\nmod tests {\n  use crate::a::A;\n}\n",
            ),
            ("crates/y/src/b.rs", "use crate::a::A;\n"),
            ("crates/y/src/a.rs", "$crate::b\n"),
        ]);
        assert_eq!(found, Vec::<String>::new());
    }
}
