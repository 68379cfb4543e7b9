//! Tables without borders for people. Programs are given `--json`, so this may change.

use comfy_table::{Cell, CellAlignment, Row, presets};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::color;

/// Where nobody says how wide the screen is.
const WIDTH: usize = 80;
/// Between two columns.
const GAP: u16 = 2;
/// The part of the screen that a name may take, and what it has on the smallest.
const NAME_PART: usize = 5;
const NAME_WIDTH_MIN: usize = 16;

/// How a column's cells stand.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// Rows under one heading; a cell of the last column is cut where the line would not fit.
pub(crate) struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
    /// The column of states.
    states: Option<usize>,
}

impl Table {
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new(), states: None }
    }

    /// Colors the states in this column where colors are wanted.
    pub(crate) fn states_in(mut self, column: usize) -> Table {
        self.states = Some(column);
        self
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// The lines, each with its end.
    pub(crate) fn render(self) -> String {
        let colored = color::on_stdout();
        self.render_colored(colored)
    }

    fn render_colored(mut self, colored: bool) -> String {
        self.cut_last_column();
        let mut table = comfy_table::Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(Row::from(
            self.columns.iter().map(|(name, align)| cell(name, *align)).collect::<Vec<_>>(),
        ));
        for row in &self.rows {
            let cells = row.iter().zip(&self.columns).map(|(text, (_, align))| cell(text, *align));
            table.add_row(cells.collect::<Vec<_>>());
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        let states = self.states.filter(|_| colored).map(|column| (column, self.start(column)));
        let lines = table.lines().enumerate().map(|(at, line)| {
            let line = line.trim_end();
            match (states, at.checked_sub(1).and_then(|row| self.rows.get(row))) {
                (Some((column, start)), Some(row)) => painted(line, start, &row[column]),
                _ => line.to_owned(),
            }
        });
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// Columns of the screen before a column of the table.
    fn start(&self, column: usize) -> usize {
        (0..column)
            .map(|at| {
                let cells = self.rows.iter().map(|row| width(&row[at]));
                cells.max().unwrap_or(0).max(width(self.columns[at].0)) + usize::from(GAP)
            })
            .sum()
    }

    fn cut_last_column(&mut self) {
        let Some(last) = self.columns.len().checked_sub(1) else { return };
        let room = screen_width().saturating_sub(self.start(last)).max(8);
        for row in &mut self.rows {
            row[last] = cut(&row[last], room);
        }
    }
}

/// The line with the state that begins at column `start` of the screen in its tone. The escapes
/// have no place in a cell, where they would count as width.
fn painted(line: &str, start: usize, state: &str) -> String {
    let mut before = 0;
    let begins = |(_, c): &(usize, char)| {
        let found = before >= start;
        before += c.width().unwrap_or(0);
        found
    };
    let Some((at, _)) = line.char_indices().find(begins) else { return line.to_owned() };
    match line[at..].strip_prefix(state) {
        Some(rest) => {
            format!("{}{}{rest}", &line[..at], color::paint(state, color::of_state(state)))
        }
        None => line.to_owned(),
    }
}

/// How many columns of a screen the text takes: wide characters take two.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// How many columns a name is given on a screen of so many: what follows it matters too.
pub(crate) fn name_width(screen: usize) -> usize {
    (screen / NAME_PART).max(NAME_WIDTH_MIN)
}

/// At most `room` columns of a screen on one line; what is cut off shows as `…`.
pub(crate) fn cut(text: &str, room: usize) -> String {
    let (mut kept, mut taken) = (String::new(), 0);
    // What would be left with `…` behind it.
    let mut short = 0;
    for c in text.chars().map(plain_char) {
        taken += c.width().unwrap_or(0);
        if taken > room {
            kept.truncate(short);
            if room > 0 {
                kept.push('…');
            }
            return kept;
        }
        kept.push(c);
        if taken < room {
            short = kept.len();
        }
    }
    kept
}

/// One line that cannot steer the terminal, whatever somebody else wrote into it.
pub(crate) fn plain(text: &str) -> String {
    text.chars().map(plain_char).collect()
}

fn plain_char(c: char) -> char {
    if c.is_control() { ' ' } else { c }
}

fn cell(text: &str, align: Align) -> Cell {
    Cell::new(text).set_alignment(match align {
        Align::Left => CellAlignment::Left,
        Align::Right => CellAlignment::Right,
    })
}

/// How wide the screen is, in characters.
pub(crate) fn screen_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(WIDTH)
}

/// Lines of the screen; `None` where stdout is none.
pub(crate) fn screen_height() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(usize::from(size.ws_row)).filter(|lines| *lines > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_fit() {
        let mut table =
            Table::new(&[("N", Align::Right), ("NAME", Align::Left), ("X", Align::Left)]);
        table.row(vec!["1".into(), "a".into(), "y".repeat(200)]);
        table.row(vec!["100".into(), "long".into(), "two\nlines".into()]);
        let text = table.render();
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "  N  NAME  X");
        assert_eq!(lines[2], "100  long  two lines");
        assert!(lines[1].starts_with("  1  a     yyy") && lines[1].ends_with("y…"), "{text}");
    }

    #[test]
    fn only_states_are_colored_and_columns_still_line_up() {
        let table = || {
            let columns = [("N", Align::Right), ("STATE", Align::Left), ("X", Align::Left)];
            let mut table = Table::new(&columns).states_in(1);
            table.row(vec!["1".into(), "failed".into(), "failed".into()]);
            table.row(vec!["2".into(), "running".into(), "x".into()]);
            table
        };
        let colored = table().render_colored(true);
        assert!(colored.contains("1  \x1b[31mfailed\x1b[0m   failed\n"), "{colored:?}");
        let plain = table().render_colored(false);
        assert!(!plain.contains('\x1b'));
        let without = |text: &str| {
            ["\x1b[31m", "\x1b[36m", "\x1b[0m"]
                .iter()
                .fold(text.to_owned(), |text, escape| text.replace(escape, ""))
        };
        assert_eq!(without(&colored), plain);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(cut("夜間の集計", 10), "夜間の集計");
        assert_eq!(cut("夜間の集計", 9), "夜間の集…");
        assert_eq!(cut("夜間の集計", 8), "夜間の…");
        assert_eq!((cut("abc", 2), cut("abc", 0)), ("a…".to_owned(), String::new()));
        let mut table =
            Table::new(&[("NAME", Align::Left), ("STATE", Align::Left), ("X", Align::Left)])
                .states_in(1);
        table.row(vec!["夜間".into(), "failed".into(), "集".repeat(99)]);
        table.row(vec!["night".into(), "failed".into(), "x".into()]);
        let text = table.render_colored(true);
        assert_eq!(text.matches("\x1b[31mfailed\x1b[0m").count(), 2, "{text}");
        let plain = text.replace("\x1b[31m", "").replace("\x1b[0m", "");
        assert!(plain.lines().all(|line| width(line) <= 80), "{plain}");
    }

    #[test]
    fn a_wide_screen_shows_more_of_a_name() {
        assert_eq!([40, 80, 100, 200].map(name_width), [16, 16, 20, 40]);
    }

    #[test]
    fn a_table_without_rows_is_its_heading() {
        assert_eq!(Table::new(&[("A", Align::Left), ("B", Align::Left)]).render(), "A  B\n");
    }
}
