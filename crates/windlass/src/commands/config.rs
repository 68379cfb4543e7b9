//! `windlass config`: checks configuration files and shows what holds.

use std::path::PathBuf;

use api::json::{Setting, Settings};
use clap::Subcommand;

use crate::client::Target;
use crate::failure::{Failure, exit};
use crate::settings::layers::Layers;
use crate::settings::places::{self, File};
use crate::settings::tree::Tree;
use crate::show::out;
use crate::show::table::{Align, Table};

const PLACES: &str = "\
A flag wins over the environment, which wins over the user's own file, which
wins over the system's:
  $XDG_CONFIG_HOME/windlass/windlass.yaml   (or ~/.config/windlass/…)
  /etc/windlass/windlass.yaml
`--config FILE`, or WINDLASS_CONFIG, names the one file to read instead.

Keys are the long names of flags; a command's own stand in its section:
  node: 127.0.0.1:7400
  up:
    data-dir: /var/lib/windlass
    labels: { disk: ssd }
As a variable that is WINDLASS_UP_DATA_DIR; what may be given several times
has a value on each line.";

#[derive(clap::Args, Debug)]
#[command(arg_required_else_help = true, subcommand_required = true, after_help = PLACES)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Look for faults in a file, or in all that are read
    Check(CheckArgs),
    /// Show what is set, and where it comes from
    Show(ShowArgs),
}

#[derive(clap::Args, Debug)]
struct CheckArgs {
    /// The file (else those that would be read, and the environment)
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

#[derive(clap::Args, Debug)]
struct ShowArgs {
    /// Show every flag, with what holds where nothing is set
    #[arg(short, long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// `line` is the whole command line, whose flags can be set.
pub(crate) fn execute(args: &Args, target: &Target, line: &clap::Command) -> Result<u8, Failure> {
    let tree = Tree::of(line);
    let named = target.config.as_ref().map(|path| path.to_string_lossy().into_owned());
    let layers = match &args.command {
        Command::Check(CheckArgs { file: Some(path) }) => {
            let mut layers = Layers::none(&tree);
            layers.add_file(line, &tree, &File { path: path.clone(), named: true });
            layers
        }
        _ => Layers::read(line, &tree, named.as_deref()),
    };
    layers.warnings.iter().for_each(out::note);
    match &args.command {
        Command::Check(_) => check(&layers),
        Command::Show(args) => show(&tree, &layers, args),
    }
}

fn check(layers: &Layers) -> Result<u8, Failure> {
    if layers.faults.is_empty() {
        match &layers.files[..] {
            [] => out::line(format!(
                "there is no configuration file; the first to look for is {}",
                places::user().unwrap_or_else(|| places::SYSTEM.into()).display()
            ))?,
            files => files.iter().try_for_each(|name| out::line(format!("{name}: ok")))?,
        }
        return Ok(0);
    }
    for fault in &layers.faults {
        out::line(fault)?;
    }
    Ok(exit::FAILED)
}

fn show(tree: &Tree, layers: &Layers, args: &ShowArgs) -> Result<u8, Failure> {
    layers.fail_if_faulty()?;
    let rows = tree.settings.iter().zip(&layers.values);
    let rows = rows.filter(|(setting, value)| value.is_some() || !setting.hidden);
    if args.json {
        let settings: Vec<_> = rows
            .map(|(setting, value)| {
                let (values, from) = match value {
                    Some((values, source)) => (values, source.to_string()),
                    None => (&setting.default, "default".to_owned()),
                };
                let (values, variable) = (values.clone(), setting.variable.clone());
                Setting { name: setting.name(), values, from, variable }
            })
            .collect();
        out::json(&Settings { files: layers.files.clone(), settings })?;
        return Ok(0);
    }
    let left = |name| (name, Align::Left);
    let mut table = Table::new(&[left("SETTING"), left("FROM"), left("VALUE")]);
    let rows: Vec<_> = rows.filter(|(_, value)| args.all || value.is_some()).collect();
    if rows.is_empty() {
        out::note("nothing is set; `--all` shows every setting with its default");
        return Ok(0);
    }
    for (setting, value) in rows {
        let (values, from) = match value {
            Some((values, source)) => (values, source.to_string()),
            None => (&setting.default, "default".to_owned()),
        };
        let shown = match values.join(" ") {
            nothing if nothing.is_empty() => "-".to_owned(),
            shown => shown,
        };
        table.row(vec![setting.name(), from, shown]);
    }
    out::data(table.render())?;
    if !args.all {
        out::note("all else is as by default; `--all` shows it too");
    }
    Ok(0)
}
