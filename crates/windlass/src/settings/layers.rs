//! The layers over each other: the system's file, the user's, the environment.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{ArgMatches, Command};

use super::fault::{Fault, Place};
use super::places::{self, File};
use super::reading::{self, Checker};
use super::tree::{self, Setting, Takes, Tree};
use super::variables;
use crate::failure::Failure;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    File { name: String, line: u32 },
    Variable(String),
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::File { name, line } => write!(f, "{name}:{line}"),
            Source::Variable(name) => write!(f, "${name}"),
        }
    }
}

/// What holds for each setting of a tree, and all that is wrong.
#[derive(Debug)]
pub(crate) struct Layers {
    /// One for each setting: its values and where they come from.
    pub(crate) values: Vec<Option<(Vec<String>, Source)>>,
    /// Ready to be shown.
    pub(crate) faults: Vec<String>,
    /// The files that were read.
    pub(crate) files: Vec<String>,
    /// What is no fault, but probably a slip.
    pub(crate) warnings: Vec<String>,
}

impl Layers {
    /// Nothing is said.
    pub(crate) fn none(tree: &Tree) -> Layers {
        let values = vec![None; tree.settings.len()];
        Layers { values, faults: Vec::new(), files: Vec::new(), warnings: Vec::new() }
    }

    /// Reads the files and the environment; `named` is the file the command line names.
    pub(crate) fn read(command: &Command, tree: &Tree, named: Option<&str>) -> Layers {
        let mut layers = Layers::none(tree);
        for file in places::files(named) {
            layers.add_file(command, tree, &file);
        }
        layers.add_environment(command, tree);
        layers.warnings = variables::misspelt(tree, std::env::vars_os().map(|(name, _)| name));
        layers
    }

    pub(crate) fn add_file(&mut self, command: &Command, tree: &Tree, file: &File) {
        let name = file.path.display().to_string();
        let text = match std::fs::read_to_string(&file.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !file.named => return,
            // A file of the system that this user may not read is not for this user.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied && !file.named => {
                return;
            }
            Err(error) => {
                let fault = Fault::at(Place::default(), format!("cannot be read: {error}"));
                self.faults.push(fault.show(&name, ""));
                return;
            }
        };
        let reading = reading::read(command, tree, &text);
        self.faults.extend(reading.faults.iter().map(|fault| fault.show(&name, &text)));
        for given in reading.given {
            let source = Source::File { name: name.clone(), line: given.place.line };
            self.values[given.setting] = Some((given.values, source));
        }
        self.files.push(name);
    }

    fn add_environment(&mut self, command: &Command, tree: &Tree) {
        let mut checker = Checker::new(command);
        for (at, setting) in tree.settings.iter().enumerate() {
            let Some(variable) = &setting.variable else { continue };
            let Some(value) = std::env::var_os(variable).filter(|value| !value.is_empty()) else {
                continue;
            };
            let Ok(value) = value.into_string() else {
                self.faults.push(format!("${variable}: is not UTF-8"));
                continue;
            };
            let values: Vec<_> = match setting.takes {
                Takes::Many => value.lines().map(str::to_owned).collect(),
                Takes::Switch | Takes::Count | Takes::One => vec![value],
            };
            match checker.problem(tree, setting, &values) {
                Some(problem) => self.faults.push(format!("${variable}: {problem}")),
                None => self.values[at] = Some((values, Source::Variable(variable.clone()))),
            }
        }
    }

    /// Every fault at once, as one failure.
    pub(crate) fn fail_if_faulty(&self) -> Result<(), Failure> {
        if self.faults.is_empty() {
            return Ok(());
        }
        let failure =
            Failure::usage(format!("the configuration is wrong\n{}", self.faults.join("\n")));
        Err(failure.hint("`windlass config check` looks again; nothing was done"))
    }

    /// The command line with these values as defaults. What is said for one command wins over what
    /// is said for all.
    pub(crate) fn apply(&self, mut command: Command, all: &Tree) -> Command {
        for (setting, value) in all.settings.iter().zip(&self.values) {
            let Some((values, _)) = value else { continue };
            if !setting.shared {
                command = set_default(command, &setting.path, setting, values);
                // A node that joins is one that comes up.
                if setting.path == [tree::UP] {
                    command = set_default(command, &[tree::JOIN.to_owned()], setting, values);
                }
                continue;
            }
            let same = all.settings.iter().enumerate();
            let same = same.filter(|(at, one)| {
                one.key == setting.key && !one.shared && self.values[*at].is_none()
            });
            for (_, one) in same {
                command = set_default(command, &one.path, one, values);
            }
        }
        command
    }
}

/// The process reads its settings once, so what clap is to keep for ever may be kept for ever.
fn set_default(command: Command, path: &[String], setting: &Setting, values: &[String]) -> Command {
    match path.split_first() {
        Some((first, rest)) => {
            command.mut_subcommand(first, |below| set_default(below, rest, setting, values))
        }
        None => {
            let kept: Vec<&'static str> =
                values.iter().map(|value| &*Box::leak(value.clone().into_boxed_str())).collect();
            command.mut_arg(&setting.id, |arg| arg.required(false).default_values(kept))
        }
    }
}

/// A flag that needs another, which only a file or the environment gives: the command line is read
/// once more with that flag in it. `None` where the error is of another kind.
pub(super) fn with_required(
    command: &Command,
    words: &[OsString],
    error: &clap::Error,
) -> Option<Result<ArgMatches, clap::Error>> {
    if error.kind() != ErrorKind::MissingRequiredArgument {
        return None;
    }
    let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else {
        return None;
    };
    let (at, below) = words
        .iter()
        .enumerate()
        .skip(1)
        .find_map(|(at, word)| Some((at, command.find_subcommand(word.to_str()?)?)))?;
    let mut all = words.to_vec();
    for name in missing {
        let long = name.strip_prefix("--")?.split([' ', '=']).next()?;
        let arg = below.get_arguments().find(|arg| arg.get_long() == Some(long))?;
        let value = arg.get_default_values().first()?;
        let mut flag = OsString::from(format!("--{long}="));
        flag.push(value);
        all.insert(at + 1, flag);
    }
    Some(command.clone().try_get_matches_from(all))
}
