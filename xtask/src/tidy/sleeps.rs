//! A test waits for what it wants to see, not for a time that was enough on somebody's machine.
//!
//! A helper that looks again and again until a deadline has to sleep between two looks.
//! Such helpers are few; they stand in the list below, each with its reason.

use super::code;
use super::fault::Fault;
use super::tree::{File, Tree, numbered};

/// The files whose tests may sleep, and why.
const MAY_SLEEP: &[(&str, &str)] = &[
    ("crates/journal/src/log/tests/faults.rs", "is a slow disk"),
    ("crates/journal/src/raft/tests/group/chaos.rs", "strikes at random moments"),
    ("crates/journal/src/raft/tests/group/mod.rs", "looks again until a deadline"),
    ("crates/journal/src/raft/tests/group/net.rs", "is a network with delays"),
    ("crates/peer/tests/peers/support.rs", "looks again until a deadline"),
    ("crates/runner/tests/supervisor/support.rs", "looks again until a deadline"),
    ("xtask/tests/package/engine.rs", "looks again until a deadline"),
    ("crates/windlass/tests/cluster/ground.rs", "looks again, until a deadline"),
    ("crates/windlass/tests/crashes/patience.rs", "looks again, and kills at random moments"),
];

/// Checks all test code for calls of `sleep`.
pub(super) fn check(tree: &Tree) -> Vec<Fault> {
    check_with(tree, MAY_SLEEP)
}

fn check_with(tree: &Tree, may_sleep: &[(&str, &str)]) -> Vec<Fault> {
    let mut faults = Vec::new();
    for file in tree.rust() {
        let sleeps = sleeps_in_tests(file);
        let allowed = may_sleep.iter().any(|(path, _)| *path == file.path);
        if allowed && sleeps.is_empty() {
            let hint = "take it out of the list in xtask/src/tidy/sleeps.rs";
            faults.push(Fault::new(&file.path, 1, "may sleep in its tests and does not", hint));
        } else if !allowed {
            faults.extend(sleeps.into_iter().map(|line| {
                let hint = "wait for the condition with the polling helper of the crate's tests, and a deadline";
                Fault::new(&file.path, line, "a test sleeps", hint)
            }));
        }
    }
    for (path, _) in may_sleep.iter().filter(|(path, _)| tree.get(path).is_none()) {
        let what = format!("`{path}` may sleep, and there is no such file");
        faults.push(Fault::new("xtask/src/tidy/sleeps.rs", 1, what, "take it out of the list"));
    }
    faults
}

/// The lines of test code that call a function named `sleep`, of whichever module.
fn sleeps_in_tests(file: &File) -> Vec<usize> {
    let blanked = code::blanked(&file.text);
    let tests = if file.is_test() { blanked } else { code::split_tests(&blanked).1 };
    numbered(&tests).filter(|(_, line)| calls_sleep(line)).map(|(number, _)| number).collect()
}

fn calls_sleep(line: &str) -> bool {
    let mut calls = line.match_indices("sleep(");
    calls.any(|(at, _)| code::starts_word(line, at) && !line[..at].trim_end().ends_with("fn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLEEPY: &str = "fn a() {\n    std::thread::sleep(x);\n}\n";

    #[test]
    fn a_sleep_in_a_test_file_or_a_test_module_is_a_fault() {
        let module =
            format!("fn ships() {{ thread::sleep(y) }}\n#[cfg(test)]\nmod tests {{\n{SLEEPY}}}\n");
        let tree = Tree::of(&[("crates/a/src/b.rs", &module), ("crates/a/tests/c.rs", SLEEPY)]);
        let faults = check_with(&tree, &[]);
        let places: Vec<_> = faults.iter().map(|fault| (fault.path.as_str(), fault.line)).collect();
        assert_eq!(places, [("crates/a/src/b.rs", 5), ("crates/a/tests/c.rs", 2)]);
    }

    #[test]
    fn a_listed_file_may_sleep_and_a_stale_entry_is_a_fault() {
        let tree =
            Tree::of(&[("crates/a/tests/c.rs", SLEEPY), ("crates/a/tests/d.rs", "fn a() {}")]);
        let faults = check_with(
            &tree,
            &[("crates/a/tests/c.rs", "polls"), ("crates/a/tests/d.rs", "?"), ("gone.rs", "?")],
        );
        assert_eq!(faults.len(), 2);
        assert!(faults[0].what.contains("does not") && faults[1].what.contains("no such file"));
    }

    #[test]
    fn a_function_of_that_name_and_a_command_are_no_sleep() {
        assert!(
            !calls_sleep("fn sleep(") && !calls_sleep("asleep(") && calls_sleep("time::sleep(")
        );
    }
}
