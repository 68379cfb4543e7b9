//! What is wrong with a configuration file, shown where it is.

use std::fmt::Write;

/// A place in a file. Lines and columns count from 1; line 0 means the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// In characters.
    pub(crate) width: u32,
}

/// Something wrong, and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) place: Place,
    pub(crate) problem: String,
    pub(crate) hint: Option<String>,
}

/// Characters of a shown line, and of the carets under it.
const LINE_CHARS_MAX: usize = 120;
/// How far a word may be from another to be taken for it: 1 is the same word.
const NEAR: f64 = 0.75;

impl Fault {
    pub(crate) fn at(place: Place, problem: impl Into<String>) -> Fault {
        Fault { place, problem: problem.into(), hint: None }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Fault {
        Fault { hint: Some(hint.into()), ..self }
    }

    /// The fault, the line it is in, and carets under what is meant.
    pub(crate) fn show(&self, name: &str, text: &str) -> String {
        let Place { line, column, width } = self.place;
        let mut shown = match line {
            0 => format!("{name}: {}", self.problem),
            _ => format!("{name}:{line}:{column}: {}", self.problem),
        };
        let said = text.lines().nth((line as usize).wrapping_sub(1));
        if let Some(said) = said.filter(|said| said.chars().count() <= LINE_CHARS_MAX) {
            let before = column.saturating_sub(1) as usize;
            let rest = said.chars().count().saturating_sub(before).max(1);
            let carets = "^".repeat((width as usize).clamp(1, rest));
            let gutter = line.to_string();
            let margin = " ".repeat(gutter.len());
            let said = said.replace(|c: char| c.is_control(), " ");
            let before = " ".repeat(before.min(LINE_CHARS_MAX));
            let _ = write!(shown, "\n  {gutter} | {said}\n  {margin} | {before}{carets}");
        }
        if let Some(hint) = &self.hint {
            let _ = write!(shown, "\nhint: {hint}");
        }
        shown
    }
}

/// The word that was probably meant.
pub(crate) fn near<'a>(word: &str, known: &'a [String]) -> Option<&'a str> {
    let rated = known.iter().map(|one| (strsim::jaro_winkler(word, one), one));
    let best = rated.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= NEAR).then_some(best.1.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_points_at_what_is_wrong() {
        let place = Place { line: 2, column: 3, width: 4 };
        let fault = Fault::at(place, "there is no `cpsu`").hint("`cpus`?");
        insta::assert_snapshot!(fault.show("windlass.yaml", "up:\n  cpsu: 4\n"), @r"
        windlass.yaml:2:3: there is no `cpsu`
          2 |   cpsu: 4
            |   ^^^^
        hint: `cpus`?
        ");
        let whole = Fault::at(Place::default(), "too large");
        assert_eq!(whole.show("w", "x"), "w: too large");
    }

    /// A place may lie beyond the text, as where a document ends too early.
    #[test]
    fn no_place_is_too_far() {
        for (line, column, width) in [(1, 400, 9), (9, 1, 1), (u32::MAX, u32::MAX, u32::MAX)] {
            let fault = Fault::at(Place { line, column, width }, "x");
            assert!(fault.show("w", "abc").starts_with("w:"));
        }
    }

    #[test]
    fn the_near_word_is_found() {
        let known = ["data-dir", "cpus", "memory"].map(str::to_owned);
        for (word, meant) in [
            ("data_dir", Some("data-dir")),
            ("cpu", Some("cpus")),
            ("memroy", Some("memory")),
            ("x", None),
        ] {
            assert_eq!(near(word, &known), meant, "{word}");
        }
    }
}
