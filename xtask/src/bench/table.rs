//! One table for all figures.

use std::fmt;

const HEAD: [&str; 6] = ["work", "windlass", "beside it", "ratio", "target", "met?"];

/// The rows so far.
#[derive(Default)]
pub(super) struct Table {
    rows: Vec<Row>,
}

/// One figure, beside another.
pub(super) struct Row {
    pub(super) work: String,
    pub(super) windlass: String,
    pub(super) beside: String,
    pub(super) ratio: Option<f64>,
    pub(super) target: String,
    /// None where there is no target.
    pub(super) met: Option<bool>,
    /// What is said below the table, for it would not fit in.
    pub(super) note: String,
}

impl Table {
    pub(super) fn add(&mut self, rows: Vec<Row>) {
        self.rows.extend(rows);
    }

    /// Whether every row with a target meets it.
    pub(super) fn is_met(&self) -> bool {
        self.rows.iter().all(|row| row.met != Some(false))
    }
}

impl Row {
    /// A figure of Windlass, so far without anything beside it.
    pub(super) fn new(work: impl Into<String>, windlass: impl Into<String>) -> Row {
        let (work, windlass) = (work.into(), windlass.into());
        let [beside, target, note] = Default::default();
        Row { work, windlass, beside, ratio: None, target, met: None, note }
    }

    /// A work that could not be measured: it counts as missed, and says why.
    pub(super) fn failed(work: impl Into<String>, error: &anyhow::Error) -> Row {
        let text = format!("{error:#}");
        let said: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        // The first line says what was tried, the second what was answered.
        let note = said[..said.len().min(2)].join(" ");
        Row { met: Some(false), note, ..Row::new(work, "not measured") }
    }

    /// What the figure stands beside.
    pub(super) fn beside(self, beside: impl Into<String>) -> Row {
        Row { beside: beside.into(), ..self }
    }

    /// What is wanted; `met` is none where a figure cannot be held against it.
    pub(super) fn target(self, target: impl Into<String>, met: Option<bool>) -> Row {
        Row { target: target.into(), met, ..self }
    }

    fn cells(&self) -> [String; 6] {
        let or_dash = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
        let met = match self.met {
            Some(true) => "yes",
            Some(false) => "NO",
            None => "–",
        };
        let ratio = self.ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
        let [work, windlass] = [&self.work, &self.windlass].map(String::clone);
        [work, windlass, or_dash(&self.beside), ratio, or_dash(&self.target), met.to_owned()]
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = vec![HEAD.map(str::to_owned)];
        lines.extend(self.rows.iter().map(Row::cells));
        let width = |column: usize| {
            lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0)
        };
        let widths: [usize; 6] = std::array::from_fn(width);
        for (number, line) in lines.iter().enumerate() {
            let cells: Vec<String> =
                line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
            writeln!(f, "| {} |", cells.join(" | "))?;
            if number == 0 {
                writeln!(f, "| {} |", widths.map(|width| "-".repeat(width)).join(" | "))?;
            }
        }
        let mut notes = self.rows.iter().filter(|row| !row.note.is_empty()).peekable();
        if notes.peek().is_some() {
            writeln!(f)?;
        }
        notes.try_for_each(|row| writeln!(f, "{}: {}", row.work, row.note))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(work: &str, met: Option<bool>) -> Row {
        let target = if met.is_some() { "at least 0.60" } else { "" };
        let row = Row::new(work, "2.00 s").beside("1.20 s").target(target, met);
        Row { ratio: Some(0.6), ..row }
    }

    #[test]
    fn columns_line_up_and_a_missing_target_is_a_dash() {
        let mut table = Table::default();
        table.add(vec![row("long work", Some(true)), row("w", None)]);
        let expected = "\
| work      | windlass | beside it | ratio | target        | met? |
| --------- | -------- | --------- | ----- | ------------- | ---- |
| long work | 2.00 s   | 1.20 s    | 0.60  | at least 0.60 | yes  |
| w         | 2.00 s   | 1.20 s    | 0.60  | –             | –    |
";
        assert_eq!(table.to_string(), expected);
        assert!(table.is_met());
    }

    #[test]
    fn what_could_not_be_measured_misses_and_says_why() {
        let error = anyhow::anyhow!("it failed: 2\n\nerror: no such flag\n\nusage");
        let mut table = Table::default();
        table.add(vec![Row::failed("w", &error)]);
        assert!(!table.is_met());
        assert!(table.to_string().ends_with("\n\nw: it failed: 2 error: no such flag\n"));
    }

    #[test]
    fn one_missed_target_misses() {
        let mut table = Table::default();
        table.add(vec![row("a", Some(true)), row("b", Some(false))]);
        assert!(!table.is_met());
    }
}
