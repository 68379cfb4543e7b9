//! Lines that are broken between words where the screen ends.

use super::table::width;

/// Adds `head` and the words behind it, on lines of at most `columns`, those after the first set in
/// by `inset`. A word that is longer than a line stands out.
pub(crate) fn hanging(text: &mut String, head: &str, inset: usize, words: &str, columns: usize) {
    let mut line = head.to_owned();
    let mut is_fresh = true;
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        let taken = shown(&line) + usize::from(!is_fresh) + shown(word);
        if taken > columns && !is_fresh {
            text.push_str(line.trim_end());
            text.push('\n');
            line = " ".repeat(inset);
            is_fresh = true;
        }
        if !is_fresh {
            line.push(' ');
        }
        line.push_str(word);
        is_fresh = false;
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
        check("\x1b[31mfailed\x1b[0m, on", "12:00  \x1b[31mfailed\x1b[0m,\n    on\n");
        check("\x1b[31mfail\x1b[0m, on", "12:00  \x1b[31mfail\x1b[0m, on\n");
        check("longer-than-all-of-it x", "12:00  longer-than-all-of-it\n    x\n");
        check("", "12:00\n");
    }
}
