//! Every command that a page shows is run as it stands there, in order, before a real node.
//!
//! A `sh` block has to succeed, line by line. A `console` block is what a terminal shows: a command
//! behind `$ `, and below it what it prints, which has to have that shape: numbers and times may
//! differ, and `…` stands for any lines, or for anything within one.

use std::path::PathBuf;
use std::process::Command;

use crate::node::{Home, Node};

const END: &str = "@@@ end of command ";
/// What is no command to a node: building it, and what a shell keeps.
const LEFT_OUT: [&str; 4] = ["cargo ", "windlass up", "export PATH=", "source <("];

#[test]
fn the_commands_of_the_readme_run() {
    page("README.md");
}

#[test]
fn the_commands_of_the_first_hour_run() {
    page("docs/guides/first-hour.md");
}

#[test]
fn the_commands_of_the_page_on_security_run() {
    page("docs/concepts/security.md");
}

#[test]
fn the_commands_of_the_reference_run() {
    for name in ["selectors", "output", "environment", "exit-codes"] {
        page(&format!("docs/reference/{name}.md"));
    }
}

fn page(name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let steps = steps(&text);
    if steps.is_empty() {
        return;
    }
    let mut node = Home::new().up();
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
    steps.retain(|step| !LEFT_OUT.iter().any(|word| step.command.starts_with(word)));
    steps
}

/// Runs all in one shell, for a page sets variables and looks at `$?`.
fn bash(node: &Node, steps: &[Step]) -> Vec<(i32, String)> {
    let mut script = String::from("exec 2>&1\ncode=0\n");
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
