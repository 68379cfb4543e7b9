//! A snapshot file: whole it is read, cut or flipped anywhere it is told.

use std::io;
use std::sync::Arc;

use model::{ArraySpec, Items, ItemsKind, JobSpec, TaskSpec};
use proto::record::{self, Batch, Command, Header, command::Kind};

use super::write::write;
use super::*;
use crate::blobs::{Blobs, Upload};

/// A cluster with a run that has a list, and one without.
pub(crate) fn state(items: Items) -> machine::State {
    let mut state = machine::State::new();
    let mut apply = |kind| {
        let incarnation = state.cluster().map_or(0, |cluster| cluster.incarnation.into());
        let header = Some(Header { incarnation, time_ms: 5, ..Default::default() });
        let batch = Batch { header, commands: vec![Command { kind: Some(kind) }] };
        state.apply(state.applied() + 1, (0, 0), &batch);
    };
    apply(Kind::Found(record::Found { cluster_id: vec![1; 16], incarnation: 3 }));
    for items in [None, Some(items)] {
        let mut task = TaskSpec::new(vec!["true".into()]);
        task.array = Some(ArraySpec { first: 1, last: 3, step: 1, parallel_max: 0 });
        task.items = items;
        let job = Some((&JobSpec { tasks: vec![task], ..JobSpec::default() }).into());
        apply(Kind::SubmitJob(record::SubmitJob { job, ..Default::default() }));
    }
    state
}

pub(crate) fn head(state: &machine::State) -> Head {
    let cluster = state.cluster().unwrap();
    Head {
        cluster_id: cluster.id.0,
        incarnation: cluster.incarnation,
        index: state.applied(),
        taken_ms: 7,
        version: "0.1.0".to_owned(),
        level: machine::LEVEL,
    }
}

pub(crate) fn blobs() -> (tempfile::TempDir, Arc<Blobs>, Items) {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Arc::new(Blobs::open(dir.path()).unwrap());
    let mut upload = Upload::begin(blobs.clone(), ItemsKind::Lines).unwrap().unwrap();
    upload.write(b"one\ntwo\nthree\n").unwrap();
    let items = upload.finish().unwrap().items;
    (dir, blobs, items)
}

pub(crate) fn bytes(head: &Head, state: &machine::State, blobs: &Blobs) -> Vec<u8> {
    let mut bytes = Vec::new();
    write(head, state, &|items| blobs.verified(items), &mut |piece| {
        bytes.extend(piece);
        Ok(())
    })
    .unwrap();
    bytes
}

/// Takes lists as texts.
#[derive(Default)]
struct Texts(Vec<String>);

impl Lists for Texts {
    fn begin(&mut self, kind: ItemsKind) -> io::Result<()> {
        self.0.push(format!("{kind:?}: "));
        Ok(())
    }

    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.last_mut().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
        Ok(())
    }

    fn end(&mut self) -> io::Result<()> {
        self.0.last_mut().unwrap().push('.');
        Ok(())
    }
}

#[test]
fn what_was_written_is_read() {
    let (_dir, blobs, items) = blobs();
    let state = state(items);
    let bytes = bytes(&head(&state), &state, &blobs);
    let mut lists = Texts::default();
    let (checked, read) = read(&bytes[..], &mut lists).unwrap();
    assert_eq!(checked.head, head(&state));
    assert_eq!((checked.runs, checked.lists, checked.bytes), (2, 1, bytes.len() as u64));
    assert_eq!(format!("{read:?}"), format!("{state:?}"));
    assert_eq!(lists.0, ["Lines: one\ntwo\nthree\n."]);
    assert_eq!(check(&bytes[..]).unwrap(), checked);
}

#[test]
fn a_cut_is_told_at_every_byte_and_so_is_more() {
    let (_dir, blobs, items) = blobs();
    let state = state(items);
    let bytes = bytes(&head(&state), &state, &blobs);
    for length in 0..bytes.len() {
        match check(&bytes[..length]) {
            Err(Fault::Cut { at }) => assert_eq!(at, length as u64),
            Err(Fault::Other { .. }) if length < 8 => {}
            other => panic!("cut at {length}: {other:?}"),
        }
    }
    for behind in [&b"x"[..], &bytes] {
        let error = check(&[&bytes, behind].concat()[..]).unwrap_err().to_string();
        assert!(error.contains("behind its end") && error.contains("hint: "), "{error}");
    }
}

#[test]
fn a_flip_is_told_at_every_bit() {
    let (_dir, blobs, items) = blobs();
    let state = state(items);
    let bytes = bytes(&head(&state), &state, &blobs);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let fault = check(&flipped[..]).expect_err("it is not what was written");
            let text = fault.to_string();
            assert!(text.contains("\nhint: "), "{at} bit {bit}: {text}");
        }
    }
}

#[test]
fn a_part_of_another_snapshot_does_not_fit() {
    let (_dir, blobs, items) = blobs();
    let state = state(items);
    let one = bytes(&head(&state), &state, &blobs);
    let later = Head { taken_ms: 8, ..head(&state) };
    let other = bytes(&later, &state, &blobs);
    assert_eq!(one.len(), other.len());
    let middle = one.len() / 2;
    let mixed = [&one[..middle], &other[middle..]].concat();
    assert!(matches!(check(&mixed[..]), Err(Fault::Damaged { .. })));
}

#[test]
fn a_head_of_another_state_is_told() {
    let (_dir, blobs, items) = blobs();
    let state = state(items);
    let sound = head(&state);
    for head in [
        Head { index: sound.index + 1, ..sound.clone() },
        Head { incarnation: sound.incarnation + 1, ..sound.clone() },
        Head { cluster_id: uuid::Uuid::new_v4(), ..sound.clone() },
    ] {
        let error = check(&bytes(&head, &state, &blobs)[..]).unwrap_err().to_string();
        assert!(error.contains("another state"), "{error}");
    }
}

#[test]
fn a_newer_version_is_named() {
    let (_dir, blobs, items) = blobs();
    let state = state(items);
    let version = "9.8.7".to_owned();
    let head = Head { level: machine::LEVEL + 1, version, ..head(&state) };
    let error = check(&bytes(&head, &state, &blobs)[..]).unwrap_err().to_string();
    assert!(error.contains("9.8.7") && error.contains("hint: use that version"), "{error}");
}

#[test]
fn a_list_that_is_gone_or_damaged_is_named_and_the_rest_is_there() {
    let (dir, blobs, items) = blobs();
    let state = state(items);
    let name = crate::blobs::hex(&items.blob);
    let path = dir.path().join(&name);
    std::fs::write(&path, "one\nTWO\nthree\n").unwrap();
    let damaged = check(&bytes(&head(&state), &state, &blobs)[..]).unwrap();
    std::fs::remove_file(&path).unwrap();
    let gone = check(&bytes(&head(&state), &state, &blobs)[..]).unwrap();
    for checked in [damaged, gone] {
        assert_eq!((checked.runs, checked.lists), (2, 0));
        assert_eq!(checked.lists_missing, std::slice::from_ref(&name));
    }
}

#[test]
fn what_is_no_snapshot_says_so() {
    for (bytes, found) in [
        (&b""[..], "it is empty"),
        (b"{\"json\": 1}", "other bytes"),
        (b"WLCLUS99 and more", "another version"),
        (b"WLSNAP01 is the journal's own", "other bytes"),
    ] {
        let error = check(bytes).unwrap_err().to_string();
        assert!(error.contains(found) && error.contains("snapshot save"), "{error}");
    }
}
