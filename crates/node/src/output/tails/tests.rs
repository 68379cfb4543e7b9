//! Tails are found again, across files and processes, and nothing that is not whole is shown.

use model::Element;
use proto::session::OutputChunk;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;

fn node(number: u8) -> NodeId {
    NodeId(Uuid::from_bytes([number; 16]))
}

fn attempt(run: u64, index: u32) -> Attempt {
    Attempt { element: Element { run: RunId(run), task: 0, index }, number: 1 }
}

fn tail(attempt: Attempt, data: &[u8]) -> Tail {
    let chunk = OutputChunk {
        stream: 1,
        data: data.to_vec(),
        bytes: data.len() as u64,
        ..Default::default()
    };
    Tail { attempt: Some(attempt.into()), position: 0, chunks: vec![chunk] }
}

fn found(tails: &Tails, of: NodeId, attempt: Attempt) -> Option<Vec<u8>> {
    let kept = tails.find(of, attempt.element.run, &[attempt].into()).remove(&attempt)?;
    Some(tails.load(kept).unwrap().chunks[0].data.clone())
}

fn files(dir: &TempDir) -> Vec<String> {
    let mut names: Vec<String> = segment::names(dir.path()).map(|name| name.to_string()).collect();
    names.sort();
    names
}

#[test]
fn tails_of_many_attempts_lie_in_few_files_and_are_found_again() {
    let dir = TempDir::new().unwrap();
    let tails = Tails::open(dir.path());
    assert_eq!(found(&tails, node(2), attempt(1, 1)), None);
    for run in 1..=20 {
        let many: Vec<Tail> = (0..500)
            .map(|index| tail(attempt(run, index), format!("{run}/{index}").as_bytes()))
            .collect();
        tails.keep(node(2), &many).unwrap();
        tails.keep(node(2), &[tail(attempt(run, 1_000), &vec![b'x'; 400_000])]).unwrap();
        tails
            .keep(
                node(2),
                &(0..4)
                    .map(|index| tail(attempt(run, 2_000 + index), &vec![b'y'; 200_000]))
                    .collect::<Vec<_>>(),
            )
            .unwrap();
    }
    assert!(files(&dir).len() <= 5, "{:?}", files(&dir));
    assert!(files(&dir)[0].starts_with("00000001-1-"), "{:?}", files(&dir));
    for (run, index) in [(1, 0), (7, 499), (20, 3)] {
        assert_eq!(
            found(&tails, node(2), attempt(run, index)),
            Some(format!("{run}/{index}").into_bytes())
        );
    }
    assert_eq!(found(&tails, node(3), attempt(1, 0)), None, "no node speaks for another");
    tails.keep(node(2), &[tail(attempt(1, 0), b"again")]).unwrap();
    assert_eq!(found(&tails, node(2), attempt(1, 0)).unwrap(), b"again");
    // Another process goes on.
    let tails = Tails::open(dir.path());
    let before = files(&dir).len();
    tails.keep(node(2), &[tail(attempt(30, 0), b"new")]).unwrap();
    assert_eq!(files(&dir).len(), before + 1);
    assert!(files(&dir)[..before].iter().all(|name| name.contains('-')), "{:?}", files(&dir));
    assert_eq!(found(&tails, node(2), attempt(20, 3)).unwrap(), b"20/3");
}

#[test]
fn what_is_damaged_or_torn_hides_nothing_else() {
    let dir = TempDir::new().unwrap();
    Tails::open(dir.path())
        .keep(
            node(2),
            &(1..=3).map(|index| tail(attempt(1, index), b"some words")).collect::<Vec<_>>(),
        )
        .unwrap();
    let path = dir.path().join("00000001.tails");
    let good = std::fs::read(&path).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x55;
        std::fs::write(&path, &bad).unwrap();
        let tails = Tails::open(dir.path());
        let whole: Vec<_> =
            (1..=3).filter_map(|index| found(&tails, node(2), attempt(1, index))).collect();
        assert!(whole.len() == 2 && whole.iter().all(|data| data == b"some words"), "byte {at}");
        std::fs::write(&path, &good[..at]).unwrap();
        let whole = (1..=3).filter_map(|index| found(&tails, node(2), attempt(1, index))).count();
        assert_eq!(whole, at / (good.len() / 3), "cut to {at}");
    }
}

#[test]
fn the_oldest_go_until_all_keep_to_the_limit() {
    let dir = TempDir::new().unwrap();
    let tails = Tails::open(dir.path());
    let month = Duration::from_secs(30 * 86_400);
    tails.sweep(0, month).unwrap();
    for index in 0..100 {
        tails.keep(node(2), &[tail(attempt(index, 0), &vec![b'x'; 400_000])]).unwrap();
    }
    tails.sweep(20 << 20, month).unwrap();
    let bytes: u64 = files(&dir)
        .iter()
        .map(|name| std::fs::metadata(dir.path().join(name)).unwrap().len())
        .sum();
    assert!((10 << 20..=20 << 20).contains(&bytes), "{bytes}");
    assert!(
        found(&tails, node(2), attempt(99, 0)).is_some()
            && found(&tails, node(2), attempt(0, 0)).is_none()
    );
    tails.sweep(20 << 20, Duration::ZERO).unwrap();
    assert_eq!(files(&dir), [""; 0], "all were written before now");
    tails.keep(node(2), &[tail(attempt(1, 0), b"and on")]).unwrap();
    assert_eq!(found(&tails, node(2), attempt(1, 0)).unwrap(), b"and on");
}
