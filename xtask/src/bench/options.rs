//! What the command line of the benchmark asks for.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

pub(super) struct Options {
    /// How often what runs in turn is run.
    pub(super) pairs: usize,
    /// The share of the counts of scale; 1 unless this is a rehearsal.
    pub(super) scale: f64,
    /// A binary that is there already, where none is to be built.
    pub(super) binary: Option<PathBuf>,
    works: Vec<String>,
}

impl Options {
    /// Reads the arguments; `known` are the names of all works.
    pub(super) fn parse(args: &[String], known: &[&str]) -> Result<Self> {
        let mut options = Self { pairs: 9, scale: 1.0, binary: None, works: Vec::new() };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value =
                || args.next().with_context(|| format!("`{arg}` wants a value behind it"));
            match arg.as_str() {
                "--pairs" => options.pairs = number(arg, value()?)?,
                "--scale" => options.scale = number(arg, value()?)?,
                "--binary" => options.binary = Some(PathBuf::from(value()?)),
                work if known.contains(&work) => options.works.push(arg.clone()),
                _ => bail!("`{arg}` is no work of the benchmark; there are {}", known.join(", ")),
            }
        }
        if options.pairs == 0 {
            bail!("no pair, no median: `--pairs` must be at least 1");
        }
        if !(options.scale > 0.0 && options.scale <= 1.0) {
            bail!("`--scale` is a share: above 0, and 1 at most");
        }
        Ok(options)
    }

    pub(super) fn wants(&self, work: &str) -> bool {
        self.works.is_empty() || self.works.iter().any(|wanted| wanted == work)
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T>
where
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().with_context(|| format!("reading `{name} {text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options> {
        let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Options::parse(&args, &["idle", "array"])
    }

    #[test]
    fn all_works_run_nine_pairs_unless_told_otherwise() {
        let options = parse(&[]).unwrap();
        assert!(options.pairs == 9 && options.wants("array") && options.wants("idle"));
        let options = parse(&["--pairs", "3", "array"]).unwrap();
        assert!(options.pairs == 3 && options.wants("array") && !options.wants("idle"));
    }

    #[test]
    fn a_rehearsal_takes_a_share_and_a_binary_that_is_there() {
        let options = parse(&["--scale", "0.01", "--binary", "x/windlass"]).unwrap();
        assert_eq!((options.scale, options.binary), (0.01, Some(PathBuf::from("x/windlass"))));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for args in [
            &["--pairs"][..],
            &["--pairs", "x"],
            &["--pairs", "0"],
            &["--scale", "0"],
            &["--scale", "2"],
            &["--binary"],
            &["sprint"],
        ] {
            assert!(parse(args).is_err(), "{args:?}");
        }
    }
}
