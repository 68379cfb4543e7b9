//! Every dependency from outside has its reason in `docs/dependencies.md`, and the page names no other.
//!
//! The page names a dependency in backticks, in the first cell of a table's row or at the start of a list's line.

use super::fault::Fault;
use super::tree::{Tree, numbered};

const MANIFEST: &str = "Cargo.toml";
const PAGE: &str = "docs/dependencies.md";

/// Compares the dependencies of the workspace with the page, and with what the crates use.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let text = |path| tree.get(path).map(|file| file.text.as_str()).unwrap_or_default();
    let wanted = dependencies(text(MANIFEST));
    let named = names(text(PAGE));
    let mut faults = Vec::new();
    for (line, name) in &wanted {
        if !named.iter().any(|(_, other)| other == name) {
            let what = format!("`{name}` has no reason in {PAGE}");
            faults.push(Fault::new(
                MANIFEST,
                *line,
                what,
                "say there in one row what it is for and what else was tried",
            ));
        }
        if !is_used(tree, name) {
            let hint = "take it out here and there";
            faults.push(Fault::new(MANIFEST, *line, format!("no crate uses `{name}`"), hint));
        }
    }
    for (line, name) in &named {
        if !wanted.iter().any(|(_, other)| other == name) {
            let what = format!("`{name}` is no dependency of the workspace");
            faults.push(Fault::new(
                PAGE,
                *line,
                what,
                "take the row out, or name the package as Cargo.toml does",
            ));
        }
    }
    faults
}

/// The names under `[workspace.dependencies]` that come from outside, with their lines.
fn dependencies(manifest: &str) -> Vec<(usize, &str)> {
    let section = numbered(manifest)
        .skip_while(|(_, line)| line.trim() != "[workspace.dependencies]")
        .skip(1)
        .take_while(|(_, line)| !line.starts_with('['));
    let outside = section
        .filter(|(_, line)| !line.contains("path = ") && !line.trim_start().starts_with('#'));
    outside.filter_map(|(number, line)| Some((number, line.split_once('=')?.0.trim()))).collect()
}

/// The names the page gives a row to, with their lines.
fn names(page: &str) -> Vec<(usize, &str)> {
    let mut names = Vec::new();
    for (number, line) in numbered(page) {
        let first = match line.trim_start().split_at_checked(2) {
            Some(("| ", rest)) => rest.split('|').next().unwrap_or_default(),
            Some(("- ", rest)) if rest.starts_with('`') => {
                rest.split([':', '.', '—']).next().unwrap_or_default()
            }
            _ => continue,
        };
        names.extend(first.split('`').skip(1).step_by(2).map(|name| (number, name)));
    }
    names
}

fn is_used(tree: &Tree, name: &str) -> bool {
    let manifests = tree.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    let mut lines = manifests.flat_map(|file| file.text.lines());
    lines.any(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '='])))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRATE: (&str, &str) =
        ("crates/a/Cargo.toml", "[dependencies]\nbytes.workspace = true\nhttp.workspace = true\n");

    fn faults(manifest: &str, page: &str) -> Vec<String> {
        let tree = Tree::of(&[(MANIFEST, manifest), (PAGE, page), CRATE]);
        check(&tree).iter().map(Fault::to_string).collect()
    }

    const MADE_UP: &str = "[workspace.dependencies]\nmodel = { path = \"m\" }\n# Why.\nbytes = \"1\"\nhttp = \"1\"\n[profile.dev]\nx = 1\n";

    #[test]
    fn rows_and_lists_name_dependencies() {
        assert!(
            faults(MADE_UP, "| crate | for |\n| --- | --- |\n| `bytes`, `http` | as in `std` |\n")
                .is_empty()
        );
        assert!(
            faults(MADE_UP, "- `bytes`: cheap slices, unlike `Vec`\n- `http`: words\n").is_empty()
        );
    }

    #[test]
    fn a_dependency_without_a_reason_is_a_fault() {
        let found = faults(MADE_UP, "| `bytes` | |\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("Cargo.toml:5: `http` has no reason"));
    }

    #[test]
    fn a_reason_without_a_dependency_is_a_fault() {
        let found = faults(MADE_UP, "| `bytes` `http` | |\n| `gone` | |\n");
        assert_eq!(
            found,
            [
                "docs/dependencies.md:2: `gone` is no dependency of the workspace; take the row out, or name the package as Cargo.toml does"
            ]
        );
    }

    #[test]
    fn a_dependency_that_no_crate_uses_is_a_fault() {
        let manifest = MADE_UP.replace("http = ", "idle = ");
        let found = faults(&manifest, "| `bytes` `idle` | |\n");
        assert_eq!(found, ["Cargo.toml:5: no crate uses `idle`; take it out here and there"]);
    }
}
