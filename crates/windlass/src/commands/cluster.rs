//! `windlass cluster`: the cluster as a whole.

mod ca;
mod recover;
mod snapshot;
mod status;
mod token;

use super::node::rm;
use crate::client::Target;
use crate::failure::{Failure, chain};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Show who belongs to it, who votes and who leads
    Status(status::Args),
    /// Print a token that lets a machine join
    Token(token::Args),
    /// Forget a node that is gone for good; the same as `node rm`
    Remove(rm::Args),
    /// Save the cluster to a file, check one, restore from one
    Snapshot(snapshot::Args),
    /// Go on alone where the majority is gone for good
    Recover(recover::Args),
    /// Print the certificate to believe every node of it by
    Ca(ca::Args),
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    match args.command {
        Command::Status(args) => status::execute(args, target).await,
        Command::Token(args) => token::execute(args, target).await,
        Command::Remove(args) => rm::execute(args, target).await,
        Command::Snapshot(args) => snapshot::execute(args, target).await,
        Command::Recover(args) => recover::execute(args).await,
        Command::Ca(args) => ca::execute(args, target).await,
    }
}

/// What a data directory was not restored or recovered for; its hint is in it already.
fn failed(error: &node::recovery::Error) -> Failure {
    Failure::new(chain(error))
}
