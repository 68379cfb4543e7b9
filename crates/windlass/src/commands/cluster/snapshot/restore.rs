//! `windlass cluster snapshot restore`: from a file to a data directory that a node goes on from.

use std::path::{Path, PathBuf};

use node::recovery::{By, Restore, Restored, restore};

use super::tell_missing;
use crate::client;
use crate::commands::cluster::failed;
use crate::commands::up::dirs;
use crate::failure::Failure;
use crate::show::out;

const EXAMPLES: &str = "\
Examples:
  windlass cluster snapshot restore cluster.snap --data-dir ./data
  windlass cluster snapshot restore cluster.snap --replace

No node may run on the directory, and no other node of the cluster may run any
more. The cluster goes on from the snapshot in a higher incarnation, with one
node; all others join again. What ran when it was taken starts again after the
longest lease; what was submitted later is not there.
Put secrets.key into the directory before the first `windlass up`.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// The snapshot
    file: PathBuf,
    /// Make the journal in DIR (as in `up`)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Set a journal that is there aside, with its history and output
    #[arg(long)]
    replace: bool,
    /// Use incarnation N, where this snapshot was restored elsewhere before
    #[arg(long, value_name = "N")]
    incarnation: Option<u16>,
    /// Say why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

pub(super) async fn execute(args: Args) -> Result<u8, Failure> {
    let Args { file, data_dir, replace, incarnation, reason } = args;
    let data_dir = dirs::data_dir(data_dir)?;
    let by = By { actor: format!("user:{}", client::user()), reason };
    let wanted = Restore { file, data_dir: data_dir.clone(), replace, incarnation, by };
    let restored = restore(wanted).await.map_err(|error| failed(&error))?;
    out::data(words(&restored, &data_dir))?;
    tell_missing(&restored.snapshot);
    if !restored.has_secrets_key {
        out::note(format!(
            "there is no secrets.key in `{}`: without the one of the cluster, tasks with secrets are not started",
            data_dir.display()
        ));
    }
    Ok(0)
}

fn words(restored: &Restored, dir: &Path) -> String {
    let Restored { cluster, incarnation, last_run, aside, snapshot, .. } = restored;
    let taken = model::instant::rfc3339_ms(snapshot.head.taken_ms);
    let mut text = format!(
        "cluster      {cluster}, as of {taken}\n\
         incarnation  {incarnation}, after {}\n\
         runs         {} go on; the next one is {}\n",
        snapshot.head.incarnation,
        snapshot.runs,
        last_run + 1,
    );
    if let Some(aside) = aside {
        text.push_str(&format!("before       what was there is in {}\n", aside.display()));
    }
    text.push_str(&format!("next         windlass up --data-dir {}\n", dir.display()));
    text
}
