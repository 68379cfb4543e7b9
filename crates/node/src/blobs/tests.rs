//! Lists on a real disk: kept, read, damaged, bounded, and removed.

use model::ItemsKind;

use super::*;

fn store(blobs: &Arc<Blobs>, kind: ItemsKind, list: &[u8]) -> Result<Stored, Fault> {
    let mut upload = Upload::begin(blobs.clone(), kind)?.expect("few uploads are under way");
    list.chunks(1_000).try_for_each(|piece| upload.write(piece))?;
    upload.finish()
}

fn files(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

#[test]
fn any_item_of_a_long_list_is_read_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let lines: String = (1..=10_000).map(|n| format!("{}{n}\n", "é".repeat(n % 50))).collect();
    let json: Vec<String> = (1..=10_000).map(|n| format!("x {n}\n")).collect();
    let json = serde_json::to_vec_pretty(&json).unwrap();
    for (kind, list) in [(ItemsKind::Lines, lines.as_bytes()), (ItemsKind::Json, &json)] {
        let blobs = Arc::new(Blobs::open(dir.path()).unwrap());
        let stored = store(&blobs, kind, list).unwrap();
        assert_eq!((stored.count, stored.bytes), (10_000, list.len() as u64));
        let blobs = Blobs::open(dir.path()).unwrap();
        assert_eq!(blobs.count(stored.items).unwrap(), 10_000);
        let list = blobs.list(stored.items).unwrap();
        let numbers = [9_999, 1, 2, 3, 65, 64, 10_000, 128, 129, 5_000, 5_063, 5_064, 5_200];
        let expected = numbers.map(|n: u32| match kind {
            ItemsKind::Lines => format!("{}{n}", "é".repeat(n as usize % 50)),
            ItemsKind::Json => format!("x {n}\n"),
        });
        assert_eq!(list.texts(&numbers).unwrap(), expected);
        assert!(list.texts(&[0]).is_err() && list.texts(&[10_001]).is_err());
    }
}

#[test]
fn a_damaged_or_missing_list_is_never_handed_out() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Arc::new(Blobs::open(dir.path()).unwrap());
    let stored = store(&blobs, ItemsKind::Lines, b"a\nb\nc\n").unwrap();
    let path = blobs.path(&stored.items.blob);
    for bytes in [&b"a\nx\nc\n"[..], b"a\nb\n", b"", b"a\nb\nc\n\n"] {
        fs::write(&path, bytes).unwrap();
        let again = Blobs::open(dir.path()).unwrap();
        assert!(matches!(again.count(stored.items), Err(Fault::Changed)), "{bytes:?}");
    }
    fs::remove_file(&path).unwrap();
    let again = Arc::new(Blobs::open(dir.path()).unwrap());
    assert!(matches!(again.count(stored.items), Err(Fault::Missing)));
    assert_eq!(store(&again, ItemsKind::Lines, b"a\nb\nc\n").unwrap(), stored, "it is whole again");
    assert_eq!(again.count(stored.items).unwrap(), 3);
}

#[test]
fn an_upload_that_is_cut_off_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Arc::new(Blobs::open(dir.path()).unwrap());
    let mut upload = Upload::begin(blobs.clone(), ItemsKind::Lines).unwrap().unwrap();
    upload.write(b"a\n").unwrap();
    assert_eq!(files(dir.path()), 1);
    drop(upload);
    assert_eq!(files(dir.path()), 0);
    assert!(matches!(store(&blobs, ItemsKind::Json, b"[1"), Err(Fault::Unfit(_))));
    assert_eq!(files(dir.path()), 0);
    // A crash leaves it; the next start does not.
    fs::write(dir.path().join("x.new"), "a").unwrap();
    Blobs::open(dir.path()).unwrap();
    assert_eq!(files(dir.path()), 0);
}

#[test]
fn lists_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let mut blobs = Blobs::open(dir.path()).unwrap();
    (blobs.list_bytes_max, blobs.total_bytes_max) = (5_000, 8_000);
    let blobs = Arc::new(blobs);
    let long = "x\n".repeat(2_501);
    assert!(matches!(store(&blobs, ItemsKind::Lines, long.as_bytes()), Err(Fault::Unfit(_))));
    store(&blobs, ItemsKind::Lines, &long.as_bytes()[..5_000]).unwrap();
    let other = "y\n".repeat(1_501);
    assert!(matches!(store(&blobs, ItemsKind::Lines, other.as_bytes()), Err(Fault::NoRoom(_))));
    let open = || Upload::begin(blobs.clone(), ItemsKind::Lines).unwrap();
    let uploads: Vec<_> = (0..UPLOADS_MAX).map(|_| open().unwrap()).collect();
    assert!(open().is_none(), "one too many");
    drop(uploads);
    assert!(open().is_some());
}

#[test]
fn what_nobody_wants_goes_after_a_week() {
    let dir = tempfile::tempdir().unwrap();
    let blobs = Arc::new(Blobs::open(dir.path()).unwrap());
    let live = store(&blobs, ItemsKind::Lines, b"a\n").unwrap().items;
    let idle = store(&blobs, ItemsKind::Lines, b"b\n").unwrap().items;
    let now = SystemTime::now();
    let sweep = |now| blobs.sweep(now, &|blob| *blob == live.blob).unwrap();
    assert!(!blobs.has_old(now).unwrap());
    sweep(now);
    assert_eq!(files(dir.path()), 2);
    let later = now + KEPT + Duration::from_secs(60);
    assert!(blobs.has_old(later).unwrap());
    sweep(later);
    assert!(blobs.count(live).is_ok() && matches!(blobs.count(idle), Err(Fault::Missing)));
}
