//! A YAML document with the place of everything in it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Options, Spanned};

use super::fault::{Fault, Place};

/// Bytes of a configuration file at most.
pub(super) const BYTES_MAX: usize = 1 << 20;

/// What stands at a place.
#[derive(Debug)]
pub(crate) enum Node {
    /// Nothing.
    Empty,
    /// A value, as it is given on a command line.
    Value(String),
    /// A number; how it is written is what counts: `01234` may be a label.
    Number,
    List(Vec<(Place, Node)>),
    Map(Vec<(Place, String, Place, Node)>),
}

/// Reads a document. The fault has no file yet.
pub(crate) fn read(text: &str) -> Result<Node, Fault> {
    if text.len() > BYTES_MAX {
        let problem = format!("the file has {} bytes, at most {BYTES_MAX} are read", text.len());
        return Err(Fault::at(Place::default(), problem));
    }
    if text.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Ok(Node::Empty);
    }
    let mut options = Options::default();
    options.with_snippet = false;
    // `y` and `no` are words.
    options.strict_booleans = true;
    match serde_saphyr::from_str_with_options::<Node>(text, options) {
        Ok(mut node) => {
            node.spell_out(Place { line: 1, column: 1, width: 1 }, text);
            Ok(node)
        }
        Err(error) => {
            let place = error.location().map(Place::from).unwrap_or_default();
            let text = error.without_snippet().to_string();
            // It ends with the place, which is shown with the line.
            let first = text.lines().next().unwrap_or_default();
            let said = first.split(" at line ").next().unwrap_or_default();
            let said = said.rsplit_once(": line ").map_or(said, |(said, _)| said);
            let said = said.split(", set DuplicateKeyPolicy").next().unwrap_or_default();
            Err(Fault::at(place, said.to_lowercase()))
        }
    }
}

impl Node {
    /// Numbers become what stands in the text.
    fn spell_out(&mut self, place: Place, text: &str) {
        match self {
            Node::Number => {
                let line = text.lines().nth(place.line.saturating_sub(1) as usize);
                let chars = line.unwrap_or_default().chars();
                let chars = chars.skip(place.column.saturating_sub(1) as usize);
                *self = Node::Value(chars.take(place.width as usize).collect());
            }
            Node::List(items) => {
                items.iter_mut().for_each(|(place, node)| node.spell_out(*place, text));
            }
            Node::Map(entries) => {
                entries.iter_mut().for_each(|(_, _, place, node)| node.spell_out(*place, text));
            }
            Node::Empty | Node::Value(_) => {}
        }
    }
}

impl From<serde_saphyr::Location> for Place {
    fn from(location: serde_saphyr::Location) -> Place {
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        Place {
            line: small(location.line()),
            column: small(location.column()),
            width: small(location.span().len()),
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value, a list or a map")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Value(value.to_string()))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
        Ok(Node::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Value(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Empty)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Empty)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = list.next_element::<Spanned<Node>>()? {
            all.push((Place::from(item.referenced), item.value));
        }
        Ok(Node::List(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut all = Vec::new();
        while let Some((key, value)) = map.next_entry::<Spanned<String>, Spanned<Node>>()? {
            let (at, place) = (Place::from(key.referenced), Place::from(value.referenced));
            all.push((at, key.value, place, value.value));
        }
        Ok(Node::Map(all))
    }
}
