//! Cuts a list into its items while its bytes come in, whatever its length.
//!
//! Pure. It holds one item at a time, and it is exact about where each begins, so that reading can
//! start again at any of them.

use model::ItemsKind;
use serde::de::IgnoredAny;

/// Bytes of one item: Linux takes 128 KiB for a variable with its name.
pub(super) const ITEM_BYTES_MAX: usize = 120_000;
/// Bytes of one item as it is written; a text in JSON may take six for one.
const RAW_BYTES_MAX: usize = 6 * ITEM_BYTES_MAX + 2;

/// What is wrong with a list.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    #[error("is longer than {ITEM_BYTES_MAX} bytes")]
    Long,
    #[error("is no UTF-8 text")]
    NoText,
    #[error("has a NUL byte")]
    Nul,
    #[error("is no valid JSON: {0}")]
    NoJson(String),
    #[error("the list is no JSON list: expected {0}")]
    NoList(&'static str),
}

/// Where a list is cut.
#[derive(Debug)]
pub(super) struct Splitter {
    kind: ItemsKind,
    place: Place,
    /// How many bytes were taken.
    at: u64,
    /// Where the item at hand begins.
    start: u64,
    item: Vec<u8>,
    /// `item` was given out.
    given: bool,
}

/// ```text
///  Before ─[─> First ─────> Item ──> After ─,─> Next ──> Item
///                └──────────────]──────┴──> End
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before the list.
    Before,
    /// Behind its bracket.
    First,
    /// Behind a comma, or where reading starts again.
    Next,
    /// In an item, in so many brackets; in a text, behind a backslash.
    Item { depth: u32, text: bool, escaped: bool },
    /// Behind an item.
    After,
    /// Behind the list.
    End,
}

const ITEM: Place = Place::Item { depth: 0, text: false, escaped: false };

impl Splitter {
    /// At the beginning of a list.
    pub(super) fn new(kind: ItemsKind) -> Splitter {
        let place = match kind {
            ItemsKind::Lines => Place::Next,
            ItemsKind::Json => Place::Before,
        };
        Splitter { kind, place, at: 0, start: 0, item: Vec::new(), given: true }
    }

    /// At the beginning of an item.
    pub(super) fn at(kind: ItemsKind, offset: u64) -> Splitter {
        Splitter { place: Place::Next, at: offset, start: offset, ..Splitter::new(kind) }
    }

    /// Takes bytes until an item is whole; says whether one is.
    pub(super) fn take(&mut self, bytes: &mut &[u8]) -> Result<bool, Problem> {
        if std::mem::take(&mut self.given) {
            self.item.clear();
            self.start = self.at;
        }
        match self.kind {
            ItemsKind::Lines => self.take_line(bytes),
            ItemsKind::Json => self.take_json(bytes),
        }
    }

    /// There are no more bytes; says whether an item is whole by that.
    pub(super) fn finish(&mut self) -> Result<bool, Problem> {
        match (self.kind, self.place) {
            (ItemsKind::Lines, _) => {
                let rest = !self.given && self.at > self.start;
                self.given = true;
                Ok(rest)
            }
            (ItemsKind::Json, Place::End) => Ok(false),
            (ItemsKind::Json, Place::Before) => Err(Problem::NoList("`[`")),
            (ItemsKind::Json, _) => Err(Problem::NoList("`]` at its end")),
        }
    }

    /// Where the item begins.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// The item as its element is given it.
    pub(super) fn text(&self) -> Result<String, Problem> {
        let text = match (self.kind, self.item.first()) {
            (ItemsKind::Lines, _) => {
                let line = self.item.strip_suffix(b"\r").unwrap_or(&self.item);
                std::str::from_utf8(line).map_err(|_| Problem::NoText)?.to_owned()
            }
            (ItemsKind::Json, Some(b'"')) => from_json(&self.item)?,
            (ItemsKind::Json, _) => {
                let IgnoredAny = from_json(&self.item)?;
                std::str::from_utf8(&self.item).map_err(|_| Problem::NoText)?.to_owned()
            }
        };
        match text.len() {
            ..=ITEM_BYTES_MAX if text.contains('\0') => Err(Problem::Nul),
            ..=ITEM_BYTES_MAX => Ok(text),
            _ => Err(Problem::Long),
        }
    }

    fn take_line(&mut self, bytes: &mut &[u8]) -> Result<bool, Problem> {
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        self.keep(line)?;
        self.at += line.len() as u64 + u64::from(end.is_some());
        self.given = end.is_some();
        *bytes = rest.get(1..).unwrap_or_default();
        Ok(end.is_some())
    }

    fn take_json(&mut self, bytes: &mut &[u8]) -> Result<bool, Problem> {
        while let Some((&byte, rest)) = bytes.split_first() {
            // What ends a number belongs to the list and is looked at again.
            if self.ends_bare_item(byte) {
                self.place = Place::After;
                self.given = true;
                return Ok(true);
            }
            *bytes = rest;
            self.at += 1;
            if self.step(byte)? {
                self.given = true;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes one byte; says whether an item is whole with it.
    fn step(&mut self, byte: u8) -> Result<bool, Problem> {
        let blank = matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.place = match (self.place, byte) {
            (Place::Item { .. }, _) => return self.step_in_item(byte),
            (place, _) if blank => place,
            (Place::Before, b'[') => Place::First,
            (Place::Before, _) => return Err(Problem::NoList("`[`")),
            (Place::First | Place::After, b']') => Place::End,
            (Place::After, b',') => Place::Next,
            (Place::After, _) => return Err(Problem::NoList("`,` or `]` behind an item")),
            (Place::Next, b',' | b']') => return Err(Problem::NoList("an item behind `,`")),
            (Place::First, b',') => return Err(Problem::NoList("an item or `]` behind `[`")),
            (Place::First | Place::Next, _) => {
                self.start = self.at - 1;
                self.place = ITEM;
                return self.step_in_item(byte);
            }
            (Place::End, _) => return Err(Problem::NoList("nothing behind its `]`")),
        };
        Ok(false)
    }

    fn step_in_item(&mut self, byte: u8) -> Result<bool, Problem> {
        let Place::Item { depth, text, escaped } = &mut self.place else { return Ok(false) };
        let mut whole = false;
        match (*text, byte) {
            (true, _) if *escaped => *escaped = false,
            (true, b'\\') => *escaped = true,
            (true, b'"') => {
                *text = false;
                whole = *depth == 0;
            }
            (true, _) => {}
            (false, b'"') => *text = true,
            (false, b'[' | b'{') => *depth += 1,
            (false, b']' | b'}') => {
                *depth = depth.saturating_sub(1);
                whole = *depth == 0;
            }
            (false, _) => {}
        }
        self.keep(&[byte])?;
        if whole {
            self.place = Place::After;
        }
        Ok(whole)
    }

    /// Whether the item at hand is a number or a word, and `byte` comes behind it.
    fn ends_bare_item(&self, byte: u8) -> bool {
        let bare = Place::Item { depth: 0, text: false, escaped: false };
        self.place == bare && matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | b',' | b']')
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        if self.item.len() + bytes.len() > RAW_BYTES_MAX {
            return Err(Problem::Long);
        }
        self.item.extend_from_slice(bytes);
        Ok(())
    }
}

fn from_json<'a, T: serde::Deserialize<'a>>(item: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(item).map_err(|error| Problem::NoJson(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All items, cut from pieces of every size.
    fn check(kind: ItemsKind, list: &str, expected: Result<&[&str], Problem>) {
        for size in 1..=list.len().max(1) {
            let items = items(kind, list.as_bytes(), size);
            let texts = items.map(|items| items.into_iter().map(|(_, text)| text).collect());
            let expected = expected.clone();
            let expected =
                expected.map(|texts| texts.iter().map(|text| (*text).to_owned()).collect());
            assert_eq!(texts, expected as Result<Vec<String>, Problem>, "{list:?} by {size}");
        }
    }

    fn items(kind: ItemsKind, list: &[u8], size: usize) -> Result<Vec<(u64, String)>, Problem> {
        let mut splitter = Splitter::new(kind);
        let mut found = Vec::new();
        for mut piece in list.chunks(size) {
            while splitter.take(&mut piece)? {
                found.push((splitter.start(), splitter.text()?));
            }
        }
        if splitter.finish()? {
            found.push((splitter.start(), splitter.text()?));
        }
        Ok(found)
    }

    #[test]
    fn lines_are_items() {
        let check = |list: &str, expected: &[&str]| check(ItemsKind::Lines, list, Ok(expected));
        check("", &[]);
        check("a", &["a"]);
        check("a\n", &["a"]);
        check("a\r\nb c\n\nd", &["a", "b c", "", "d"]);
        check("\n\n", &["", ""]);
    }

    #[test]
    fn json_items_are_texts_or_json() {
        let check = |list: &str, expected: &[&str]| check(ItemsKind::Json, list, Ok(expected));
        check("[]", &[]);
        check(" [ ] \n", &[]);
        check(r#"["a","b\n\"]"]"#, &["a", "b\n\"]"]);
        check("[1, true ,null,-2.5e3]", &["1", "true", "null", "-2.5e3"]);
        check(r#"[{"a": [1, "}"]}, [[], "]"] ]"#, &[r#"{"a": [1, "}"]}"#, r#"[[], "]"]"#]);
        check(r#"["é",{"k":"é"}]"#, &["é", r#"{"k":"é"}"#]);
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let check = |list: &str, expected| check(ItemsKind::Json, list, Err(expected));
        check("", Problem::NoList("`[`"));
        check("{}", Problem::NoList("`[`"));
        check("[1", Problem::NoList("`]` at its end"));
        check("[1,]", Problem::NoList("an item behind `,`"));
        check("[,1]", Problem::NoList("an item or `]` behind `[`"));
        check("[1] x", Problem::NoList("nothing behind its `]`"));
        check(r#"["a" 1]"#, Problem::NoList("`,` or `]` behind an item"));
        for bad in ["[tru]", "[{1}]", "[01]", "[\"\\x\"]", "[}]"] {
            let found = items(ItemsKind::Json, bad.as_bytes(), 9);
            assert!(matches!(found, Err(Problem::NoJson(_))), "{bad}: {found:?}");
        }
        let found = items(ItemsKind::Json, br#"["\u0000"]"#, 9);
        assert_eq!(found, Err(Problem::Nul));
        assert_eq!(items(ItemsKind::Lines, b"a\0b", 9), Err(Problem::Nul));
        assert_eq!(items(ItemsKind::Lines, b"\xff", 9), Err(Problem::NoText));
        let long = vec![b'x'; ITEM_BYTES_MAX + 1];
        assert_eq!(items(ItemsKind::Lines, &long, 9_999), Err(Problem::Long));
        let endless = vec![b'['; 2 * RAW_BYTES_MAX];
        assert_eq!(items(ItemsKind::Json, &endless, 9_999), Err(Problem::Long));
    }

    #[test]
    fn reading_starts_again_at_any_item() {
        for (kind, list) in [
            (ItemsKind::Lines, "a\n\nb c\r\nd"),
            (ItemsKind::Json, r#" [ "a" ,1, {"x": 2} ,"d"] "#),
        ] {
            let all = items(kind, list.as_bytes(), 3).unwrap();
            for (nth, (start, _)) in all.iter().enumerate() {
                let mut splitter = Splitter::at(kind, *start);
                let mut rest = &list.as_bytes()[*start as usize..];
                let mut found = Vec::new();
                while splitter.take(&mut rest).unwrap() {
                    found.push((splitter.start(), splitter.text().unwrap()));
                }
                if splitter.finish().unwrap() {
                    found.push((splitter.start(), splitter.text().unwrap()));
                }
                assert_eq!(found, all[nth..]);
            }
        }
    }
}
