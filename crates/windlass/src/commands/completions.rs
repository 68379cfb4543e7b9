//! `windlass completions`: what a shell reads to complete commands, and ids and names of the cluster.

use clap_complete::env::Shells;

use crate::complete;
use crate::failure::Failure;
use crate::show::out;

const HOW: &str = "\
Put one line into your shell's start file:
  bash  source <(windlass completions bash)
  zsh   source <(windlass completions zsh)
  fish  windlass completions fish | source

Numbers and names of runs and nodes come from the node that the line, or
WINDLASS_NODE, names. Where none answers at once there are none.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = HOW)]
pub(crate) struct Args {
    /// For which shell
    #[arg(value_name = "SHELL", value_parser = ["bash", "zsh", "fish"])]
    shell: String,
}

pub(crate) fn execute(args: &Args) -> Result<u8, Failure> {
    let shells = Shells::builtins();
    let shell = shells.completer(&args.shell).expect("the values above are built in");
    let own = std::env::current_exe().ok();
    let own = own.as_deref().and_then(|path| path.to_str()).unwrap_or("windlass");
    let mut script = Vec::new();
    shell
        .write_registration(complete::VARIABLE, "windlass", "windlass", own, &mut script)
        .map_err(|error| Failure::new(format!("cannot write the completions: {error}")))?;
    out::data(script)?;
    Ok(0)
}
