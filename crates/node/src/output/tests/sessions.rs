//! Reading a worker through its session.

use super::*;

#[tokio::test]
async fn what_a_worker_writes_is_followed_through_its_session() {
    let (mut worker, control) = (Worker::new(), Control::new(None));
    worker.write(attempt(1), 10, b"before\n");
    let _session = Session::open(&worker, 2, &control);
    let mut reading = control.ways.read(node(2), &live(true)).unwrap();
    assert_eq!(text(&some(&mut reading).await.unwrap().unwrap()), "before\n");
    worker.write(attempt(1), 20, b"then\n");
    assert_eq!(text(&some(&mut reading).await.unwrap().unwrap()), "then\n");
    worker.write(attempt(7), 30, b"another attempt\n");
    let piece = some(&mut reading).await.unwrap().unwrap();
    assert_eq!(piece.chunks[0].chunk.attempt, attempt(7));
    assert_eq!(control.ways.read(node(9), &live(true)).map(drop), None, "nobody knows that node");
}

#[tokio::test]
async fn what_is_there_is_read_by_time_to_its_end_and_only_what_is_selected() {
    let (mut worker, control) = (Worker::new(), Control::new(None));
    for (index, time_us, line) in
        [(1, 10, "a\n"), (2, 20_000, "b\n"), (1, 40_000, "c\n"), (3, 50_000, "d\n")]
    {
        worker.write(attempt(index), time_us, line.as_bytes());
    }
    worker.write_to(attempt(1), runner::output::Stream::Stderr, 60_000, b"e\n");
    let outcome = worker.end(attempt(1));
    worker.local.live.forget(&[attempt(1)]);
    let _session = Session::open(&worker, 2, &control);
    let read = async |wanted: Wanted| {
        let mut reading = control.ways.read(node(2), &wanted).unwrap();
        let mut all = String::new();
        while let Some(piece) = some(&mut reading).await {
            all += &text(&piece.unwrap());
        }
        all
    };
    let all = Wanted { ended: vec![ended(attempt(1), &outcome)], ..live(false) };
    assert_eq!(read(all.clone()).await, "a\nb\nc\nd\ne\n");
    assert_eq!(read(Wanted { streams: Streams::Stderr, ..all.clone() }).await, "e\n");
    let two = BTreeMap::from([(0, RangeSet::from_iter([2..=2]))]);
    assert_eq!(read(Wanted { live: two, ended: vec![], ..all.clone() }).await, "b\n");
    assert_eq!(read(Wanted { attempt: Some(2), ended: vec![], ..all }).await, "");
}

#[tokio::test]
async fn a_slow_reader_stops_its_own_reading_alone() {
    let (mut worker, control) = (Worker::new(), Control::new(None));
    let words = numbered(0..500_000);
    for (count, part) in words.chunks(400_000).enumerate() {
        worker.write(attempt(1), count as u64 * 100_000, part);
    }
    worker.write(attempt(2), 1 << 40, b"quick\n");
    let mut session = Session::open(&worker, 2, &control);
    let select = |index| BTreeMap::from([(0, RangeSet::from_iter([index..=index]))]);
    let mut slow = control.ways.read(node(2), &Wanted { live: select(1), ..live(false) }).unwrap();
    let first = some(&mut slow).await.unwrap().unwrap();
    // It takes no more for now. Others are read, and what the reactor says gets through.
    for _ in 0..100 {
        let wanted = Wanted { live: select(2), ..live(false) };
        let mut quick = control.ways.read(node(2), &wanted).unwrap();
        assert_eq!(text(&some(&mut quick).await.unwrap().unwrap()), "quick\n");
    }
    let beat = proto::session::Heartbeat { number: 7 };
    let beat = ToControl { kind: Some(to_control::Kind::Heartbeat(beat)) };
    session.words.send(beat.clone()).await.unwrap();
    assert_eq!(session.hear().await, beat);
    assert!(slow.waiting() < 2 * serve::WINDOW / (64 << 10), "{} pieces wait", slow.waiting());
    let mut all: Vec<u8> = text(&first).into_bytes();
    while let Some(piece) = some(&mut slow).await {
        all.extend(text(&piece.unwrap()).into_bytes());
    }
    assert!(all == words, "every byte comes, once");
}

#[tokio::test]
async fn a_reading_that_was_cut_off_goes_on_where_it_was() {
    let (mut worker, control) = (Worker::new(), Control::new(None));
    let words = numbered(0..200_000);
    for (count, part) in words.chunks(10_000).enumerate() {
        worker.write(attempt(1), count as u64 * 100_000, part);
    }
    let mut gather = Gather::default();
    let (mut all, mut cuts) = (Vec::new(), 0);
    let mut session = Some(Session::open(&worker, 2, &control));
    let mut wanted = live(true);
    gather.add(node(2), wanted.clone(), control.ways.read(node(2), &wanted).unwrap());
    while all.len() < words.len() {
        match tokio::time::timeout(PATIENCE, gather.next()).await.unwrap() {
            Step::Chunk(chunk) => all.extend(chunk.data),
            Step::CaughtUp => {}
            Step::Over(over) => {
                assert!(over.end.is_err_and(|broken| broken.retry));
                // With places, and without: both go on without a double.
                wanted.places =
                    gather.place(attempt(1)).map(|at| (attempt(1), at)).into_iter().collect();
                if cuts % 2 == 0 {
                    wanted.places.clear();
                }
                session = Some(Session::open(&worker, 2, &control));
                gather.add(node(2), wanted.clone(), control.ways.read(node(2), &wanted).unwrap());
            }
        }
        if all.len() > (cuts + 1) * words.len() / 5 {
            cuts += 1;
            session.take().unwrap().cut().await;
        }
    }
    assert!(all == words && cuts >= 3, "{} bytes, {cuts} cuts", all.len());
}

#[tokio::test]
async fn a_node_that_sends_more_than_it_may_is_not_heard() {
    let control = Control::new(None);
    let (messages, mut inbox) = mpsc::unbounded_channel();
    let connection = control.ways.remote.opened(node(2), messages);
    let mut reading = control.ways.read(node(2), &live(true)).unwrap();
    let asked = inbox.recv().await.unwrap();
    let Some(proto::session::to_worker::Kind::ReadOutput(asked)) = asked.kind else { panic!() };
    let placed = Placed {
        chunk: Chunk::mark(attempt(1), 0, "x"),
        place: runner::output::Place { bytes: 0, marks: 1 },
    };
    for _ in 0..100_000 {
        let piece = Piece { chunks: vec![placed.clone()], caught_up: false };
        connection.heard(wire::output(asked.number, Some(Ok(piece))));
    }
    let stop = inbox.recv().await.unwrap();
    assert!(matches!(stop.kind, Some(proto::session::to_worker::Kind::StopReading(_))));
    let mut pieces = 0;
    while let Some(Ok(_)) = some(&mut reading).await {
        pieces += 1;
    }
    assert!(pieces < 20_000, "{pieces} pieces waited");
}

#[tokio::test]
async fn a_node_takes_so_many_readers_and_tells_the_others() {
    let (worker, control) = (Worker::new(), Control::new(None));
    let _session = Session::open(&worker, 2, &control);
    let mut readings: Vec<Reading> =
        (0..65).map(|_| control.ways.read(node(2), &live(true)).unwrap()).collect();
    let refused = some(readings.last_mut().unwrap()).await.unwrap().unwrap_err();
    assert!(refused.retry && refused.why.contains("too many readers"), "{refused:?}");
    readings.clear();
    let mut again = control.ways.read(node(2), &live(false)).unwrap();
    assert_eq!(some(&mut again).await, None, "those that left have made room");
}

#[tokio::test]
async fn of_what_was_given_up_and_cannot_be_found_a_mark_says_so() {
    let (mut worker, control) = (Worker::new(), Control::new(None));
    worker.write(attempt(1), 10, b"nobody heard of its end\n");
    worker.end(attempt(1));
    worker.local.live.forget(&[attempt(1)]);
    let _session = Session::open(&worker, 2, &control);
    let lost = |index, unheard| Ended {
        attempt: attempt(index),
        list: List::Lost { unheard },
        bytes: 0,
        ended_us: 0,
    };
    // The second was never known to start: there is nothing to miss.
    let wanted =
        Wanted { run: RUN, ended: vec![lost(1, true), lost(2, false)], ..Wanted::default() };
    let mut reading = control.ways.read(node(2), &wanted).unwrap();
    let piece = some(&mut reading).await.unwrap().unwrap();
    assert!(text(&piece).contains("its node was given up while it ran"), "{}", text(&piece));
    assert_eq!(piece.chunks[0].chunk.attempt, attempt(1));
    assert!(some(&mut reading).await.is_none());
}
