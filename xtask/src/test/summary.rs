//! What the lines of tests add up to.
//!
//! Reads the words of the standard test harness, which have been the same for years.
//! What it cannot read counts as a failure and never as a success.

use std::fmt;
use std::process::ExitStatus;

/// The count so far.
#[derive(Default)]
pub(super) struct Summary {
    passed: u64,
    failed: u64,
    /// As it was when the last one ended.
    failed_before: u64,
    failing: Vec<String>,
    /// The test binary that runs now, as cargo names it.
    running: String,
    /// The last list under `failures:`, taken when its `test result:` comes.
    listed: Vec<String>,
    is_listing: bool,
}

impl Summary {
    /// Takes in one line of output.
    pub(super) fn read(&mut self, line: &str) {
        let words = line.trim_start();
        if let Some(name) = words.strip_prefix("Running ") {
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
        } else if self.is_listing {
            self.listed.extend(line.strip_prefix("    ").map(str::to_owned));
        }
    }

    /// Takes in how the one that ran ended.
    pub(super) fn ended(&mut self, status: ExitStatus) {
        if !status.success() && self.failed == self.failed_before {
            // One that dies gives no result.
            self.failed += 1;
            self.failing.push(format!("{} ended without a failed test: {status}", self.running));
        }
        self.failed_before = self.failed;
    }

    /// Takes in how something went that is no test of its own.
    pub(super) fn also(&mut self, went: anyhow::Result<()>) {
        if let Err(error) = went {
            self.failed += 1;
            self.failing.push(format!("{error:#}"));
        }
        self.failed_before = self.failed;
    }

    /// Takes in what ran beside.
    pub(super) fn add(&mut self, other: Summary) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.failed_before = self.failed;
        self.failing.extend(other.failing);
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
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn read(output: &str, success: bool) -> Summary {
        let mut summary = Summary::default();
        output.lines().for_each(|line| summary.read(line));
        summary.ended(ExitStatus::from_raw(if success { 0 } else { 101 << 8 }));
        summary
    }

    const GOOD: &str = "     Running unittests src/lib.rs (target/debug/deps/model-0a1b)
test a::b ... ok
test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
     Running tests/all.rs (target/debug/deps/all-0a1b)
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
    fn one_that_dies_counts_as_a_failure() {
        let died = "     Running tests/x.rs (target/debug/deps/x-1)\n";
        let mut summary = read(&format!("{GOOD}{died}"), false);
        let text = summary.to_string();
        assert!(
            text.contains(
                "x, tests/x.rs ended without a failed test: exit status: 101\n5 passed, 1 failed"
            ),
            "{text}"
        );
        // Those that follow are not to blame, and each is looked at for itself.
        GOOD.lines().for_each(|line| summary.read(line));
        summary.ended(ExitStatus::from_raw(0));
        assert!(summary.to_string().ends_with("10 passed, 1 failed\n"));
        summary.ended(ExitStatus::from_raw(9));
        assert!(summary.to_string().ends_with("10 passed, 2 failed\n"));
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
