//! Rust source without its comments and texts, and test code told from the rest.
//!
//! A rule that looks for `dbg!` must not find it in a comment or in its own list of words.
//! This is a scanner of some ninety lines and not a parser: it knows where comments, texts and characters
//! begin and end, and nothing more. Lines stay where they were.

/// The source with comments and the insides of texts replaced by blanks.
pub(crate) fn blanked(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = end_of_token(&chars, at);
        let is_code = end == at;
        let end = end.max(at + 1);
        for &c in &chars[at..end] {
            out.push(if is_code || c == '\n' { c } else { ' ' });
        }
        at = end;
    }
    out
}

/// Blanked source in two halves of equal lines: what ships, and what stands under `#[cfg(test)]`.
pub(crate) fn split_tests(blanked: &str) -> (String, String) {
    let mut shipped = String::with_capacity(blanked.len());
    let mut tests = String::with_capacity(blanked.len());
    let mut rest = blanked;
    while let Some(start) =
        ["#[cfg(test)]", "#[cfg(all(test"].iter().filter_map(|mark| rest.find(mark)).min()
    {
        let end = start + end_of_item(&rest[start..]);
        keep_first(&rest[..start], &mut shipped, &mut tests);
        keep_first(&rest[start..end], &mut tests, &mut shipped);
        rest = &rest[end..];
    }
    keep_first(rest, &mut shipped, &mut tests);
    (shipped, tests)
}

/// Whether `at` in `text` is the start of a word.
pub(crate) fn starts_word(text: &str, at: usize) -> bool {
    !text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_')
}

/// The word at the start of the text.
pub(crate) fn leading_word(text: &str) -> &str {
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    &text[..end.unwrap_or(text.len())]
}

fn keep_first(part: &str, kept: &mut String, other: &mut String) {
    kept.push_str(part);
    other.extend(part.chars().filter(|&c| c == '\n'));
}

/// The length of an item: up to its closing brace, or to its semicolon.
fn end_of_item(text: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The end of the comment, text or character that begins at `at`; `at` itself where code goes on.
fn end_of_token(chars: &[char], at: usize) -> usize {
    let next = chars.get(at + 1).copied();
    match chars[at] {
        '/' if next == Some('/') => position(chars, at, '\n'),
        '/' if next == Some('*') => end_of_block_comment(chars, at),
        '"' => end_of_text(chars, at),
        '\'' => end_of_character(chars, at),
        'r' if at == 0
            || !is_word(chars[at - 1])
            || (chars[at - 1] == 'b' || chars[at - 1] == 'c') =>
        {
            end_of_raw_text(chars, at)
        }
        _ => at,
    }
}

fn end_of_block_comment(chars: &[char], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => (depth, at) = (depth + 1, at + 2),
            ('*', Some('/')) if depth == 1 => return at + 2,
            ('*', Some('/')) => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

fn end_of_text(chars: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// A raw text, or `at` where the `r` only begins a word (or a raw identifier).
fn end_of_raw_text(chars: &[char], start: usize) -> usize {
    let hashes = chars[start + 1..].iter().take_while(|&&c| c == '#').count();
    let open = start + 1 + hashes;
    if chars.get(open) != Some(&'"') {
        return start;
    }
    let mut at = open + 1;
    while at < chars.len() {
        let closes = chars[at] == '"'
            && chars[at + 1..].iter().take(hashes).filter(|&&c| c == '#').count() == hashes;
        at += 1;
        if closes {
            return at + hashes;
        }
    }
    chars.len()
}

/// A character, or `at` where the quote begins a lifetime.
fn end_of_character(chars: &[char], at: usize) -> usize {
    match (chars.get(at + 1), chars.get(at + 2)) {
        (Some('\\'), Some(_)) => (position(chars, at + 3, '\'') + 1).min(chars.len()),
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

fn position(chars: &[char], from: usize, wanted: char) -> usize {
    let found = chars.iter().skip(from).position(|&c| c == wanted);
    found.map_or(chars.len(), |offset| from + offset)
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) {
        assert_eq!(blanked(source), expected, "for {source:?}");
    }

    #[test]
    fn comments_are_blanked() {
        check("a // b\nc", "a     \nc");
        check("a /* b /* c */ d */ e", "a                   e");
    }

    #[test]
    fn texts_and_characters_are_blanked() {
        check(r#"a("b\"c")d"#, "a(      )d");
        check("r#\"x\"y\"# z", "         z");
        check("br\"x\" z", "b     z");
        check(r"'\'' '/' b", "         b");
    }

    #[test]
    fn lifetimes_and_words_with_r_stay() {
        check("fn f<'a>(r: &'a str) {}", "fn f<'a>(r: &'a str) {}");
        check("r#type var", "r#type var");
    }

    #[test]
    fn tests_are_told_from_what_ships() {
        let (shipped, tests) = split_tests("a();\n#[cfg(test)]\nmod tests {\n b();\n}\nc();\n");
        assert!(shipped.contains("a()") && shipped.contains("c()") && !shipped.contains("b()"));
        assert!(tests.contains("b()") && !tests.contains("c()"));
        assert_eq!(shipped.lines().position(|line| line == "c();"), Some(5));
        assert_eq!(tests.lines().position(|line| line == " b();"), Some(3));
    }
}
