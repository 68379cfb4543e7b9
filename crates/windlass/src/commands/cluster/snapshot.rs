//! `windlass cluster snapshot`: the cluster in a file, and back.

mod restore;
mod save;

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use api::json::ClusterSnapshot;
use node::cluster_snapshot::{Checked, Fault, check};

use crate::client::Target;
use crate::failure::{Failure, chain};
use crate::show::out;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand, Debug)]
enum Command {
    /// Save the cluster, while it works, to a file
    Save(save::Args),
    /// Read all of a snapshot and say what is in it
    Check(CheckArgs),
    /// Make a data directory from a snapshot
    Restore(restore::Args),
}

const EXAMPLES: &str = "\
Examples:
  windlass cluster snapshot check cluster.snap
  windlass cluster snapshot check --json cluster.snap

No node is asked. A file that is damaged or cut off is told, with exit code 1.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
struct CheckArgs {
    /// The snapshot
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    match args.command {
        Command::Save(args) => save::execute(args, target).await,
        Command::Check(args) => execute_check(&args),
        Command::Restore(args) => restore::execute(args).await,
    }
}

fn execute_check(args: &CheckArgs) -> Result<u8, Failure> {
    let checked = open(&args.file).and_then(check);
    let checked = checked.map_err(|fault| unusable(&args.file, &fault))?;
    match args.json {
        true => out::json(&ClusterSnapshot::from(&checked))?,
        false => out::data(words(&checked))?,
    }
    tell_missing(&checked);
    Ok(0)
}

fn open(file: &Path) -> Result<BufReader<File>, Fault> {
    Ok(BufReader::with_capacity(1 << 20, File::open(file)?))
}

fn unusable(file: &Path, fault: &Fault) -> Failure {
    Failure::new(format!("`{}`: {}", file.display(), chain(fault)))
}

fn words(checked: &Checked) -> String {
    let head = &checked.head;
    let rows = [
        ("cluster", head.cluster_id.to_string()),
        ("incarnation", head.incarnation.to_string()),
        ("index", head.index.to_string()),
        ("taken", model::instant::rfc3339_ms(head.taken_ms)),
        ("version", format!("{}, level {}", head.version, head.level)),
        ("runs", format!("{} that had not ended", checked.runs)),
        ("nodes", checked.nodes.to_string()),
        ("tokens", checked.tokens.to_string()),
        ("lists", checked.lists.to_string()),
        ("size", model::text::size(checked.bytes)),
    ];
    rows.iter().map(|(name, value)| format!("{name:<12} {value}\n")).collect()
}

/// Runs whose lists are missing cannot go on; nothing else is concerned.
fn tell_missing(checked: &Checked) {
    for list in &checked.lists_missing {
        out::note(format!(
            "the list of items {list} is not in it: runs that name it start nothing more until it is uploaded again"
        ));
    }
}
