//! Snapshots beside a log: every interruption, every kind of damage.

mod crash;
mod damage;
mod fuzz;

use std::io::Read;

use super::*;
use crate::LeaderId;
use crate::log::tests::{self as log_tests, Env};
use crate::log::{EntryId, Log, OpenError};

/// Small, so that a small snapshot has many chunks and syncs.
const PACE: Pace = Pace { chunk: 1000, sync: 4000 };

/// Opens the snapshots of an open log.
fn open(env: &Env, log: &Log, pace: Pace) -> Result<Snapshots, OpenError> {
    let positions = log.positions();
    let ends = Ends { purged: positions.purged, last: positions.last };
    let entry =
        |index| Ok(log.read(index..index + 1, log_tests::ALL).unwrap().first().map(|e| e.id));
    Snapshots::open(env.disk.clone(), env.path().to_owned(), pace, ends, entry)
}

fn head(id: EntryId) -> Head {
    Head { id, membership: b"who votes".to_vec(), installed: false }
}

fn id(index: Index) -> EntryId {
    EntryId { index, leader: LeaderId { term: 1, node: log_tests::NODE } }
}

/// What all entries up to `upto` have made: simply all of them.
fn state(upto: Index) -> Vec<u8> {
    (0..=upto).flat_map(|index| log_tests::entry(index).body.to_vec()).collect()
}

fn writes(content: Vec<u8>) -> Snapshot {
    Box::new(move |out| out.write_all(&content))
}

fn read_newest(snapshots: &Snapshots) -> Option<(Index, Vec<u8>)> {
    let mut content = snapshots.open_newest().unwrap()?;
    let mut found = Vec::new();
    content.read_to_end(&mut found).unwrap();
    Some((content.head().id.index, found))
}
