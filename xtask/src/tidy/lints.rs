//! The lints are on: every crate takes those of the workspace, and a pure crate those of purity too.
//!
//! A lint that a crate has forgotten to inherit looks exactly like a lint that found nothing.

use super::arrows::PURE;
use super::code;
use super::fault::Fault;
use super::tree::{File, Tree, numbered};

const PURE_LINTS: &str = "../../pure.clippy.toml";

/// Checks the manifests, the links to the lints of purity, and that nobody switches these off.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults: Vec<Fault> = tree.files.iter().filter_map(check_manifest).collect();
    faults.extend(PURE.iter().filter_map(|name| check_link(tree, name)));
    faults.extend(tree.rust().flat_map(check_allowances));
    faults
}

fn check_manifest(file: &File) -> Option<Fault> {
    let is_manifest = file.path.ends_with("/Cargo.toml") && tree_of_crates(&file.path);
    if !is_manifest || file.text.contains("[lints]\nworkspace = true") {
        return None;
    }
    let hint = "add `[lints]` with `workspace = true`";
    Some(Fault::new(&file.path, 1, "the crate does not inherit the lints of the workspace", hint))
}

fn tree_of_crates(path: &str) -> bool {
    path.starts_with("crates/") || path.starts_with("xtask/")
}

fn check_link(tree: &Tree, name: &str) -> Option<Fault> {
    let path = format!("crates/{name}/clippy.toml");
    let linked = tree.get(&path).and_then(|file| file.link.as_deref());
    if linked == Some(PURE_LINTS) {
        return None;
    }
    let hint = format!("run `ln -sf {PURE_LINTS} {path}`");
    Some(Fault::new(
        &path,
        1,
        format!("the pure crate `{name}` does not link the lints of purity"),
        hint,
    ))
}

fn check_allowances(file: &File) -> Vec<Fault> {
    let pure = file.source_of().and_then(|(package, _)| package.strip_prefix("crates/"));
    if !pure.is_some_and(|name| PURE.contains(&name)) || file.is_test() {
        return Vec::new();
    }
    let (shipped, _) = code::split_tests(&code::blanked(&file.text));
    let switched_off = numbered(&shipped).filter(|(_, line)| line.contains("clippy::disallowed_"));
    let fault = |(line, _)| {
        Fault::new(
            &file.path,
            line,
            "a pure crate switches off a lint of purity",
            "hand the value in with the event",
        )
    };
    switched_off.map(fault).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_without_the_lints_is_a_fault() {
        let tree = Tree::of(&[
            ("crates/a/Cargo.toml", "[package]\n"),
            ("xtask/Cargo.toml", "[lints]\nworkspace = true\n"),
        ]);
        let faults: Vec<Fault> = tree.files.iter().filter_map(check_manifest).collect();
        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].path, "crates/a/Cargo.toml");
    }

    #[test]
    fn a_pure_crate_links_the_lints_of_purity() {
        let mut tree = Tree::of(&[("crates/model/clippy.toml", "disallowed-methods = []")]);
        assert!(check_link(&tree, "model").is_some(), "a copy is no link");
        assert!(check_link(&tree, "machine").is_some(), "nothing is no link");
        tree.files[0].link = Some(PURE_LINTS.to_owned());
        assert!(check_link(&tree, "model").is_none());
    }

    #[test]
    fn a_pure_crate_must_not_switch_purity_off() {
        let allow = "//! Words.\n#[allow(clippy::disallowed_methods)]\nfn now() {}\n";
        let tree = Tree::of(&[("crates/model/src/a.rs", allow), ("crates/node/src/a.rs", allow)]);
        let faults: Vec<Fault> = tree.rust().flat_map(check_allowances).collect();
        assert_eq!(faults.len(), 1);
        assert_eq!((faults[0].path.as_str(), faults[0].line), ("crates/model/src/a.rs", 2));
    }
}
