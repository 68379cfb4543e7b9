//! What the elements of an array are given: a line of a file or an item of a JSON list each.

/// A list that is kept as a blob beside the journal, by the hash of its bytes. The array counts
/// its items from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Items {
    /// SHA-256 of the list's bytes.
    pub blob: [u8; 32],
    /// How the list is written.
    pub kind: ItemsKind,
}

/// How a list of items is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemsKind {
    /// One item a line, without the line's end.
    Lines,
    /// A JSON list; an item that is a text is given as that text, any other as JSON.
    Json,
}
