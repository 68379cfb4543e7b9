//! The first of each shape, in the order of all, searched by what is free.
//!
//! They lie in rows of a few dozen, each with the least that any of its heads wants: a row of which
//! nothing can fit is passed over at once. A thousand shapes are a few dozen rows; a tree would take
//! fewer steps and more time.

use super::Place;
use crate::resources::Resources;

/// A row that grows to this is cut in two.
const ROW_MAX: usize = 64;

/// The heads of all shapes.
#[derive(Debug, Default)]
pub(super) struct Heads {
    /// In order, none of them empty.
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    heads: Vec<(Place, Resources)>,
    least: Resources,
}

impl Heads {
    /// The first of all.
    pub(super) fn first(&self) -> Option<Place> {
        self.rows.first()?.heads.first().map(|(place, _)| *place)
    }

    /// The first that wants no more than is free.
    pub(super) fn first_within(&self, free: Resources) -> Option<(Place, Resources)> {
        let within = |wants: Resources| free.has_room(Resources::default(), wants);
        let rows = self.rows.iter().filter(|row| within(row.least));
        rows.flat_map(|row| &row.heads).find(|(_, wants)| within(*wants)).copied()
    }

    pub(super) fn insert(&mut self, place: Place, wants: Resources) {
        let at = self.row_of(place);
        let Some(row) = self.rows.get_mut(at) else {
            return self.rows.push(Row::new(vec![(place, wants)]));
        };
        let inside = row.heads.partition_point(|(other, _)| *other < place);
        row.heads.insert(inside, (place, wants));
        row.least = least(row.least, wants);
        if row.heads.len() >= ROW_MAX {
            let rest = row.heads.split_off(ROW_MAX / 2);
            *row = Row::new(std::mem::take(&mut row.heads));
            self.rows.insert(at + 1, Row::new(rest));
        }
    }

    pub(super) fn remove(&mut self, place: Place) {
        let at = self.row_of(place);
        let Some(row) = self.rows.get_mut(at) else { return };
        if let Ok(inside) = row.heads.binary_search_by_key(&place, |(other, _)| *other) {
            row.heads.remove(inside);
        }
        if row.heads.is_empty() {
            self.rows.remove(at);
        } else {
            *row = Row::new(std::mem::take(&mut row.heads));
        }
    }

    /// The row where this place is or would be: the last that begins before it, or the first.
    fn row_of(&self, place: Place) -> usize {
        self.rows.partition_point(|row| row.heads[0].0 <= place).saturating_sub(1)
    }
}

impl Row {
    fn new(heads: Vec<(Place, Resources)>) -> Row {
        let all = heads.iter().map(|(_, wants)| *wants);
        let least = all.reduce(least).unwrap_or_default();
        Row { heads, least }
    }
}

/// The lesser of each resource.
fn least(one: Resources, other: Resources) -> Resources {
    Resources {
        cpu_milli: one.cpu_milli.min(other.cpu_milli),
        memory_bytes: one.memory_bytes.min(other.memory_bytes),
    }
}
