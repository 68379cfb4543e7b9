//! `windlass version`.

use api::json::Version;

use crate::failure::Failure;
use crate::show::out;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn execute(args: &Args) -> Result<u8, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    match args.json {
        true => out::json(&Version { version: version.to_owned() })?,
        false => out::line(format!("windlass {version}"))?,
    }
    Ok(0)
}
