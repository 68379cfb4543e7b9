//! From a document to values of settings, with every fault it has.

use clap::Command;
use clap::error::ErrorKind;

use super::document::{self, Node};
use super::fault::{Fault, Place, near};
use super::tree::{Setting, Takes, Tree};

/// Values of one flag at most.
const VALUES_MAX: usize = 1000;
/// Faults that are told at once.
const FAULTS_MAX: usize = 100;

/// A setting that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    /// Its place in the tree's list.
    pub(crate) setting: usize,
    pub(crate) values: Vec<String>,
    pub(crate) place: Place,
}

/// What a file says.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    pub(crate) given: Vec<Given>,
    pub(crate) faults: Vec<Fault>,
}

/// Reads a file's text. Where there is a fault, nothing of it may be used.
pub(crate) fn read(command: &Command, tree: &Tree, text: &str) -> Reading {
    let mut reading = Reading::default();
    match document::read(text) {
        Ok(Node::Empty) => {}
        Ok(Node::Map(entries)) => reading.section(tree, &[], entries),
        Ok(Node::Value(_) | Node::Number | Node::List(_)) => {
            let place = Place { line: 1, column: 1, width: 1 };
            let fault = Fault::at(place, "expected settings, each `KEY: VALUE`");
            reading.faults.push(fault.hint("such as `node: 127.0.0.1:7400`"));
        }
        Err(fault) => reading.faults.push(fault),
    }
    let mut checker = Checker::new(command);
    for given in &reading.given {
        let setting = &tree.settings[given.setting];
        if let Some(problem) = checker.problem(tree, setting, &given.values) {
            let fault = Fault::at(given.place, format!("{}: {problem}", setting.key));
            reading.faults.push(match checker.parted(tree, setting, &given.values) {
                Some(meant) => fault.hint(format!(
                    "in `[…]` a comma parts two values: quote what has one, as in `['{meant}']`"
                )),
                None => fault,
            });
        }
    }
    reading.faults.sort_by_key(|fault| fault.place);
    reading.faults.truncate(FAULTS_MAX);
    reading
}

impl Reading {
    fn section(
        &mut self,
        tree: &Tree,
        path: &[String],
        entries: Vec<(Place, String, Place, Node)>,
    ) {
        for (at, key, place, node) in entries {
            let below: Vec<_> = path.iter().cloned().chain([key.clone()]).collect();
            let setting = tree.find(path, &key);
            let is_section = tree.sections.contains(&below);
            match (setting, node) {
                // `node` is both: an address, and a command with flags of its own.
                (_, Node::Map(entries)) if is_section => self.section(tree, &below, entries),
                (None, Node::Empty) if is_section => {}
                (None, _) if is_section => {
                    let example = tree.keys(&below);
                    let example = example.first().map_or("json", String::as_str);
                    let problem = format!("`{key}` is a command: expected its flags");
                    let fault = Fault::at(place, problem);
                    self.faults.push(fault.hint(format!("write `{key}: {{ {example}: … }}`")));
                }
                (Some(setting), node) => match values(&tree.settings[setting], node) {
                    Ok(values) => {
                        let place = if place.line == 0 { at } else { place };
                        self.given.push(Given { setting, values, place });
                    }
                    Err(problem) => {
                        let fault = Fault::at(at, format!("{key}: {problem}"));
                        self.faults.push(fault);
                    }
                },
                (None, _) => self.faults.push(unknown(tree, path, &key, at)),
            }
        }
    }
}

fn unknown(tree: &Tree, path: &[String], key: &str, at: Place) -> Fault {
    let of = match path {
        [] => String::new(),
        path => format!(" of `{}`", path.join(" ")),
    };
    let fault = Fault::at(at, format!("there is no setting `{key}`{of}"));
    // What stands in the wrong section is common, and is known for certain.
    let elsewhere = tree.settings.iter().filter(|setting| setting.key == key && !setting.shared);
    let places: Vec<_> = elsewhere.map(|setting| setting.path.join(" ")).collect();
    match places.first().map(String::as_str) {
        Some("") => fault.hint(format!("`{key}` stands at the top, in no section")),
        Some(_) => fault.hint(format!("it is one of `{}`", places.join("`, `"))),
        None => match near(key, &tree.keys(path)) {
            Some(meant) => fault.hint(format!("is `{meant}` meant?")),
            None => fault.hint("`windlass config show --all` lists them all"),
        },
    }
}

/// The values that a command line would have.
fn values(setting: &Setting, node: Node) -> Result<Vec<String>, String> {
    let expected = || match (setting.takes, setting.value_name.as_str()) {
        (Takes::Switch, _) => "expected `true` or `false`".to_owned(),
        (Takes::Count, _) => "expected a number".to_owned(),
        (Takes::One, name) => format!("expected one value, {name}"),
        (Takes::Many, name) => format!("expected values, each {name}"),
    };
    match (setting.takes, node) {
        (_, Node::Empty) => Err(format!("has no value: {}", expected())),
        (_, Node::Value(value)) => Ok(vec![value]),
        (Takes::Many, Node::List(items)) if items.len() <= VALUES_MAX => {
            let value = |item| match item {
                (_, Node::Value(value)) => Ok(value),
                _ => Err(expected()),
            };
            items.into_iter().map(value).collect()
        }
        (Takes::Many, Node::Map(entries))
            if entries.len() <= VALUES_MAX && setting.value_name.contains('=') =>
        {
            let value = |entry| match entry {
                (_, key, _, Node::Value(value)) => Ok(format!("{key}={value}")),
                (_, key, _, Node::Empty) => Ok(format!("{key}=")),
                _ => Err(expected()),
            };
            entries.into_iter().map(value).collect()
        }
        _ => Err(expected()),
    }
}

/// Asks the command line itself whether it would take a value.
pub(crate) struct Checker(Command);

/// Values that are looked at for one that was parted.
const PARTED_MAX: usize = 20;

impl Checker {
    pub(crate) fn new(command: &Command) -> Checker {
        Checker(command.clone())
    }

    /// The value that two of these were, if the command line would take it: `team=5,50` where
    /// `[team=5,50]` is written.
    fn parted(&mut self, tree: &Tree, setting: &Setting, values: &[String]) -> Option<String> {
        let mut bad =
            |value: &String| self.problem(tree, setting, std::slice::from_ref(value)).is_some();
        let pairs = values.windows(2).take(PARTED_MAX);
        let joined = pairs.filter(|pair| bad(&pair[0]) || bad(&pair[1])).map(|pair| pair.join(","));
        let joined: Vec<_> = joined.collect();
        joined.into_iter().find(|value| !bad(value))
    }

    /// Why the command line would not take these values.
    pub(crate) fn problem(
        &mut self,
        tree: &Tree,
        setting: &Setting,
        values: &[String],
    ) -> Option<String> {
        match setting.takes {
            Takes::Switch => {
                let good = matches!(values, [value] if ["true", "false"].contains(&value.as_str()));
                (!good).then(|| "expected `true` or `false`".to_owned())
            }
            Takes::Count => {
                let good = matches!(values, [value] if value.parse::<u8>().is_ok());
                (!good).then(|| "expected a number from 0 to 255".to_owned())
            }
            Takes::One | Takes::Many => {
                let path = match setting.shared {
                    true => tree
                        .settings
                        .iter()
                        .find(|s| s.key == setting.key && !s.shared)?
                        .path
                        .clone(),
                    false => setting.path.clone(),
                };
                let flags = values.iter().map(|value| format!("--{}={value}", setting.key));
                let words = ["windlass".to_owned()].into_iter().chain(path).chain(flags);
                let error = self.0.try_get_matches_from_mut(words).err()?;
                let is_value = matches!(
                    error.kind(),
                    ErrorKind::ValueValidation
                        | ErrorKind::InvalidValue
                        | ErrorKind::InvalidUtf8
                        | ErrorKind::NoEquals
                        | ErrorKind::TooManyValues
                        | ErrorKind::WrongNumberOfValues
                );
                is_value.then(|| why(&error))
            }
        }
    }
}

/// The part of clap's words that is about the value.
fn why(error: &clap::Error) -> String {
    if let Some(source) = std::error::Error::source(error) {
        return source.to_string();
    }
    let text = error.to_string();
    let text = text.trim_start_matches("error: ");
    let about = text.split("\n\nFor more").next().unwrap_or_default();
    about.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn faults(text: &str) -> String {
        let command = Cli::command();
        let reading = read(&command, &Tree::of(&command), text);
        let shown: Vec<_> = reading.faults.iter().map(|fault| fault.show("f", text)).collect();
        shown.join("\n")
    }

    fn given(text: &str) -> Vec<String> {
        let command = Cli::command();
        let tree = Tree::of(&command);
        let reading = read(&command, &tree, text);
        assert_eq!(reading.faults, [], "{text}");
        let line = |given: &Given| {
            let name = tree.settings[given.setting].name();
            format!("{}: {name} = {}", given.place.line, given.values.join(" "))
        };
        reading.given.iter().map(line).collect()
    }

    #[test]
    fn keys_are_the_flags_long_names() {
        let text = "node: localhost:7401\njson: true\nup:\n  data-dir: /data\n  cpus: 2.5\n  labels: { disk: ssd, zone: b }\nrun:\n  env: [A=1, 'B=x y']\n  retries: 3\nnode-ls: 1";
        let all = text.replace("\nnode-ls: 1", "");
        assert_eq!(
            given(&all),
            [
                "1: node = localhost:7401",
                "2: json = true",
                "4: up.data-dir = /data",
                "5: up.cpus = 2.5",
                "6: up.label = disk=ssd zone=b",
                "8: run.env = A=1 B=x y",
                "9: run.retries = 3",
            ]
        );
        assert!(faults(text).contains("there is no setting `node-ls`"));
    }

    /// What YAML might take for something else is what was written.
    #[test]
    fn values_are_what_is_written() {
        let text =
            "up:\n  labels: { a: y, b: 01234, c: 1e3, d: 0x1F, e: null, f: 1.50, g: 'x: y' }\n";
        assert_eq!(given(text), ["2: up.label = a=y b=01234 c=1e3 d=0x1F e= f=1.50 g=x: y"]);
    }

    /// The word stands for an address and for a command.
    #[test]
    fn node_is_an_address_or_a_section() {
        assert_eq!(given("node: { ls: { json: true } }"), ["1: node.ls.json = true"]);
        assert_eq!(given("node: 127.0.0.1:1"), ["1: node = 127.0.0.1:1"]);
    }

    #[test]
    fn an_empty_file_or_section_says_nothing() {
        assert!(given("").is_empty() && given("# nothing\n\n").is_empty());
        assert!(given("up:\n").is_empty());
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let text = "up:\n  cpsu: 4\n  memory: lots\n  data-dir:\ncpus: 3\nps: yes\n";
        insta::assert_snapshot!(faults(text), @r"
        f:2:3: there is no setting `cpsu` of `up`
          2 |   cpsu: 4
            |   ^^^^
        hint: is `cpus` meant?
        f:3:11: memory: `lots` is not a size such as `512MiB`, `4GiB` or `1000` (bytes)
          3 |   memory: lots
            |           ^^^^
        f:4:3: data-dir: has no value: expected one value, DIR
          4 |   data-dir:
            |   ^^^^^^^^
        f:5:1: there is no setting `cpus`
          5 | cpus: 3
            | ^^^^
        hint: it is one of `up`, `run`
        f:6:5: `ps` is a command: expected its flags
          6 | ps: yes
            |     ^^^
        hint: write `ps: { all: … }`
        ");
    }

    #[test]
    fn what_is_no_yaml_is_told_with_its_place() {
        insta::assert_snapshot!(faults("up:\n  cpus: [1\nrun: {}\n"), @r"
        f:3:4: illegal placement of ':' indicator
          3 | run: {}
            |    ^
        ");
        insta::assert_snapshot!(faults("up: {}\nup: {}\n"), @r"
        f:2:1: duplicate mapping key: up
          2 | up: {}
            | ^^
        ");
        insta::assert_snapshot!(faults("- a\n"), @r"
        f:1:1: expected settings, each `KEY: VALUE`
          1 | - a
            | ^
        hint: such as `node: 127.0.0.1:7400`
        ");
    }

    /// What a fuzzer has found worth keeping: nothing of it may panic, and every place can be shown.
    #[test]
    fn whatever_a_file_holds_is_told() {
        let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/corpus/config_file");
        let inputs = std::fs::read_dir(corpus).unwrap();
        let shown = inputs.map(|entry| {
            let bytes = std::fs::read(entry.unwrap().path()).unwrap();
            faults(&String::from_utf8_lossy(&bytes))
        });
        assert!(shown.filter(|shown| !shown.is_empty()).count() > 3);
    }

    #[test]
    fn the_example_is_a_good_one() {
        let text = include_str!("../../../../contrib/windlass.yaml");
        assert!(given(text).len() > 3);
        // What is commented out is good too.
        let all: String = text.lines().map(|line| line.replacen("#: ", "", 1) + "\n").collect();
        assert!(given(&all).len() > given(text).len());
    }
}
