//! Variables that look like settings and are none.
//!
//! A misspelt one would set nothing and say nothing. Programs have variables of their own whose
//! names begin alike, so only what is close to a setting is told, and never as a fault.

use std::ffi::OsString;

use super::places;
use super::tree::{TAKEN, Tree};

pub(super) const PREFIX: &str = "WINDLASS_";
/// Variables with a meaning that are no flags.
const OTHERS: [&str; 4] =
    [places::VARIABLE, crate::complete::VARIABLE, "WINDLASS_LOG", "WINDLASS_TOKEN"];
/// Letters that may differ, and in names so short that everything is near but one.
const EDITS_MAX: usize = 2;
const SHORT: usize = 6;
/// More are not told.
const TOLD_MAX: usize = 10;

/// What to say of variables that are probably misspelt.
pub(super) fn misspelt(tree: &Tree, names: impl Iterator<Item = OsString>) -> Vec<String> {
    let settings = tree.settings.iter().filter_map(|setting| setting.variable.as_deref());
    let known: Vec<&str> = settings.chain(OTHERS).collect();
    let names = names.filter_map(|name| name.into_string().ok());
    let mut unknown: Vec<String> = names
        .filter(|name| name.starts_with(PREFIX))
        .filter(|name| !known.contains(&name.as_str()) && !TAKEN.contains(&name.as_str()))
        .collect();
    unknown.sort();
    let told = unknown.iter().filter_map(|name| {
        Some(format!("${name} sets nothing; is ${} meant?", near(name, &known)?))
    });
    told.take(TOLD_MAX).collect()
}

fn near<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let rest = name.strip_prefix(PREFIX)?;
    let most = if rest.chars().count() <= SHORT { 1 } else { EDITS_MAX };
    let rated = known.iter().filter_map(|one| {
        let edits = strsim::damerau_levenshtein(rest, one.strip_prefix(PREFIX)?);
        (edits <= most).then_some((edits, *one))
    });
    rated.min().map(|(_, one)| one)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::cli::Cli;

    fn told(names: &[&str]) -> Vec<String> {
        misspelt(&Tree::of(&Cli::command()), names.iter().map(OsString::from))
    }

    #[test]
    fn the_near_variable_is_named() {
        assert_eq!(
            told(&["WINDLASS_RUN_CPU", "WINDLASS_UP_DATADIR", "WINDLASS_NOED"]),
            [
                "$WINDLASS_NOED sets nothing; is $WINDLASS_NODE meant?",
                "$WINDLASS_RUN_CPU sets nothing; is $WINDLASS_RUN_CPUS meant?",
                "$WINDLASS_UP_DATADIR sets nothing; is $WINDLASS_UP_DATA_DIR meant?",
            ]
        );
    }

    #[test]
    fn what_has_another_meaning_is_not_told() {
        assert!(told(&TAKEN).is_empty() && told(&OTHERS).is_empty());
        assert!(
            told(&["WINDLASS_UP_CPUS", "WINDLASS_TEST_PANIC", "WINDLASS_X", "PATH"]).is_empty()
        );
    }
}
