//! Holds `docs/reference/configuration.md` against the command line, whose flags it lists; and when settings are not
//! looked for at all.

use std::ffi::OsString;
use std::fmt::Write;

use clap::CommandFactory;

use super::tree::{Setting, Takes, Tree};
use super::{is_all_said, places};
use crate::cli::Cli;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/configuration.md");
/// What follows is made from the code.
const MARK: &str = "<!-- From here on this page is made from the code. -->\n";
/// Set to write the page anew.
const WRITE: &str = "WINDLASS_TEST_WRITE";

#[test]
fn the_page_lists_every_setting() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (written, _) = page.split_once(MARK).expect("the page has the mark");
    let wanted = format!("{written}{MARK}{}", tables(&Tree::of(&Cli::command())));
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(PAGE, &wanted).unwrap();
    } else {
        assert!(
            page == wanted,
            "the page is old: `{WRITE}=1 cargo test -p windlass the_page_lists` writes it anew"
        );
    }
}

fn tables(tree: &Tree) -> String {
    let mut text = String::new();
    let mut paths = vec![Vec::new()];
    paths.extend(tree.sections.iter().cloned());
    for path in paths {
        let of_path = |setting: &&Setting| setting.path == path && !setting.hidden;
        let settings: Vec<_> = tree.settings.iter().filter(of_path).collect();
        if settings.is_empty() {
            continue;
        }
        let title = match path.is_empty() {
            true => "At the top".to_owned(),
            false => format!("`{}`", path.join(": ")),
        };
        let _ = write!(text, "\n## {title}\n\n| key | value | default | variable | |\n");
        text.push_str("| --- | --- | --- | --- | --- |\n");
        for setting in settings {
            let value = match setting.takes {
                Takes::Switch => "`true` or `false`".to_owned(),
                Takes::Count => "a number".to_owned(),
                Takes::One => format!("`{}`", setting.value_name),
                Takes::Many => format!("list of `{}`", setting.value_name),
            };
            let default = match &setting.default[..] {
                [] => String::new(),
                [value] if value.is_empty() => String::new(),
                values => format!("`{}`", values.join(" ")),
            };
            let variable = setting.variable.as_ref().map(|name| format!("`{name}`"));
            let key = match &setting.alias {
                Some(alias) => format!("`{}`, `{alias}`", setting.key),
                None => format!("`{}`", setting.key),
            };
            let variable = variable.unwrap_or_default();
            let help = setting.help.replace('|', "\\|");
            let value = value.replace('|', "\\|");
            let _ = writeln!(text, "| {key} | {value} | {default} | {variable} | {help} |");
        }
    }
    text
}

#[test]
fn a_line_is_read_alone_only_where_nothing_else_can_say_anything() {
    let there = tempfile::NamedTempFile::new().unwrap();
    let file = |path: &std::path::Path, named| places::File { path: path.to_owned(), named };
    let missing = std::path::Path::new("/nonexistent/windlass.yaml");
    let check = |line: &str, variables: &[&str], files: &[places::File], expected| {
        let words: Vec<_> = line.split(' ').map(OsString::from).collect();
        let variables = variables.iter().map(OsString::from);
        assert_eq!(is_all_said(&words, variables, files), expected, "{line} {files:?}");
    };
    let none = [file(missing, false)];
    check("windlass run --cpus 1 --name nap -- sh -c true", &["PATH", "HOME"], &none, true);
    check("windlass ps", &[], &[], true);
    for line in ["windlass -c f ps", "windlass ps -vc f", "windlass ps --config=f"] {
        check(line, &[], &none, false);
    }
    // Also one that sets nothing: it may be misspelt, and is told then.
    check("windlass ps", &["WINDLASS_NODES"], &none, false);
    check("windlass ps", &[], &[file(there.path(), false)], false);
    check("windlass ps", &[], &[file(missing, true)], false);
}
