//! Every command that a page shows is run as it stands there, in order, before a real node.
//!
//! A `sh` block has to succeed, line by line. A `console` block is what a terminal shows: a command
//! behind `$ `, and below it what it prints, which has to have that shape: numbers and times may
//! differ, and `…` stands for any lines, or for anything within one.

use std::path::PathBuf;
use std::process::Command;

use crate::node::{Home, Node};

const END: &str = "@@@ end of command ";
/// What is no command to a node, each with the reason why it is left out.
const LEFT_OUT: [(&str, &str); 4] = [
    ("cargo ", "the binary is built already"),
    ("windlass up", "the node is up already, and this would not end"),
    ("export PATH=", "the test has a path of its own"),
    ("source <(", "completions are for a shell with a person"),
];
/// Where a node listens unless it is told otherwise.
const USUAL: &str = "127.0.0.1:7400";

/// Blocks of other kinds in which a line begins like a command, and why it is not run.
const NOT_RUN: [(&str, &str); 2] = [
    ("CONTRIBUTING.md", "it builds and tests Windlass itself, and these tests are a part of that"),
    ("docs/guides/cluster.md", "it takes three machines; `tests/cluster` gives the same commands"),
];

/// README, and all pages below `docs` but the decisions, which show what was true then.
fn pages() -> Vec<String> {
    let mut pages = vec!["CONTRIBUTING.md".to_owned(), "README.md".to_owned()];
    let mut directories = vec!["docs".to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(root().join(&directory)).unwrap() {
            let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
            let path = format!("{directory}/{name}");
            match entry.unwrap().file_type().unwrap().is_dir() {
                true if path == "docs/adr" => {}
                true => directories.push(path),
                false if name.ends_with(".md") => pages.push(path),
                false => {}
            }
        }
    }
    pages.sort();
    pages
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Each of these tests takes every third page, so that they run beside each other.
const SHARES: usize = 3;

#[test]
fn the_commands_of_all_pages_run_first_share() {
    share(0);
}

#[test]
fn the_commands_of_all_pages_run_second_share() {
    share(1);
}

#[test]
fn the_commands_of_all_pages_run_third_share() {
    share(2);
}

fn share(number: usize) {
    let mut with_commands = 0;
    for name in pages() {
        let text = std::fs::read_to_string(root().join(&name)).unwrap();
        let steps = steps(&text);
        if steps.is_empty() {
            continue;
        }
        if with_commands % SHARES == number {
            page(&name, steps);
        }
        with_commands += 1;
    }
    assert!(with_commands >= SHARES, "{with_commands} pages have commands");
}

#[test]
fn a_command_stands_in_a_block_that_is_run_or_has_a_reason() {
    for (name, why) in NOT_RUN {
        println!("{name}: not run: {why}");
    }
    let mut faults = String::new();
    let mut unused: Vec<_> = NOT_RUN.iter().map(|(name, _)| *name).collect();
    for name in pages() {
        let text = std::fs::read_to_string(root().join(&name)).unwrap();
        for (number, line) in hidden(&text) {
            match NOT_RUN.iter().any(|(page, _)| *page == name) {
                true => unused.retain(|page| *page != name),
                false => faults.push_str(&format!("{name}:{number}: `{line}`\n")),
            }
        }
    }
    assert!(
        faults.is_empty(),
        "these commands are in no `sh` or `console` block, so nothing runs them:\n{faults}"
    );
    assert_eq!(unused, [""; 0], "nothing is left out there any more");
}

/// Lines that begin like a command in a block that is not run, with their numbers.
fn hidden(text: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut block = None;
    for (line, number) in text.lines().zip(1..) {
        match (block, line.strip_prefix("```")) {
            (None, Some(kind)) => block = Some(kind),
            (Some(_), Some(_)) => block = None,
            (Some("sh" | "console") | None, None) => {}
            (Some(_), None) => {
                let words = ["windlass ", "cargo ", "curl ", "$ "];
                if words.iter().any(|word| line.starts_with(word)) {
                    found.push((number, line));
                }
            }
        }
    }
    found
}

#[test]
fn the_file_on_the_page_of_configuration_has_no_fault() {
    let text = std::fs::read_to_string(root().join("docs/reference/configuration.md")).unwrap();
    let (_, rest) = text.split_once("```yaml\n").expect("the page shows a file");
    let (file, _) = rest.split_once("```").unwrap();
    let home = Home::new();
    std::fs::write(home.path().join("shown.yaml"), file).unwrap();
    let checked = home.windlass(&["config", "check", "shown.yaml"]);
    assert!(checked.0.status.success(), "{}", String::from_utf8_lossy(&checked.0.stderr));
}

#[test]
fn a_command_in_another_block_is_found() {
    let text = "```sh\nwindlass ps\n```\nwindlass ps\n```text\nx\n$ curl a\n```\n```\nwindlass\nwindlass up\n```\n";
    assert_eq!(hidden(text), [(7, "$ curl a"), (11, "windlass up")]);
}

/// The page whose node serves other machines.
const REMOTE: &str = "docs/guides/remote.md";
/// What that node is called there. The test stays on this machine, where the name means nothing.
const ELSEWHERE: &str = "alpha:7400";

fn page(name: &str, mut steps: Vec<Step>) {
    let mut node = match name {
        REMOTE => Home::new().up_beyond("0.0.0.0:0", &[]),
        _ => Home::new().up(),
    };
    // Each node of a test has an address of its own; a page says the usual one.
    let api = node.api().replace("0.0.0.0", "127.0.0.1");
    for step in &mut steps {
        step.command = step.command.replace(USUAL, &api).replace(ELSEWHERE, &api);
    }
    let results = bash(&node, &steps);
    let mut faults = String::new();
    for (step, (code, shown)) in steps.iter().zip(&results) {
        let what = format!("`{}` gave {code}:\n{shown}\n", step.command);
        match &step.shown {
            None if *code != 0 => faults.push_str(&what),
            Some(wanted) if !is_shape(wanted, shown) => {
                faults.push_str(&format!("{what}wanted:\n{}\n", wanted.join("\n")));
            }
            _ => {}
        }
    }
    assert!(faults.is_empty(), "{name}:\n{faults}");
    assert_eq!(results.len(), steps.len(), "{name}: the shell ended early");
    if steps.iter().any(|step| step.command.starts_with("windlass down")) {
        node.ended();
        node.into_home();
    }
}

/// A command and, where the page shows it, what it prints.
struct Step {
    command: String,
    shown: Option<Vec<String>>,
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut block = "";
    for line in text.lines() {
        match (block, line.strip_prefix("```")) {
            ("", Some(kind)) => block = if kind.is_empty() { "text" } else { kind },
            (_, Some(_)) => block = "",
            ("sh", None) if !line.is_empty() => {
                steps.push(Step { command: line.to_owned(), shown: None });
            }
            ("console", None) => match line.strip_prefix("$ ") {
                Some(command) => {
                    steps.push(Step { command: command.to_owned(), shown: Some(Vec::new()) });
                }
                None => steps.last_mut().unwrap().shown.as_mut().unwrap().push(line.to_owned()),
            },
            _ => {}
        }
    }
    steps.retain(|step| {
        let why = LEFT_OUT.iter().find(|(word, _)| step.command.starts_with(word));
        if let Some((_, why)) = why {
            println!("`{}` is not run: {why}", step.command);
        }
        why.is_none()
    });
    steps
}

/// Runs all in one shell, for a page sets variables and looks at `$?`.
fn bash(node: &Node, steps: &[Step]) -> Vec<(i32, String)> {
    let mut script = String::from("exec 2>&1\nshopt -s expand_aliases\ncode=0\n");
    for step in steps {
        script.push_str(&format!("(exit $code)\n{}\n", step.command));
        script.push_str(&format!("code=$?; printf '\\n{END}%s\\n' \"$code\"\n"));
    }
    let windlass = node.command(&[]);
    let bin = PathBuf::from(windlass.get_program());
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("timeout")
        .args(["120", "bash", "--norc", "-c", &script])
        .env_clear()
        .envs(windlass.get_envs().filter_map(|(name, value)| Some((name, value?))))
        .env("PATH", format!("{}:{path}", bin.parent().unwrap().display()))
        .current_dir(windlass.get_current_dir().unwrap())
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut results = Vec::new();
    let mut shown = String::new();
    for line in text.lines() {
        match line.strip_prefix(END) {
            Some(code) => {
                results.push((code.parse().unwrap(), std::mem::take(&mut shown).trim().to_owned()));
            }
            None => shown.push_str(&format!("{line}\n")),
        }
    }
    results
}

fn is_shape(wanted: &[String], shown: &str) -> bool {
    let wanted: Vec<_> = wanted.iter().map(|line| shape(line)).filter(|l| !l.is_empty()).collect();
    let shown: Vec<_> = shown.lines().map(shape).filter(|line| !line.is_empty()).collect();
    matches(&wanted, &shown)
}

fn matches(wanted: &[String], shown: &[String]) -> bool {
    match wanted.split_first() {
        None => shown.is_empty(),
        Some((first, rest)) if first == "…" => {
            (0..=shown.len()).any(|skip| matches(rest, &shown[skip..]))
        }
        Some((first, rest)) => {
            shown.first().is_some_and(|shown| is_line(first, shown)) && matches(rest, &shown[1..])
        }
    }
}

/// Within a line `…` stands for anything too.
fn is_line(wanted: &str, shown: &str) -> bool {
    match wanted.split_once('…') {
        None => wanted == shown,
        Some((before, after)) => shown
            .strip_prefix(before)
            .is_some_and(|rest| rest.len() >= after.len() && rest.ends_with(after)),
    }
}

/// A line without what differs from day to day: numbers with their units, ages, widths of columns.
fn shape(line: &str) -> String {
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

fn word(word: &str) -> String {
    if word == "now" {
        return "0".to_owned();
    }
    let mut shape = String::new();
    let mut chars = word.chars().peekable();
    while let Some(c) = chars.next() {
        if !c.is_ascii_digit() {
            shape.push(c);
            continue;
        }
        shape.push('0');
        while chars.next_if(|c| c.is_ascii_digit() || matches!(c, '.' | ':' | '-')).is_some() {}
        // A unit of time: 3ms, 12s, 1.5s.
        while chars.next_if(|c| matches!(c, 'm' | 's' | 'h' | 'd')).is_some() {}
    }
    shape
}

#[test]
fn a_shape_forgives_numbers_and_nothing_else() {
    let check = |wanted: &str, shown: &str, expected| {
        let wanted: Vec<_> = wanted.lines().map(str::to_owned).collect();
        assert_eq!(is_shape(&wanted, shown), expected, "{wanted:?} {shown:?}");
    };
    check("1  nap  running  now  1.5s", "12 nap running 3s 812ms", true);
    check("1 nap running", "1 nap failed", false);
    check("a\n…\nz", "a\nb\nc\nz", true);
    check("a\n…\nz", "a\nb", false);
    check("a", "a\nb", false);
    check("1: canceled…", "7: canceled: signal 15", true);
    check("1: canceled…", "7: failed", false);
    check("", "a", false);
}
