//! No test hides in documentation: building those would build half of the workspace once more, with other features.
//!
//! What stands between fences is a picture or the lines of a terminal, and says so; an example that is to be run is a
//! test beside the code.

use super::fault::Fault;
use super::tree::{Tree, numbered};

/// What rustdoc would not run.
const SHOWN: [&str; 5] = ["text", "ignore", "toml", "json", "sh"];

/// Checks the fences of all documentation in the code.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.rust() {
        let mut is_open = false;
        for (number, line) in numbered(&file.text) {
            let line = line.trim_start();
            let text = line.strip_prefix("//!").or_else(|| line.strip_prefix("///"));
            let Some(text) = text.map(str::trim) else { continue };
            let fence = ["```", "~~~"].into_iter().find_map(|fence| text.strip_prefix(fence));
            let Some(language) = fence else { continue };
            is_open = !is_open;
            if is_open && !SHOWN.contains(&language) {
                let hint =
                    "write ```text, or make a test of it: tests in documentation are not run";
                let what = "an example in documentation would be a test";
                faults.push(Fault::new(&file.path, number, what, hint));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rustdoc_would_run_is_a_fault() {
        let text = "//! ```text\n//! a picture\n//! ```\n/// ```\n/// assert!(true);\n/// ```\nfn a() {}\n/// ```rust\n/// ```\n";
        let faults = check(&Tree::of(&[("crates/a/src/b.rs", text)]));
        let lines: Vec<_> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [4, 8]);
    }
}
