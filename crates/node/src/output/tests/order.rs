//! What goes through a session in which order: tails before their report, heartbeats before both.

use std::pin::Pin;

use proto::session::{Heartbeat, Hello, Tails as Message};

use std::collections::BTreeSet;

use super::*;

fn beat(number: u64) -> ToControl {
    ToControl { kind: Some(to_control::Kind::Heartbeat(Heartbeat { number })) }
}

/// Control nodes that take what they are given and never answer.
#[derive(Default)]
struct Silent(std::sync::Mutex<Vec<Arc<Message>>>);

impl Elsewhere for Silent {
    fn read(&self, _: NodeId, _: &Wanted) -> Option<Reading> {
        None
    }

    fn tails(&self, _: NodeId, _: &BTreeSet<Attempt>) -> mpsc::Receiver<proto::session::Tail> {
        mpsc::channel(1).1
    }

    fn keep(
        &self,
        _: NodeId,
        tails: Arc<Message>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.0.lock().unwrap().push(tails);
        Box::pin(std::future::pending())
    }
}

fn outbound(worker: &Worker) -> (mpsc::Sender<ToControl>, mpsc::Sender<ToControl>, Outbound) {
    let (words, reactor) = mpsc::channel(64);
    let (out, output) = mpsc::channel(4);
    (words, out, Outbound::new(reactor, output, worker.local.store.clone()))
}

async fn next(outbound: &mut Outbound) -> ToControl {
    tokio::time::timeout(PATIENCE, outbound.next()).await.unwrap().unwrap()
}

#[tokio::test]
async fn tails_go_before_the_report_that_has_the_ends() {
    let mut worker = Worker::new();
    let words = numbered(0..50_000);
    worker.write(attempt(1), 10, &words);
    worker.write(attempt(2), 20, b"short\n");
    let outcomes = [1, 2].map(|index| worker.end(attempt(index)));
    let silent = worker.end(attempt(3));
    let (say, _out, mut outbound) = outbound(&worker);
    let report =
        report(&[(attempt(1), &outcomes[0]), (attempt(2), &outcomes[1]), (attempt(3), &silent)]);
    say.send(report.clone()).await.unwrap();
    let first = next(&mut outbound).await;
    let Some(to_control::Kind::Tails(Message { tails })) = first.kind else { panic!("{first:?}") };
    assert_eq!(tails.len(), 2, "one message, and nothing of who wrote nothing");
    let data = |at: usize| {
        tails[at].chunks.iter().flat_map(|chunk| chunk.data.clone()).collect::<Vec<u8>>()
    };
    assert!(words.ends_with(&data(0)) && data(0).len() == TAIL_BYTES);
    assert_eq!((data(1), tails[1].position), (b"short\n".to_vec(), 0));
    assert_eq!(next(&mut outbound).await, report);
}

#[tokio::test]
async fn ends_without_output_wait_for_nothing() {
    let mut worker = Worker::new();
    let outcome = worker.end(attempt(1));
    let (say, _out, mut outbound) = outbound(&worker);
    say.send(report(&[(attempt(1), &outcome)])).await.unwrap();
    // Nothing but a look at what is there: it does not wait even once.
    let next = outbound.next();
    tokio::pin!(next);
    let polled =
        std::future::poll_fn(|context| std::task::Poll::Ready(next.as_mut().poll(context)));
    assert!(polled.await.is_ready());
}

#[tokio::test]
async fn output_goes_when_nothing_else_does() {
    let worker = Worker::new();
    let (say, out, mut outbound) = outbound(&worker);
    let output = ToControl { kind: Some(to_control::Kind::Output(wire::output(1, None))) };
    out.send(output.clone()).await.unwrap();
    out.send(output.clone()).await.unwrap();
    say.send(beat(1)).await.unwrap();
    say.send(beat(2)).await.unwrap();
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(next(&mut outbound).await);
    }
    assert_eq!(order, [beat(1), beat(2), output.clone(), output]);
    drop((say, out));
    let last = tokio::time::timeout(PATIENCE, outbound.next()).await;
    assert_eq!(last.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn a_report_waits_for_the_others_a_while_and_heartbeats_do_not() {
    let mut worker = Worker::new();
    worker.write(attempt(1), 10, b"kept\n");
    let outcome = worker.end(attempt(1));
    let others = Arc::new(Silent::default());
    let control = Control::new(Some(others.clone()));
    let mut session = Session::open(&worker, 2, &control);
    let report = report(&[(attempt(1), &outcome)]);
    let begun = tokio::time::Instant::now();
    session.words.send(report.clone()).await.unwrap();
    // It is held at one of the two ends: at the other control nodes, in the end.
    let end = Instant::now() + PATIENCE;
    while others.0.lock().unwrap().is_empty() {
        assert!(Instant::now() < end);
        tokio::task::yield_now().await;
    }
    session.words.send(beat(1)).await.unwrap();
    assert_eq!(session.hear().await, beat(1));
    assert_eq!(session.hear().await, report);
    assert!(begun.elapsed() < Duration::from_secs(4));
    let wanted = [attempt(1)].into();
    let found = control.ways.tails.find(node(2), RUN, &wanted);
    let tail = control.ways.tails.load(found[&attempt(1)]).unwrap();
    assert_eq!(tail.chunks[0].data, b"kept\n", "it was kept before its report was heard");
}

#[tokio::test(start_paused = true)]
async fn nothing_overtakes_what_takes_words_back() {
    let mut worker = Worker::new();
    worker.write(attempt(1), 10, b"kept\n");
    let outcome = worker.end(attempt(1));
    let (say, _out, mut outbound) = outbound(&worker);
    let hello = ToControl {
        kind: Some(to_control::Kind::Hello(Hello { number: 2, ..Default::default() })),
    };
    for word in [report(&[(attempt(1), &outcome)]), hello.clone(), beat(3)] {
        say.send(word).await.unwrap();
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        order.push(next(&mut outbound).await);
    }
    assert!(matches!(order[0].kind, Some(to_control::Kind::Tails(_))));
    assert_eq!(order[2..], [hello, beat(3)], "a heartbeat is not of the supervisor before it");
}
