//! What the command line of the soak asks for, and what the binary can be asked for.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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

/// The flags of `up` that bound what it keeps to shares of the disk, as far as the binary has them.
pub(super) fn limits(binary: &Path, disk_mib: u64) -> Result<Vec<String>> {
    let mut known = Vec::new();
    for (flag, mib) in shares(disk_mib) {
        let value = format!("{mib}MiB");
        // A flag that is hidden stands in no help, but help is given only where it is understood.
        let mut up = Command::new(binary);
        up.args(["up", flag, &value, "--help"]).stdout(Stdio::null()).stderr(Stdio::null());
        if up.status().context("asking for help")?.success() {
            known.extend([flag.to_owned(), value]);
        }
    }
    Ok(known)
}

/// Each limit's share: what is left over is for the segments of the journal.
fn shares(disk_mib: u64) -> [(&'static str, u64); 3] {
    [
        ("--history-disk", disk_mib / 16),
        ("--output-disk", disk_mib / 4),
        ("--checkpoint-size", disk_mib / 32),
    ]
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
    fn only_flags_that_are_understood_are_used() {
        assert_eq!(limits(Path::new("/bin/false"), 512).unwrap(), Vec::<String>::new());
        let all = limits(Path::new("/bin/true"), 512).unwrap().join(" ");
        assert_eq!(all, "--history-disk 32MiB --output-disk 128MiB --checkpoint-size 16MiB");
    }
}
