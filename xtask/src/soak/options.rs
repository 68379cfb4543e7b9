//! What the command line of the soak asks for, and what the binary can be asked for.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

pub(super) struct Options {
    pub(super) minutes: u64,
    pub(super) disk_mib: u64,
    pub(super) binary: Option<PathBuf>,
}

impl Options {
    pub(super) fn parse(args: &[String]) -> Result<Options> {
        let mut options = Options { minutes: 30, disk_mib: 512, binary: None };
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value =
                || args.next().with_context(|| format!("`{arg}` wants a value behind it"));
            match arg.as_str() {
                "--minutes" => options.minutes = value()?.parse().context("reading `--minutes`")?,
                "--disk-mib" => {
                    options.disk_mib = value()?.parse().context("reading `--disk-mib`")?;
                }
                "--binary" => options.binary = Some(PathBuf::from(value()?)),
                _ => bail!("`{arg}` is not understood: --minutes N, --disk-mib N, --binary PATH"),
            }
        }
        if options.minutes == 0 || options.disk_mib < 256 {
            bail!("a soak takes at least a minute and a disk of 256 MiB");
        }
        Ok(options)
    }
}

/// The flags of `up` that bound history and output to shares of the disk, as far as the binary has them.
pub(super) fn retention(binary: &Path, disk_mib: u64) -> Result<String> {
    let help = Command::new(binary).args(["up", "--help"]).output().context("asking for help")?;
    Ok(flags(&String::from_utf8_lossy(&help.stdout), disk_mib))
}

fn flags(help: &str, disk_mib: u64) -> String {
    let flags = [("--history-disk", disk_mib / 16), ("--output-disk", disk_mib / 4)];
    let known = flags.iter().filter(|(flag, _)| help.contains(flag));
    known.map(|(flag, mib)| format!("{flag} {mib}MiB")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_minutes_unless_told_otherwise() {
        let parse = |args: &[&str]| {
            Options::parse(&args.iter().map(|a| (*a).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(parse(&[]).unwrap().minutes, 30);
        assert_eq!(parse(&["--minutes", "2"]).unwrap().minutes, 2);
        for bad in [&["--minutes"][..], &["--minutes", "0"], &["--disk-mib", "1"], &["fast"]] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_flags_that_are_there_are_used() {
        assert_eq!(flags("  --name <NAME>", 512), "");
        let help = "--history-disk <SIZE> --output-disk <SIZE>";
        assert_eq!(flags(help, 512), "--history-disk 32MiB --output-disk 128MiB");
    }
}
