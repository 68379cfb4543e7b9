//! What the lines of `cargo test` add up to.
//!
//! Reads the words of the standard test harness and of cargo, which have been the same for years.
//! What it cannot read counts as a failure and never as a success.

use std::fmt;

/// The count so far.
#[derive(Default)]
pub(super) struct Summary {
    passed: u64,
    failed: u64,
    failing: Vec<String>,
    /// The test binary or documentation that runs now, as cargo names it.
    running: String,
    /// The last list under `failures:`, taken when its `test result:` comes.
    listed: Vec<String>,
    is_listing: bool,
}

impl Summary {
    /// Takes in one line of output.
    pub(super) fn read(&mut self, line: &str) {
        let words = line.trim_start();
        if let Some(name) =
            words.strip_prefix("Running ").or_else(|| words.strip_prefix("Doc-tests "))
        {
            self.running = name.split(" (").next().unwrap_or(name).to_owned();
            if let Some(package) = package_of(name) {
                self.running = format!("{package}, {}", self.running);
            }
        } else if line == "failures:" {
            // It comes twice: before the outputs, and before the names. The second is right.
            self.listed.clear();
            self.is_listing = true;
        } else if let Some(counts) = line.strip_prefix("test result: ") {
            self.read_result(counts);
        } else if words.starts_with("process didn't exit successfully: ") {
            // A binary that dies gives no result. Cargo says this line only then.
            self.failed += 1;
            self.failing.push(format!("{} died: {words}", self.last()));
        } else if self.is_listing {
            self.listed.extend(line.strip_prefix("    ").map(str::to_owned));
        }
    }

    /// Takes in how cargo itself ended.
    pub(super) fn end(&mut self, success: bool) {
        if !success && self.failed == 0 {
            self.failed = 1;
            self.failing.push(format!(
                "cargo test ended badly without a failed test; last was {}",
                self.last()
            ));
        }
    }

    /// Whether tests ran and all of them passed.
    pub(super) fn is_good(&self) -> bool {
        self.failed == 0 && self.passed > 0
    }

    fn read_result(&mut self, counts: &str) {
        let failed = count(counts, " failed");
        self.passed += count(counts, " passed").unwrap_or(0);
        self.failed += failed.unwrap_or(1);
        if failed != Some(0) {
            let running = &self.running;
            self.failing.extend(self.listed.iter().map(|name| format!("{name} ({running})")));
        }
        self.listed.clear();
        self.is_listing = false;
    }

    fn last(&self) -> &str {
        if self.running.is_empty() { "the build" } else { &self.running }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f)?;
        if !self.failing.is_empty() {
            writeln!(f, "failing tests:")?;
        }
        for name in &self.failing {
            writeln!(f, "    {name}")?;
        }
        if self.passed + self.failed == 0 {
            writeln!(f, "no test ran: does the filter match any?")?;
        }
        writeln!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

/// The number in front of a word, in `ok. 3 passed; 0 failed; …`.
fn count(counts: &str, word: &str) -> Option<u64> {
    let (before, _) = counts.split_once(word)?;
    before.rsplit(' ').next()?.parse().ok()
}

/// The name of the built test in `unittests src/lib.rs (target/debug/deps/model-0a1b)`, without its hash.
fn package_of(running: &str) -> Option<&str> {
    let file = running.split_once("/deps/")?.1;
    Some(file.rsplit_once('-')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str, success: bool) -> Summary {
        let mut summary = Summary::default();
        output.lines().for_each(|line| summary.read(line));
        summary.end(success);
        summary
    }

    const GOOD: &str = "     Running unittests src/lib.rs (target/debug/deps/model-0a1b)
test a::b ... ok
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
   Doc-tests model
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    const BAD: &str = "     Running unittests src/lib.rs (target/debug/deps/my_node-0a1b)
failures:

---- a::b stdout ----
    indented output

failures:
    a::b
    c

test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn results_add_up_to_a_last_line() {
        let summary = read(GOOD, true);
        assert!(summary.is_good());
        assert_eq!(summary.to_string(), "\n5 passed, 0 failed\n");
    }

    #[test]
    fn failing_tests_are_named_with_their_binary() {
        let summary = read(&format!("{GOOD}{BAD}"), false);
        assert!(!summary.is_good());
        let expected = "\nfailing tests:\n    a::b (my_node, unittests src/lib.rs)\n    c (my_node, unittests src/lib.rs)\n6 passed, 2 failed\n";
        assert_eq!(summary.to_string(), expected);
    }

    #[test]
    fn a_build_that_fails_and_a_binary_that_dies_count_as_failures() {
        let summary = read("error: could not compile `model`\n", false);
        assert!(summary.to_string().contains("last was the build\n0 passed, 1 failed"));
        let died = "     Running tests/x.rs (target/debug/deps/x-1)\nCaused by:\n  process didn't exit successfully: `x` (SIGABRT)\n";
        let summary = read(&format!("{GOOD}{died}"), false);
        assert!(summary.to_string().contains("x, tests/x.rs died: process didn't exit successfully: `x` (SIGABRT)\n5 passed, 1 failed"));
    }

    #[test]
    fn no_test_is_no_success() {
        let summary = read("test result: ok. 0 passed; 0 failed; 0 ignored\n", true);
        assert!(!summary.is_good());
        assert!(
            summary
                .to_string()
                .ends_with("no test ran: does the filter match any?\n0 passed, 0 failed\n")
        );
    }

    #[test]
    fn a_result_that_cannot_be_read_is_a_failure() {
        assert!(!read("test result: something new\n", true).is_good());
    }
}
