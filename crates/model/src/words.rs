//! The words of a command as a line for a shell, so that what is shown can be pasted back.

/// Writes words as a shell reads them: `sh -c 'echo oops >&2; exit 3'`. The line has no character
/// that ends it or moves the cursor; what is such a one is written `$'\n'`, which bash, zsh and
/// newer plain shells read.
pub fn shell_line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for word in words {
        // An assignment would be taken for one before the command.
        let is_first = line.is_empty();
        if !is_first {
            line.push(' ');
        }
        line.push_str(&quoted(word, is_first));
    }
    line
}

fn quoted(word: &str, is_first: bool) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "@%_-+:,./".contains(c);
    let is_plain = |c: char| is_plain(c) || (c == '=' && !is_first);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    if !word.chars().any(char::is_control) {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut text = String::from("$'");
    for c in word.chars() {
        match c {
            '\'' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            // In octal, and of three digits: what follows is not taken for a part of it.
            c if c.is_control() => {
                let mut bytes = [0; 4];
                let bytes = c.encode_utf8(&mut bytes).bytes();
                bytes.for_each(|byte| text.push_str(&format!("\\{byte:03o}")));
            }
            c => text.push(c),
        }
    }
    text.push('\'');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: [&[&str]; 6] = [
        &["sh", "-c", "echo oops >&2; exit 3"],
        &["printf", "%s", "it's", "", "~", "$HOME", "a\\b", "*", "#x", "über"],
        &["env", "A=1", "B=x y", "sh", "-c", "echo \"$B\""],
        &["A=1", "--", "!x", "{a,b}", "a=~", "<", "[x]"],
        &["printf", "a\nb\tc'd\\e\u{1b}[31m7\u{85}"],
        &["./make", "--jobs=4", "user@host:/tmp/x,y", "50%"],
    ];

    #[test]
    fn only_what_needs_it_is_quoted() {
        let lines = WORDS.map(|words| shell_line(words.iter().copied()));
        assert_eq!(lines[0], "sh -c 'echo oops >&2; exit 3'");
        assert_eq!(lines[1], r"printf %s 'it'\''s' '' '~' '$HOME' 'a\b' '*' '#x' über");
        assert_eq!(lines[2], r#"env A=1 'B=x y' sh -c 'echo "$B"'"#);
        assert_eq!(lines[3], "'A=1' -- '!x' '{a,b}' 'a=~' '<' '[x]'");
        assert_eq!(lines[4], r"printf $'a\nb\tc\'d\\e\033[31m7\302\205'");
        assert_eq!(lines[5], "./make --jobs=4 user@host:/tmp/x,y 50%");
    }

    /// A real shell has the last word on what a line means.
    #[test]
    fn a_shell_reads_the_same_words() {
        for words in WORDS {
            let line = shell_line(words.iter().copied());
            let script = format!("printf '%s\\0' {line}");
            #[expect(clippy::disallowed_methods, reason = "a test asks the shell")]
            let output = std::process::Command::new("bash").args(["-c", &script]).output().unwrap();
            let read = String::from_utf8(output.stdout).unwrap();
            let read: Vec<&str> = read.split_terminator('\0').collect();
            assert_eq!(read, words, "{line}");
        }
    }
}
