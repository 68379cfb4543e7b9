//! Tables without borders for people. Programs are given `--json`, so this may change.

use comfy_table::{Cell, CellAlignment, Row, presets};

/// Where nobody says how wide the screen is.
const WIDTH: usize = 80;
/// Between two columns.
const GAP: u16 = 2;

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
}

impl Table {
    pub(crate) fn new(columns: &[(&'static str, Align)]) -> Table {
        Table { columns: columns.to_vec(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.columns.len());
        self.rows.push(cells);
    }

    /// The lines, each with its end.
    pub(crate) fn render(mut self) -> String {
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
        table.lines().map(|line| format!("{}\n", line.trim_end())).collect()
    }

    fn cut_last_column(&mut self) {
        let Some(last) = self.columns.len().checked_sub(1) else { return };
        let width = |text: &str| text.chars().count();
        let before: usize = (0..last)
            .map(|at| {
                let cells = self.rows.iter().map(|row| width(&row[at]));
                cells.max().unwrap_or(0).max(width(self.columns[at].0)) + usize::from(GAP)
            })
            .sum();
        let room = screen_width().saturating_sub(before).max(8);
        for row in &mut self.rows {
            row[last] = cut(&row[last], room);
        }
    }
}

/// At most `room` characters on one line; what is cut off shows as `…`.
pub(crate) fn cut(text: &str, room: usize) -> String {
    let mut chars = text.chars().map(plain_char);
    let mut kept: String = chars.by_ref().take(room).collect();
    if chars.next().is_some() {
        kept.pop();
        kept.push('…');
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

fn screen_width() -> usize {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
    size.map(|size| usize::from(size.ws_col)).filter(|columns| *columns > 0).unwrap_or(WIDTH)
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
    fn a_table_without_rows_is_its_heading() {
        assert_eq!(Table::new(&[("A", Align::Left), ("B", Align::Left)]).render(), "A  B\n");
    }
}
