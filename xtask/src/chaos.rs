//! Nodes in network namespaces that are killed, cut off, paused and restarted for a long time.
//!
//! It runs the very test that `cargo xtask test` runs for two minutes, so that what is found here
//! can be found there again, by its seed.

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

use crate::test::debian;
use crate::workspace;

/// The test, as the harness names it.
const TEST: &str = "storm::nothing_acknowledged_is_lost_and_nothing_runs_beside_itself";

#[derive(Debug, PartialEq)]
struct Options {
    minutes: f64,
    /// Else the moment decides, and the test says which it was.
    seed: Option<u64>,
}

impl Options {
    fn parse(args: &[String]) -> Result<Options> {
        let mut options = Options { minutes: 10.0, seed: None };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let value = args.next().with_context(|| format!("`{arg}` wants a value behind it"))?;
            match arg.as_str() {
                "--minutes" => options.minutes = value.parse().context("reading `--minutes`")?,
                "--seed" => options.seed = Some(value.parse().context("reading `--seed`")?),
                _ => bail!("`{arg}` is not understood: --minutes N, --seed S"),
            }
        }
        if !(options.minutes > 0.0 && options.minutes.is_finite()) {
            bail!("a storm takes some minutes, not {}", options.minutes);
        }
        Ok(options)
    }
}

/// Runs the test; its output is its report.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    if let Err(error) = debian::install_missing() {
        eprintln!("warning: what the test needs is not all there: {error:#}");
    }
    let mut test = workspace::cargo();
    test.args(["test", "--package", "windlass", "--test", "chaos", "--"]);
    test.args([TEST, "--exact", "--nocapture"]);
    test.env("WINDLASS_CHAOS_MINUTES", options.minutes.to_string());
    if let Some(seed) = options.seed {
        test.env("WINDLASS_TEST_SEED", seed.to_string());
    }
    let status = test.status().context("starting `cargo test`")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        Options::parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn ten_minutes_and_any_seed_unless_told_otherwise() {
        assert_eq!(parse(&[]).unwrap(), Options { minutes: 10.0, seed: None });
        let told = parse(&["--minutes", "0.5", "--seed", "7"]).unwrap();
        assert_eq!(told, Options { minutes: 0.5, seed: Some(7) });
        for bad in [&["--minutes"][..], &["--minutes", "0"], &["--seed", "x"], &["fast", "1"]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_test_is_there() {
        let path = workspace::root().join("crates/windlass/tests/chaos/storm.rs");
        let name = TEST.strip_prefix("storm::").unwrap();
        assert!(std::fs::read_to_string(path).unwrap().contains(&format!("fn {name}()")));
    }
}
