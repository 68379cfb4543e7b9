//! The verbs. Each one's flags stand with the code that carries it out.

use std::ffi::OsString;

use clap::{Parser, Subcommand};

use crate::client::Target;
use crate::commands::{
    audit, cancel, cluster, completions, config, down, events, help, history, join, load, logs,
    man, node, ps, purge, rerun, run, status, token, top, up, version, wait, why,
};
use crate::show::color;

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no node answers.
`run` and `wait` exit with the task's own code; see their help.
`windlass help` lists topics beside the commands: ids, states, output, JSON.";

/// Run commands on this machine and keep every result
#[derive(Debug, Parser)]
#[command(name = "windlass", version, max_term_width = 80, after_help = EXIT_CODES)]
#[command(
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = true
)]
pub(crate) struct Line<C: Subcommand> {
    #[command(subcommand)]
    pub(crate) command: C,
    #[command(flatten)]
    pub(crate) target: Target,
    /// Color states: `always`, `never`, or `auto`, where a terminal looks on
    #[arg(long, value_name = "WHEN", value_enum, default_value_t, global = true)]
    #[arg(hide_default_value = true, hide_possible_values = true, help_heading = "Every command")]
    pub(crate) color: color::When,
}

/// The command line, with every command.
pub(crate) type Cli = Line<Command>;

/// The one that scripts call over and over. Read for itself, it is there without the flags of all
/// others, which take as long to make as everything else that the client does.
#[derive(Debug, Subcommand)]
enum Alone {
    Run(Box<run::Args>),
}

/// Reads a line that can only be a `run`. `None`: it is another one, or has a fault, or asks for
/// help; with all commands it is said what.
pub(crate) fn alone(words: &[OsString]) -> Option<Cli> {
    if !words.iter().skip(1).any(|word| word == "run") {
        return None;
    }
    let Line { command: Alone::Run(run), target, color } = Line::try_parse_from(words).ok()?;
    Some(Line { command: Command::Run(run), target, color })
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a node here
    Up(up::Args),
    /// Start a node here, and join a cluster with it
    Join(Box<join::Args>),
    /// End the node and its tasks
    Down(down::Args),
    /// Run a command, show its output, exit with its code
    Run(Box<run::Args>),
    /// List runs
    Ps(ps::Args),
    /// Show a run and its elements
    Status(status::Args),
    /// Say why elements wait, run or ended so
    Why(why::Args),
    /// Show the output of a run
    Logs(logs::Args),
    /// Wait for runs to end, exit with their code
    Wait(wait::Args),
    /// Stop runs, or parts of them
    Cancel(cancel::Args),
    /// Repeat what has ended, as a new run
    Rerun(rerun::Args),
    /// List runs that have ended, and what they took
    History(history::Args),
    /// Show what happens
    Events(events::Args),
    /// Forget runs that have ended
    Purge(purge::Args),
    /// List nodes, or show one
    #[command(visible_alias = "workers")]
    Node(node::Args),
    /// Show the cluster, let nodes in, save and recover it
    Cluster(cluster::Args),
    /// Watch runs, nodes and output on a live screen
    Top(top::Args),
    /// Make, list and revoke tokens
    Token(token::Args),
    /// List who changed what
    Audit(audit::Args),
    /// Check configuration files and show what holds
    Config(config::Args),
    /// Show the version
    Version(version::Args),
    /// Write what a shell needs to complete lines
    Completions(completions::Args),
    /// Explain a command or a topic
    Help(help::Args),
    /// Write manual pages
    #[command(hide = true)]
    Man(man::Args),
    /// Make load for a benchmark
    #[command(name = "__load", hide = true)]
    Load(load::Args),
}

#[cfg(test)]
mod tests;
