//! A page of the documentation on a terminal: the same text that is read on the web, folded to the
//! width of the screen.
//!
//! It knows the little Markdown that our pages are written in, and nothing more.

/// Between two columns of a table.
const GAP: usize = 2;
/// A longer word stands out of its column.
const WORD_MAX: usize = 40;

/// The page as lines of at most `width` characters, but for code, which is left as it is.
pub(crate) fn text(page: &str, width: usize) -> String {
    let mut out = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            for code in lines.by_ref().take_while(|line| !line.starts_with("```")) {
                out.push_str(format!("  {code}").trim_end());
                out.push('\n');
            }
        } else if let Some(title) = line.strip_prefix('#') {
            out.push_str(&plain(title.trim_start_matches('#').trim()).to_uppercase());
            out.push('\n');
        } else if line.starts_with('|') {
            let mut rows = vec![cells(line)];
            while let Some(row) = lines.next_if(|line| line.starts_with('|')) {
                rows.push(cells(row));
            }
            table(&rows, width, &mut out);
        } else if let Some(item) = line.strip_prefix("- ") {
            fold(&plain(item), "- ", "  ", width, &mut out);
        } else if line.starts_with("<!--") {
            // For whoever writes the page.
        } else if line.is_empty() {
            out.push('\n');
        } else {
            let mut paragraph = line.to_owned();
            while let Some(next) = lines.next_if(|line| is_text(line)) {
                paragraph.push(' ');
                paragraph.push_str(next);
            }
            fold(&plain(&paragraph), "", "", width, &mut out);
        }
    }
    out
}

fn is_text(line: &str) -> bool {
    !line.is_empty() && !["```", "#", "|", "- "].iter().any(|mark| line.starts_with(mark))
}

/// Without links and stress; backticks stay, for they tell names from words.
fn plain(text: &str) -> String {
    let text = text.replace("**", "");
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('[') {
        out.push_str(before);
        let link = after.split_once("](").and_then(|(words, target)| {
            let (_, rest) = target.split_once(')')?;
            (!words.contains('[') && !words.contains('`') || words.matches('`').count() == 2)
                .then_some((words, rest))
        });
        match link {
            Some((words, after)) => {
                out.push_str(words);
                rest = after;
            }
            None => {
                out.push('[');
                rest = after;
            }
        }
    }
    out + rest
}

/// Words in lines; the first line begins with `first`, the others with `then`.
fn fold(text: &str, first: &str, then: &str, width: usize, out: &mut String) {
    for (at, line) in folded(text, width.saturating_sub(then.len())).iter().enumerate() {
        let start = if at == 0 { first } else { then };
        out.push_str(format!("{start}{line}").trim_end());
        out.push('\n');
    }
}

fn folded(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("it begins with one");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn cells(line: &str) -> Vec<String> {
    let row = line.trim().trim_start_matches('|').trim_end_matches('|').replace("\\|", "\u{0}");
    row.split('|').map(|cell| plain(cell.trim()).replace('\u{0}', "|")).collect()
}

/// Columns side by side, each cell folded.
fn table(rows: &[Vec<String>], width: usize, out: &mut String) {
    let rows: Vec<_> = rows.iter().filter(|row| !row.iter().all(|cell| is_rule(cell))).collect();
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let widths = column_widths(&rows, columns, width);
    if widths.iter().sum::<usize>() + GAP * columns.saturating_sub(1) > width {
        return list(&rows, width, out);
    }
    for row in rows {
        let cells: Vec<_> =
            row.iter().zip(&widths).map(|(text, width)| folded(text, *width)).collect();
        for line in 0..cells.iter().map(Vec::len).max().unwrap_or(0) {
            let mut text = String::new();
            for (cell, width) in cells.iter().zip(&widths) {
                let part = cell.get(line).map_or("", String::as_str);
                text.push_str(&format!("{part:<pad$}", pad = width + GAP));
            }
            out.push_str(text.trim_end());
            out.push('\n');
        }
    }
}

/// A table that is too wide, row by row: the first cell, and the others under it by their names.
fn list(rows: &[&Vec<String>], width: usize, out: &mut String) {
    let Some((head, rows)) = rows.split_first() else { return };
    for row in rows {
        let mut cells = row.iter().zip(head.iter());
        let first = cells.next().map_or("", |(cell, _)| cell.as_str());
        out.push_str(&format!("{first}\n"));
        for (cell, name) in cells.filter(|(cell, _)| !cell.is_empty()) {
            fold(&format!("{name}: {cell}"), "    ", "      ", width, out);
        }
    }
}

/// What the widest cell of each needs; where that is too much the widest column gives way, down to
/// its longest word.
fn column_widths(rows: &[&Vec<String>], columns: usize, width: usize) -> Vec<usize> {
    let count = |text: &str| text.chars().count();
    let cells = |at: usize| rows.iter().filter_map(move |row| row.get(at));
    let mut widths: Vec<_> =
        (0..columns).map(|at| cells(at).map(|cell| count(cell)).max().unwrap_or(0)).collect();
    let word =
        |at| cells(at).flat_map(|cell| cell.split_whitespace()).map(count).max().unwrap_or(0);
    let words: Vec<_> = (0..columns).map(|at| word(at).min(WORD_MAX)).collect();
    while widths.iter().sum::<usize>() + GAP * columns.saturating_sub(1) > width {
        let widest =
            (0..columns).filter(|at| widths[*at] > words[*at]).max_by_key(|at| widths[*at]);
        let Some(widest) = widest else { break };
        widths[widest] -= 1;
    }
    widths
}

fn is_rule(cell: &str) -> bool {
    !cell.is_empty() && cell.chars().all(|c| matches!(c, '-' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_that_is_too_wide_is_a_list() {
        let page = "| key | variable | what |\n| --- | --- | --- |\n\
                    | `a` | `A_LONG_NAME` | one two three four five |\n| `b` |  | x |\n";
        insta::assert_snapshot!(text(page, 20), @r"
        `a`
            variable:
              `A_LONG_NAME`
            what: one two
              three four
              five
        `b`
            what: x
        ");
    }

    #[test]
    fn a_page_is_folded() {
        let page = "# Exit codes\n\nOne **sentence** that is long enough.\nAnother, see \
                    [the page](x.md).\n\n- an item that does not fit one line\n\n\
                    | code | meaning |\n| --- | --- |\n| 0 | done |\n| `812[3]` | a \\| b |\n\n\
                    ```sh\nwindlass ps   --all --with --a --line --that --is --long\n```\n";
        insta::assert_snapshot!(text(page, 30), @r"
        EXIT CODES

        One sentence that is long
        enough. Another, see the page.

        - an item that does not fit
          one line

        code      meaning
        0         done
        `812[3]`  a | b

          windlass ps   --all --with --a --line --that --is --long
        ");
    }
}
