//! What a log keeps across segments, openings, truncations and purges.

use super::*;

#[test]
fn keeps_everything_across_segments_and_openings() {
    for cache_bytes in [0, 1 << 20] {
        let env = Env { cache_bytes, ..Env::new() };
        for round in 0..4 {
            let log = env.open().unwrap();
            assert_eq!(indices(&log), Vec::from_iter(0..round * 30), "at opening {round}");
            for index in 0..10 {
                let first = round * 30 + index * 3;
                append(&log, (first..first + 3).map(entry)).unwrap();
            }
            assert_eq!(indices(&log), Vec::from_iter(0..(round + 1) * 30));
            log.close();
        }
        assert_eq!(segment_files(env.path()).len(), 24, "120 entries, five in a segment");
    }
}

#[test]
fn reads_parts() {
    let env = Env { cache_bytes: 2000, ..Env::new() };
    let log = env.open().unwrap();
    append(&log, (0..20).map(entry)).unwrap();
    let read = |range, batch| {
        let entries = log.read(range, batch).unwrap();
        entries.iter().map(|entry| entry.id.index).collect::<Vec<_>>()
    };
    assert_eq!(read(3..7, ALL), [3, 4, 5, 6]);
    assert_eq!(read(18..99, ALL), [18, 19]);
    assert!(read(20..99, ALL).is_empty());
    assert_eq!(read(3..20, Batch { entries: 2, ..ALL }), [3, 4]);
    assert_eq!(read(3..20, Batch { bytes: 1500, ..ALL }), [3, 4]);
    assert_eq!(read(3..20, Batch { bytes: 1, ..ALL }), [3], "one always fits");
    assert_eq!(read(18..20, Batch { bytes: 1, ..ALL }), [18]);
    assert_eq!(log.recent(3..7, ALL), None, "it has left the memory");
    assert!(log.recent(18..20, ALL).is_some());
}

#[test]
fn takes_records_larger_than_a_segment() {
    let env = Env::new();
    let large = |index| Entry { body: vec![index as u8; 5 << 20].into(), ..entry(index) };
    for begin in [0, 3] {
        let log = env.open().unwrap();
        append(&log, [large(begin), entry(begin + 1), large(begin + 2)]).unwrap();
        log.close();
    }
    let log = env.open().unwrap();
    let expected: Vec<_> =
        (0..6).map(|index| if index % 3 == 1 { entry(index) } else { large(index) }).collect();
    assert_eq!(all(&log), expected);
}

#[test]
fn refuses_a_gap() {
    let env = Env::new();
    let log = env.open().unwrap();
    append(&log, (0..3).map(entry)).unwrap();
    assert!(append(&log, [entry(4)]).unwrap_err().contains("gap"));
    assert_eq!(indices(&log), [0, 1, 2]);
}

#[test]
fn truncates_anywhere() {
    for cache_bytes in [0, 1 << 20] {
        for from in 0..18 {
            let env = Env { cache_bytes, ..Env::without_sync() };
            let log = env.open().unwrap();
            append(&log, (0..17).map(entry)).unwrap();
            truncate(&log, from).unwrap();
            let kept = Vec::from_iter(0..from.min(17));
            assert_eq!(indices(&log), kept);
            assert_eq!(log.positions().last.map(|last| last.index), kept.last().copied());
            log.close();

            let log = env.open().unwrap();
            assert_eq!(indices(&log), kept, "nothing comes back");
            let again = kept.len() as u64;
            append(&log, (again..again + 9).map(|index| in_term(2, index))).unwrap();
            log.close();

            let log = env.open().unwrap();
            let expected = (0..again).map(entry);
            let expected = expected.chain((again..again + 9).map(|index| in_term(2, index)));
            assert_eq!(all(&log), expected.collect::<Vec<_>>());
        }
    }
}

#[test]
fn purges_anywhere() {
    for upto in 0..25 {
        let env = Env::without_sync();
        let log = env.open().unwrap();
        append(&log, (0..17).map(entry)).unwrap();
        purge(&log, upto).unwrap();
        let kept = Vec::from_iter(upto + 1..17);
        let check = |log: &Log| {
            assert_eq!(indices(log), kept);
            let positions = log.positions();
            assert_eq!(positions.purged, Some(entry(upto).id));
            assert_eq!(positions.last, Some(entry(upto.max(16)).id));
        };
        check(&log);
        log.close();
        let log = env.open().unwrap();
        check(&log);
        let next = upto.max(16) + 1;
        append(&log, [entry(next)]).unwrap();
        log.close();
        assert_eq!(env.open().unwrap().positions().last, Some(entry(next).id));
        if upto >= 5 {
            assert!(!segment_files(env.path()).contains(&segment::name(0)), "the space is back");
        }
    }
}

#[test]
fn knows_what_was_committed() {
    let env = Env::new();
    let log = env.open().unwrap();
    assert_eq!(log.positions().committed, None);
    append(&log, [entry(0), entry(1)]).unwrap();
    log.note_committed(1);
    append(&log, [entry(2)]).unwrap();
    log.note_committed(2);
    log.close();
    let positions = env.open().unwrap().positions();
    assert_eq!(positions.committed, Some(1), "as the last record says");
    assert_eq!(positions.memberships[..], [0]);
}

#[test]
fn keeps_the_vote() {
    let env = Env::new();
    for term in 1..4 {
        let log = env.open().unwrap();
        let before = (term > 1).then(|| ballot(term - 1));
        assert_eq!(log.positions().vote, before);
        vote(&log, term).unwrap();
        assert_eq!(log.positions().vote, Some(ballot(term)));
        log.close();
    }
}

#[test]
fn is_open_once() {
    let env = Env::new();
    let log = env.open().unwrap();
    assert!(matches!(env.open(), Err(OpenError::InUse { .. })));
    log.close();
    env.open().unwrap();
}

#[test]
fn belongs_to_one_node() {
    let env = Env::new();
    env.open().unwrap().close();
    let other = Log::open(Options { node: 8, ..env.options() });
    assert!(matches!(other, Err(OpenError::WrongNode { found: NODE, asked: 8, .. })));
}

#[test]
fn refuses_senseless_sizes() {
    let env = Env::new();
    for segment_bytes in [0, SEGMENT - 1, (1 << 30) + 1] {
        let refused = Log::open(Options { segment_bytes, ..env.options() });
        assert!(matches!(refused, Err(OpenError::Setting { name: "segment_bytes", .. })));
    }
}

#[test]
fn each_sync_that_is_waited_for_is_told_before_the_answer() {
    let env = Env::new();
    let (tell, told) = std::sync::mpsc::channel();
    let syncs = crate::log::Syncs::new(move |took| tell.send(took).unwrap());
    let log = Log::open(Options { syncs, ..env.options() }).unwrap();
    for index in 0..3 {
        append(&log, [entry(index)]).unwrap();
        assert!(told.try_recv().is_ok(), "the answer came, so its sync is told");
        assert!(told.try_recv().is_err(), "and no other");
    }
    env.disk.faults.sync.store(true, SeqCst);
    append(&log, [entry(3)]).unwrap_err();
    assert!(told.try_recv().is_err(), "a sync that failed has made nothing durable");
}
