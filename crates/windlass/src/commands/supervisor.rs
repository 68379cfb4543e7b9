//! The hidden start of this binary as a node's supervisor.
//!
//! It must come before any runtime, and reads its few arguments by hand: every page it touches is
//! there once on each node.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use runner::supervisor::Args;

/// Runs the supervisor that `arguments` describe: `--dir DIR --node-id ID [--containment KIND]`.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match read(arguments) {
        Some(args) => runner::supervisor::main(&args),
        None => {
            crate::show::out::note("the supervisor is started by `windlass up`");
            ExitCode::from(crate::failure::exit::USAGE)
        }
    }
}

fn read(mut arguments: impl Iterator<Item = OsString>) -> Option<Args> {
    let (mut data_dir, mut node_id, mut containment) = (None, None, None);
    while let Some(name) = arguments.next() {
        let value = arguments.next()?;
        match name.to_str()? {
            "--dir" => data_dir = Some(PathBuf::from(value)),
            "--node-id" => node_id = Some(value.to_str()?.parse().ok()?),
            "--containment" => containment = Some(value.to_str()?.parse().ok()?),
            _ => return None,
        }
    }
    Some(Args { data_dir: data_dir?, node_id: node_id?, containment })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, good: bool) {
        let args = read(line.split_whitespace().map(OsString::from));
        assert_eq!(args.is_some(), good, "{line}");
    }

    #[test]
    fn it_is_told_where_and_for_whom() {
        let id = "67e55044-10b1-426f-9247-bb680e5fe0c8";
        check(&format!("--dir /data --node-id {id}"), true);
        check(&format!("--dir /data --node-id {id} --containment weak"), true);
        for bad in ["", "--dir /data", "--dir", "--dir /data --node-id 7", "--fly x"] {
            check(bad, false);
        }
        check(&format!("--dir /data --node-id {id} --containment none"), false);
    }
}
