//! Every flag that can be set, as the command line itself lists them.

use clap::{Arg, ArgAction, Command};

/// Variables that a task finds, or that have a meaning of their own: no flag is set by them.
/// `docs/reference/environment.md` lists the former.
pub(super) const TAKEN: [&str; 12] = [
    "WINDLASS_JOB",
    "WINDLASS_RUN",
    "WINDLASS_TASK",
    "WINDLASS_INDEX",
    "WINDLASS_ITEM",
    "WINDLASS_ATTEMPT",
    "WINDLASS_ELEMENT",
    "WINDLASS_FENCE",
    "WINDLASS_NODE_NAME",
    "WINDLASS_NODE_ID",
    "WINDLASS_TICK",
    "WINDLASS_TOKEN",
];

/// What is set for the one holds for the other too: its flags have no section of their own.
pub(super) const UP: &str = "up";
pub(super) const JOIN: &str = "join";

/// A flag that many commands have and that is set for all of them at once, beside for each.
const SHARED: [&str; 1] = ["json"];

/// What a flag takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Nothing: it is there or not.
    Switch,
    /// Nothing, any number of times.
    Count,
    /// One value.
    One,
    /// Any number of values, each given by a flag of its own.
    Many,
}

/// One flag that can be set.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// The commands that lead to it: `["up"]`, `["node", "ls"]`, none for a flag of all.
    pub(crate) path: Vec<String>,
    /// Its id within its command.
    pub(crate) id: String,
    /// Its long name, and its key in a file.
    pub(crate) key: String,
    /// Another key it may have: the plural of what may be given several times.
    pub(crate) alias: Option<String>,
    /// The variable that sets it; `None` where another meaning has that name.
    pub(crate) variable: Option<String>,
    pub(crate) takes: Takes,
    /// What its value is called: `SIZE`.
    pub(crate) value_name: String,
    /// What holds where nothing is said, as far as the command line knows it.
    pub(crate) default: Vec<String>,
    pub(crate) help: String,
    /// It is for measuring or for programs, and not listed for people.
    pub(crate) hidden: bool,
    /// It stands for the flags of this name of all commands.
    pub(crate) shared: bool,
}

impl Setting {
    /// As people write it: `up.data-dir`.
    pub(crate) fn name(&self) -> String {
        let words = self.path.iter().chain([&self.key]);
        words.cloned().collect::<Vec<_>>().join(".")
    }
}

/// All settings, in the order of the command line.
#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) settings: Vec<Setting>,
    /// The commands with their own sections, by their path.
    pub(crate) sections: Vec<Vec<String>>,
}

impl Tree {
    pub(crate) fn of(command: &Command) -> Tree {
        let mut tree = Tree { settings: Vec::new(), sections: Vec::new() };
        tree.walk(command, &[]);
        for key in SHARED {
            let like = tree.settings.iter().find(|setting| setting.key == key).cloned();
            if let Some(like) = like {
                let help = format!("{}, in every command that can", like.help);
                let variable = variable(&[], key);
                let path = Vec::new();
                let shared = Setting { path, variable, shared: true, help, ..like };
                tree.settings.insert(0, shared);
            }
        }
        tree
    }

    /// The setting at this path with this key.
    pub(crate) fn find(&self, path: &[String], key: &str) -> Option<usize> {
        let names = |setting: &Setting| setting.key == key || setting.alias.as_deref() == Some(key);
        self.settings.iter().position(|setting| setting.path == path && names(setting))
    }

    /// The keys that may stand at this path.
    pub(crate) fn keys(&self, path: &[String]) -> Vec<String> {
        let settings = self.settings.iter().filter(|setting| setting.path == path);
        let sections = self.sections.iter().filter_map(|section| match section.split_last() {
            Some((last, before)) if before == path => Some(last.clone()),
            _ => None,
        });
        settings.map(|setting| setting.key.clone()).chain(sections).collect()
    }

    fn walk(&mut self, command: &Command, path: &[String]) {
        let flags = command.get_arguments().filter_map(|arg| setting(arg, path));
        self.settings.extend(flags);
        for below in command.get_subcommands() {
            let name = below.get_name();
            if ["help", JOIN, super::COMMAND].contains(&name) || name.starts_with("__") {
                continue;
            }
            let path: Vec<_> = path.iter().cloned().chain([name.to_owned()]).collect();
            self.sections.push(path.clone());
            self.walk(below, &path);
        }
    }
}

fn setting(arg: &Arg, path: &[String]) -> Option<Setting> {
    let key = arg.get_long()?.to_owned();
    let takes = match arg.get_action() {
        ArgAction::SetTrue => Takes::Switch,
        ArgAction::Count => Takes::Count,
        ArgAction::Set => match arg.get_value_delimiter() {
            Some(_) => Takes::Many,
            None => Takes::One,
        },
        ArgAction::Append => Takes::Many,
        _ => return None,
    };
    // A file that names the files to read would never end.
    if path.is_empty() && key == "config" {
        return None;
    }
    let id = arg.get_id().to_string();
    let plural = id.replace('_', "-");
    let own = arg.get_env().map(|name| name.to_string_lossy().into_owned());
    let values = arg.get_value_names().and_then(|names| names.first());
    let defaults = arg.get_default_values().iter();
    Some(Setting {
        variable: own.or_else(|| variable(path, &key)),
        alias: (takes == Takes::Many && plural != key).then_some(plural),
        path: path.to_vec(),
        takes,
        value_name: values.map(ToString::to_string).unwrap_or_default(),
        default: defaults.map(|value| value.to_string_lossy().into_owned()).collect(),
        help: arg.get_help().map(ToString::to_string).unwrap_or_default(),
        hidden: arg.is_hide_set(),
        shared: false,
        id,
        key,
    })
}

/// `WINDLASS_UP_DATA_DIR` for `up --data-dir`.
fn variable(path: &[String], key: &str) -> Option<String> {
    let words = path.iter().map(String::as_str).chain([key]);
    let words: Vec<_> = words.map(|word| word.replace('-', "_").to_uppercase()).collect();
    let name = format!("WINDLASS_{}", words.join("_"));
    (!TAKEN.contains(&name.as_str())).then_some(name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn tree() -> Tree {
        Tree::of(&Cli::command())
    }

    #[test]
    fn every_flag_that_takes_part_is_there() {
        let tree = tree();
        let at = |path: &str, key| {
            let path: Vec<_> = path.split_whitespace().map(str::to_owned).collect();
            tree.find(&path, key).map(|at| tree.settings[at].clone())
        };
        assert_eq!(at("up", "data-dir").unwrap().variable.unwrap(), "WINDLASS_UP_DATA_DIR");
        assert_eq!(at("", "node").unwrap().variable.unwrap(), "WINDLASS_NODE");
        assert_eq!(at("up", "labels").unwrap().key, "label");
        assert_eq!(at("node ls", "json").unwrap().takes, Takes::Switch);
        assert!(at("", "json").unwrap().shared);
        assert_eq!(at("", "verbose").unwrap().takes, Takes::Count);
        assert!(at("", "config").is_none() && at("run", "help").is_none());
    }

    /// Two flags at one variable could not be told apart, and what a task finds sets nothing.
    #[test]
    fn each_variable_sets_one_flag() {
        let mut seen = BTreeSet::new();
        for setting in tree().settings {
            let Some(variable) = setting.variable else { continue };
            assert!(!TAKEN.contains(&variable.as_str()), "{variable}");
            assert!(seen.insert(variable.clone()), "{variable} is used twice");
        }
    }

    #[test]
    fn what_a_task_finds_is_taken() {
        let page = include_str!("../../../../docs/reference/environment.md");
        let table = page.split("\n## ").find(|part| part.starts_with("Variables")).unwrap();
        let words = table.split('`').filter(|word| word.starts_with("WINDLASS_") && word.len() > 9);
        for word in words {
            assert!(TAKEN.contains(&word), "{word} could set a flag inside of tasks");
        }
    }
}
