//! Arbitrary bytes, and bytes that are nearly right, must neither panic nor take memory without bound.

use crate::fuzz;
use crate::log::tests::faults::Chance;
use crate::log::tests::{Env, append, entry};

use super::*;

/// Calls `read` with changed copies of `sound`: bytes altered, parts cut, extreme numbers put in.
fn mutate(sound: &[u8], read: impl Fn(&[u8])) {
    let mut chance = Chance(0x5eed);
    let mut number = |below: usize| {
        let bits = (0..32).fold(0_usize, |bits, _| bits << 1 | usize::from(chance.coin()));
        bits % below.max(1)
    };
    read(sound);
    for _ in 0..1000 {
        let mut bytes = sound.to_vec();
        for _ in 0..=number(3) {
            let at = number(bytes.len());
            match number(4) {
                0 => bytes[at] ^= 1 << number(8),
                1 => bytes.truncate(at.max(1)),
                2 => {
                    let end = (at + 8).min(bytes.len());
                    bytes[at..end].fill(0xff);
                }
                _ => bytes[at] = number(256) as u8,
            }
        }
        read(&bytes);
    }
}

#[test]
fn any_bytes_can_be_read_as_a_snapshot() {
    let env = Env::without_sync();
    let log = env.open().unwrap();
    append(&log, (0..3).map(entry)).unwrap();
    let snapshots = open(&env, &log, PACE).unwrap();
    snapshots.write(head(id(2)), writes(state(2))).unwrap();
    let sound = fs::read(env.path().join(format::name(2))).unwrap();
    mutate(&sound, fuzz::snapshot);
    mutate(&[0xff; 100], fuzz::snapshot);
    fuzz::snapshot(&[]);
    // Headers whose checksum is right, too.
    let mut long = head(id(Index::MAX)).encode().0;
    long[12..16].fill(0xff);
    fuzz::snapshot(&long);
}

#[test]
fn any_bytes_can_be_read_as_a_segment() {
    let env = Env::without_sync();
    let log = env.open().unwrap();
    append(&log, (0..4).map(entry)).unwrap();
    let sound = fs::read(env.path().join(crate::log::segment::name(0))).unwrap();
    mutate(&sound, fuzz::segment);
    mutate(&sound[..13_000], fuzz::segment);
    mutate(&[0xff; 100], fuzz::segment);
    fuzz::segment(&[]);
}
