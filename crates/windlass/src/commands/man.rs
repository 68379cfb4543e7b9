//! `windlass man`: manual pages made of the same text as the help, for packages.

use std::path::PathBuf;

use clap::Command;

use crate::failure::Failure;
use crate::show::out;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Write the pages into DIR, which is made where it is missing
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

/// `root` is the whole command line.
pub(crate) fn execute(args: &Args, root: Command) -> Result<u8, Failure> {
    let shown = args.dir.display();
    let fault = |error| Failure::new(format!("cannot write manual pages to `{shown}`: {error}"));
    std::fs::create_dir_all(&args.dir).map_err(fault)?;
    clap_mangen::generate_to(in_full(root), &args.dir).map_err(fault)?;
    out::note(format!("manual pages are in `{shown}`; `man -l {shown}/windlass.1` shows one"));
    Ok(0)
}

/// The command line with all that `--help` tells: a page would leave out what each flag that `-h`
/// hides is for.
fn in_full(command: Command) -> Command {
    let command = command.mut_args(|argument| argument.hide_short_help(false));
    command.mut_subcommands(in_full)
}
