//! Lines that are broken between words where the screen ends.

use super::table::width;

/// Adds `head` and the words behind it, on lines of at most `columns`, those after the first set in
/// by `inset`. A word that is longer than a line stands out.
pub(crate) fn hanging(text: &mut String, head: &str, inset: usize, words: &str, columns: usize) {
    let mut line = head.to_owned();
    let mut is_fresh = true;
    // Blanks before the next word; two of them part more than one does.
    let mut blanks = 0;
    for (at, word) in words.split(' ').enumerate() {
        blanks += usize::from(at > 0);
        if word.is_empty() {
            continue;
        }
        let taken = shown(&line) + blanks + shown(word);
        if is_fresh {
            blanks = 0;
        } else if taken > columns {
            text.push_str(line.trim_end());
            text.push('\n');
            line = " ".repeat(inset);
            blanks = 0;
        }
        line.extend(std::iter::repeat_n(' ', blanks));
        line.push_str(word);
        is_fresh = false;
        blanks = 0;
    }
    text.push_str(line.trim_end());
    text.push('\n');
}

/// The columns that it takes, without what only colors it: `\x1b[31m`.
fn shown(text: &str) -> usize {
    let mut pieces = text.split('\x1b');
    let plain = pieces.next().map_or(0, width);
    plain
        + pieces
            .map(|piece| piece.split_once('m').map_or(0, |(_, rest)| width(rest)))
            .sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_between_words() {
        let check = |words: &str, expected: &str| {
            let mut text = String::new();
            hanging(&mut text, "12:00  ", 4, words, 16);
            assert_eq!(text, expected, "{words}");
        };
        check("one two", "12:00  one two\n");
        check("one two  three", "12:00  one two\n    three\n");
        check("  a  b   c d", "12:00  a  b   c\n    d\n");
        check("\x1b[31mfailed\x1b[0m, on", "12:00  \x1b[31mfailed\x1b[0m,\n    on\n");
        check("\x1b[31mfail\x1b[0m, on", "12:00  \x1b[31mfail\x1b[0m, on\n");
        check("longer-than-all-of-it x", "12:00  longer-than-all-of-it\n    x\n");
        check("", "12:00\n");
    }
}
