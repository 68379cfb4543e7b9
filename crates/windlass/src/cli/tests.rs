//! The command line as a whole: consistent, documented, and its help as it was agreed on.
//!
//! `INSTA_UPDATE=always cargo test -p windlass --bins` writes the page and the snapshots anew.

use std::ffi::OsString;

use clap::{Command, CommandFactory, Parser};

use super::{Cli, alone};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/command-line.md");

const SCHEMAS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/schemas");

const ABOUT: &str = "\
# The command line

Made from the code: each command as `windlass help COMMAND` explains it.
What stands under \"Every command\" is said once, here at the top.
";

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn help_lines_are_short_and_have_no_period() {
    for command in Cli::command().get_subcommands() {
        let about = command.get_about().unwrap().to_string();
        assert!(about.len() < 60 && !about.ends_with('.'), "{about}");
    }
}

#[test]
fn a_run_that_is_read_for_itself_is_the_one_that_all_commands_read() {
    let words = |line: &str| line.split(' ').map(OsString::from).collect::<Vec<_>>();
    for line in [
        "windlass run -- /bin/true",
        "windlass -N 10.0.0.1:7400 run -d --array 1-4%2 --label a=b --cpus 0.5 -- ps run",
        "windlass --color never -v -N alpha:7400 run -d --json -- sh --help",
    ] {
        let read = alone(&words(line)).unwrap_or_else(|| panic!("{line}"));
        let all = Cli::try_parse_from(words(line)).unwrap();
        assert_eq!(format!("{read:?}"), format!("{all:?}"), "{line}");
    }
    for line in ["windlass ps", "windlass logs run", "windlass run --what", "windlass run --help"] {
        assert!(alone(&words(line)).is_none(), "{line}");
    }
}

#[test]
fn no_topic_hides_a_command() {
    for topic in crate::commands::help::topic_names() {
        assert!(Cli::command().find_subcommand(topic).is_none(), "{topic}");
    }
}

#[test]
fn the_page_is_what_the_code_says() {
    let page = page();
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(PAGE, &page).unwrap();
    }
    let written = std::fs::read_to_string(PAGE).unwrap();
    assert!(written == page, "write it anew: INSTA_UPDATE=always cargo test -p windlass --bins");
}

#[test]
fn every_command_that_prints_json_has_a_schema() {
    let schemas = api::json::schemas();
    let mut without = Vec::new();
    each(&mut |path, command| {
        // `node` alone is `node ls`.
        let leaf = command.get_subcommands().next().is_none();
        let json = command.get_arguments().any(|arg| arg.get_long() == Some("json"));
        let words = path.trim_start_matches("windlass").trim_start();
        if leaf && json && !schemas.iter().any(|schema| schema.command == words) {
            without.push(words.to_owned());
        }
    });
    assert!(without.is_empty(), "no schema in `api::json::schemas`: {without:?}");
    for schema in schemas {
        let path = format!(
            "{SCHEMAS}/{}.json",
            schema.command.replace([' ', '-'], "-").replace("---", "-")
        );
        let text = format!("{:#}\n", schema.schema);
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(&path, &text).unwrap();
        }
        let written = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            written == text,
            "{path} is old: INSTA_UPDATE=always cargo test -p windlass --bins"
        );
    }
}

#[test]
fn the_short_help_of_each_command_is_one_screen() {
    let mut all = String::new();
    each(&mut |path, command| {
        let help = command.render_help().to_string();
        let lines = help.lines().count();
        // `run` has the most to say; it still fits a window of today.
        assert!(lines <= 60, "`{path} -h` has {lines} lines");
        all.push_str(&format!("$ {path} -h\n{}\n\n", own(&help)));
    });
    insta::assert_snapshot!("short_help", all);
}

fn page() -> String {
    let mut page = ABOUT.to_owned();
    each(&mut |path, command| {
        let help = command.render_long_help().to_string();
        let help = if path == "windlass" { trimmed(&help) } else { own(&help) };
        page.push_str(&format!("\n## `{path}`\n\n```text\n{help}\n```\n"));
    });
    page
}

/// Visits every command that is shown, parents first.
fn each(visit: &mut impl FnMut(&str, &mut Command)) {
    fn walk(command: &mut Command, path: &str, visit: &mut impl FnMut(&str, &mut Command)) {
        visit(path, command);
        for sub in command.get_subcommands_mut().filter(|sub| !sub.is_hide_set()) {
            let path = format!("{path} {}", sub.get_name());
            walk(sub, &path, visit);
        }
    }
    let mut root = Cli::command().term_width(80);
    root.build();
    walk(&mut root, "windlass", visit);
}

/// Without what is the same everywhere.
fn own(help: &str) -> String {
    let mut shown = String::new();
    let mut skipped = false;
    for line in help.lines() {
        match line {
            "Every command:" => skipped = true,
            // The next heading, or what comes after the help.
            _ if !line.is_empty() && !line.starts_with(' ') => skipped = false,
            _ => {}
        }
        if !skipped {
            shown.push_str(line);
            shown.push('\n');
        }
    }
    trimmed(&shown)
}

fn trimmed(help: &str) -> String {
    help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n").trim_end().to_owned()
}
