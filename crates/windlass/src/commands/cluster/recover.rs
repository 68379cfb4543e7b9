//! `windlass cluster recover`: what is left of a cluster whose majority is gone goes on.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use node::recovery::{By, Recovered, recover};

use super::failed;
use crate::client;
use crate::commands::up::dirs;
use crate::failure::Failure;
use crate::show::out;

const EXAMPLES: &str = "\
Examples:
  windlass cluster recover --data-dir /var/lib/windlass
  windlass cluster recover --reason 'rack 7 burned' --yes

Only where more than half of the voters are gone for good. It is done on one
that is left, while its node is down: the one with the highest
`windlass_applied_index`, or the one that led last. What only the others had is
lost, also what they had acknowledged. All other nodes join again.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Recover what is in DIR (as in `up`)
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Say why, for the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

pub(super) async fn execute(args: Args) -> Result<u8, Failure> {
    let dir = dirs::data_dir(args.data_dir)?;
    out::note(warning(&dir));
    if !args.yes && !is_wanted()? {
        return Ok(1);
    }
    let by = By { actor: format!("user:{}", client::user()), reason: args.reason };
    let recovered = recover(&dir, &by).await.map_err(|error| failed(&error))?;
    out::data(words(&recovered, &dir))?;
    Ok(0)
}

fn warning(dir: &Path) -> String {
    format!(
        "the journal in `{}` becomes that of a cluster of one node.\n\
         What only other voters had is lost, even where it was acknowledged.\n\
         What runs is void: it is ended here, and starts again after the longest lease.\n\
         Do this on one node only, and never where a majority can still be brought back.",
        dir.display()
    )
}

fn is_wanted() -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("nobody is there to be asked").hint("give `--yes` to recover"));
    }
    let failed = |error| Failure::new(format!("cannot ask: {error}"));
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "Type `recover` to go on: ").map_err(failed)?;
    stderr.flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(answer.trim() == "recover")
}

fn words(recovered: &Recovered, dir: &Path) -> String {
    let Recovered { cluster, incarnation, voters_lost, unconfirmed, last_run, output, .. } =
        recovered;
    let mut text = format!("cluster      {cluster}\nincarnation  {incarnation}\n");
    let voters = match voters_lost {
        0 => "none".to_owned(),
        lost => format!("{lost}; what only they had is lost"),
    };
    text.push_str(&format!("voters lost  {voters}\n"));
    if *unconfirmed > 0 {
        text.push_str(&format!(
            "unconfirmed  {unconfirmed} entries that nobody may have been told of; they count now\n"
        ));
    }
    text.push_str(&format!("runs         the next one is {}\n", last_run + 1));
    if let Some(output) = output {
        text.push_str(&format!("output       that of before is in {}\n", output.display()));
    }
    text.push_str(&format!("next         windlass up --data-dir {}\n", dir.display()));
    text
}
