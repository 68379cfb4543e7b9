//! Settings: what the command line does not say is looked for in the environment, then in
//! configuration files.
//!
//! Every flag of every command can be set there, under its own long name; the list is the command
//! line's own, walked, and is kept nowhere else. What is found becomes the flag's default before
//! the command line is read, so that each value passes the same check wherever it comes from. A
//! file with a fault is refused whole: nothing must start half-configured.

mod document;
pub(crate) mod fault;
pub(crate) mod layers;
pub(crate) mod places;
pub(crate) mod reading;
pub(crate) mod tree;
mod variables;

#[cfg(test)]
mod tests;

use std::ffi::OsString;

use clap::{Command, CommandFactory, FromArgMatches};

use crate::failure::Failure;
use crate::show::out;
use layers::Layers;
use tree::Tree;

/// The one command that must work while a file has a fault.
pub(crate) const COMMAND: &str = "config";

/// Reads the command line, with the environment and the files behind it. Wrong usage, and help,
/// end the process as clap does it. `alone` may know a short way where nothing is behind the line.
pub(crate) fn command_line<C: CommandFactory + FromArgMatches>(
    alone: fn(&[OsString]) -> Option<C>,
) -> Result<C, Failure> {
    let words: Vec<OsString> = std::env::args_os().collect();
    let all_said =
        is_all_said(&words, std::env::vars_os().map(|(name, _)| name), &places::files(None));
    if let Some(line) = all_said.then(|| alone(&words)).flatten() {
        return Ok(line);
    }
    let mut plain = C::command();
    if all_said {
        let matches = plain.try_get_matches_from_mut(&words).unwrap_or_else(|error| error.exit());
        return Ok(C::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()));
    }
    let command = match Named::of(&plain, &words) {
        Some(named) if named.command != COMMAND => {
            let tree = Tree::of(&plain);
            let layers = Layers::read(&plain, &tree, named.file.as_deref());
            layers.fail_if_faulty()?;
            layers.warnings.iter().for_each(out::note);
            layers.apply(plain, &tree)
        }
        // Help, the version and what looks after the files come first.
        _ => plain,
    };
    let matches = command
        .clone()
        .try_get_matches_from(&words)
        .or_else(|error| layers::with_required(&command, &words, &error).unwrap_or(Err(error)));
    let matches = matches.unwrap_or_else(|error| error.exit());
    Ok(C::from_arg_matches(&matches).unwrap_or_else(|error| error.exit()))
}

/// Whether nothing beside the line itself can say anything, as is usual: no variable, no file that is there, and none
/// that the line names. Then it is read once, which is a good part of the time that a short command takes.
fn is_all_said(
    words: &[OsString],
    mut variables: impl Iterator<Item = OsString>,
    files: &[places::File],
) -> bool {
    let may_name_a_file = |word: &OsString| {
        let word = word.as_encoded_bytes();
        // `-c FILE`, also behind other letters.
        let is_short = word.starts_with(b"-") && !word.starts_with(b"--") && word.contains(&b'c');
        is_short || word == b"--config" || word.starts_with(b"--config=")
    };
    let flags = words.iter().skip(1).take_while(|word| *word != "--");
    !variables.any(|name| name.as_encoded_bytes().starts_with(variables::PREFIX.as_bytes()))
        && !flags.into_iter().any(may_name_a_file)
        && files.iter().all(|file| !file.named && !file.path.exists())
}

/// What a first look at the command line finds, whatever else is wrong with it.
struct Named {
    command: String,
    file: Option<String>,
}

impl Named {
    /// `None`: the line asks for help or the version alone.
    fn of(command: &Command, words: &[OsString]) -> Option<Named> {
        let matches = command.clone().ignore_errors(true).try_get_matches_from(words).ok()?;
        let (name, below) = matches.subcommand()?;
        let file = below.try_get_one::<std::path::PathBuf>("config").ok().flatten();
        Some(Named {
            command: name.to_owned(),
            file: file.map(|path| path.to_string_lossy().into_owned()),
        })
    }
}
