//! The fuzzer's checks as a plain test, on real segments with chance damage.

use proptest::prelude::*;

use super::damage::segment;
use crate::output::fuzz;

#[derive(Clone, Debug)]
enum Hit {
    Flip { at: usize, by: u8 },
    Fill { at: usize, length: usize, with: u8 },
    Cut(usize),
    Move { from: usize, to: usize, length: usize },
}

fn hit() -> impl Strategy<Value = Hit> {
    let place = 0..4000_usize;
    prop_oneof![
        4 => (place.clone(), 1..=u8::MAX).prop_map(|(at, by)| Hit::Flip { at, by }),
        1 => (place.clone(), 1..300_usize, any::<u8>())
            .prop_map(|(at, length, with)| Hit::Fill { at, length, with }),
        1 => place.clone().prop_map(Hit::Cut),
        1 => (place.clone(), place, 1..300_usize)
            .prop_map(|(from, to, length)| Hit::Move { from, to, length }),
    ]
}

fn strike(bytes: &mut Vec<u8>, hit: &Hit) {
    let end = bytes.len();
    match *hit {
        Hit::Flip { at, by } if at < end => bytes[at] ^= by,
        Hit::Fill { at, length, with } if at < end => bytes[at..end.min(at + length)].fill(with),
        Hit::Cut(length) => bytes.truncate(length),
        Hit::Move { from, to, length } if from < end && to <= end => {
            let piece = bytes[from..end.min(from + length)].to_vec();
            bytes.splice(to..to, piece);
        }
        _ => {}
    }
}

#[test]
fn damage_by_chance_is_survived() {
    let (_dir, file, _) = segment();
    let good = std::fs::read(file).unwrap();
    fuzz::segment(&good);
    let config = ProptestConfig::with_cases(100);
    proptest!(config, |(hits in prop::collection::vec(hit(), 1..6))| {
        let mut bad = good.clone();
        hits.iter().for_each(|hit| strike(&mut bad, hit));
        fuzz::segment(&bad);
        fuzz::lists(&bad);
    });
}

#[test]
fn bytes_that_are_no_segment_are_survived() {
    for bytes in [&[][..], &[0; 100], &[0xf7; 5000], b"windlass output\x01\xf7Wf\x01"] {
        fuzz::segment(bytes);
        fuzz::lists(bytes);
    }
}
