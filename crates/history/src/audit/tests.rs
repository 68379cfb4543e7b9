//! The audit through restarts, damage and a fault of the disk.

use super::*;

fn change(n: u64) -> Change {
    Change {
        time_ms: 1_000 + n,
        action: if n.is_multiple_of(2) { "submit" } else { "cancel" }.to_owned(),
        on: n.to_string(),
        actor: format!("user:u{}", n % 3),
        reason: "because".repeat(n as usize % 4),
        ..Change::default()
    }
}

/// A log with the changes of entries 1 to `last`, three each.
fn filled(dir: &Path, last: u64) -> Audit {
    let audit = Audit::open(dir.to_owned()).unwrap();
    for index in 1..=last {
        audit.add(index, (0..3).map(|nth| change(3 * index + nth)).collect());
        if index.is_multiple_of(7) {
            audit.flush().unwrap();
        }
    }
    audit
}

fn all(audit: &Audit, filter: &ChangeFilter, limit: usize) -> Vec<u64> {
    let (mut found, mut before) = (Vec::new(), None);
    loop {
        let page = audit.changes(filter, before, limit);
        assert_eq!(page.damaged, 0);
        found.extend(page.changes.iter().map(|(_, change)| change.on.parse::<u64>().unwrap()));
        before = page.next;
        if before.is_none() {
            return found;
        }
    }
}

#[test]
fn changes_are_listed_the_latest_first_in_pages_of_any_size() {
    let dir = tempfile::tempdir().unwrap();
    let audit = filled(dir.path(), 50);
    let every: Vec<u64> = (3..=152).rev().collect();
    for limit in [1, 2, 7, 1000] {
        assert_eq!(all(&audit, &ChangeFilter::default(), limit), every);
    }
    let filter = ChangeFilter {
        since_ms: 1_100,
        actor: Some("user:u1".into()),
        action: Some("submit".into()),
    };
    let wanted = |n: &u64| *n >= 100 && n % 3 == 1 && n.is_multiple_of(2);
    assert_eq!(all(&audit, &filter, 2), every.iter().copied().filter(wanted).collect::<Vec<_>>());
}

#[test]
fn an_entry_that_is_told_again_is_written_once_and_a_lost_one_again() {
    let dir = tempfile::tempdir().unwrap();
    // What came after the last flush is lost with the process.
    drop(filled(dir.path(), 50));
    let audit = filled(dir.path(), 50);
    audit.flush().unwrap();
    assert_eq!(all(&audit, &ChangeFilter::default(), 1000).len(), 150);
    drop(audit);
    assert_eq!(all(&filled(dir.path(), 50), &ChangeFilter::default(), 1000).len(), 150);
}

#[test]
fn a_cut_or_flipped_byte_costs_its_block_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 49));
    let file = path(dir.path(), 1);
    let whole = fs::read(&file).unwrap();
    for at in (0..whole.len()).step_by(41) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&file, &bytes).unwrap();
        let audit = Audit::open(dir.path().to_owned()).unwrap();
        let page = audit.changes(&ChangeFilter::default(), None, 1000);
        assert_eq!((page.changes.len(), page.damaged), (147 - 21, 1), "flipped at {at}");
        fs::write(&file, &whole[..at]).unwrap();
        // What is cut off is filled in by the journal.
        let audit = filled(dir.path(), 49);
        assert_eq!(all(&audit, &ChangeFilter::default(), 1000).len(), 147, "cut at {at}");
        drop(audit);
    }
}

#[test]
fn the_oldest_files_go() {
    let dir = tempfile::tempdir().unwrap();
    let audit = Audit::open(dir.path().to_owned()).unwrap();
    let old = |n: u64| Change { time_ms: n * KEPT_MS, ..change(n) };
    for index in 1..=5 {
        audit.add(index, vec![old(index)]);
        audit.flush().unwrap();
        audit.lock().length = FILE_BYTES;
    }
    let left = all(&audit, &ChangeFilter::default(), 10);
    assert_eq!(left, [5, 4], "one is as old as may be");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
}

/// The changes behind an index, page by page, and how far they go.
fn follow(audit: &Audit, filter: &ChangeFilter, after: u64, limit: usize) -> (Vec<u64>, u64) {
    let (mut found, mut index) = (Vec::new(), after);
    loop {
        let page = audit.later(filter, index, limit).unwrap();
        assert_eq!(page.damaged, 0);
        let of_last = page.changes.iter().filter(|(at, _)| *at == page.index).count();
        assert!(page.changes.len() - of_last < limit.max(1), "no more than it takes");
        found.extend(page.changes.iter().map(|(_, change)| change.on.parse::<u64>().unwrap()));
        if page.index == index {
            return (found, index);
        }
        index = page.index;
    }
}

#[test]
fn what_follows_comes_once_and_in_order_from_wherever_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let audit = filled(dir.path(), 50);
    for after in 0..=50 {
        let expected: Vec<u64> = (3 * after + 3..=152).collect();
        for limit in [1, 2, 7, 1000] {
            let expected = if after == 50 { Vec::new() } else { expected.clone() };
            assert_eq!(follow(&audit, &ChangeFilter::default(), after, limit), (expected, 50));
        }
    }
    let filter = ChangeFilter { action: Some("submit".into()), ..ChangeFilter::default() };
    let even: Vec<u64> = (63..=152).filter(|n| n % 2 == 0).collect();
    assert_eq!(follow(&audit, &filter, 20, 4), (even, 50));
    // An entry that changes nothing is passed too.
    audit.add(51, Vec::new());
    assert_eq!(follow(&audit, &filter, 50, 4), (Vec::new(), 51));
}

#[test]
fn what_is_gone_or_damaged_is_said_to_whoever_follows() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 49));
    let audit = Audit::open(dir.path().to_owned()).unwrap();
    // As if older files had gone.
    let from = path(dir.path(), 1);
    let bytes = fs::read(&from).unwrap();
    fs::rename(&from, path(dir.path(), 10)).unwrap();
    let later = |audit: &Audit, after| audit.later(&ChangeFilter::default(), after, 1000);
    let begun = Audit::open(dir.path().to_owned()).unwrap();
    assert_eq!(later(&begun, 5), Err(9));
    assert!(later(&begun, 9).is_ok() && later(&begun, 0).is_ok());
    // A file that cannot be read, or a byte that has flipped.
    assert_eq!(later(&audit, 5).unwrap().damaged, 1);
    let mut flipped = bytes;
    let last = flipped.len() - 1;
    flipped[last] ^= 0x10;
    fs::write(from, flipped).unwrap();
    let damaged = later(&audit, 5).unwrap();
    assert_eq!((damaged.damaged, damaged.index), (1, 49));
    assert_eq!(damaged.changes.first().unwrap().0, 6);
}
