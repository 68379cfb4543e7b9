//! Output and tails between control nodes, over real sockets with TLS.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::sync::Mutex;

use ::peer::files::Own;
use ::peer::service::{Answer, Refused};
use ::peer::{
    Authority, Certified, Clock, Credentials, Dialer, Identity, Listener, NodeKey, Roles, Service,
    Trust, ca,
};
use model::ClusterId;
use proto::peer::copy_request;
use proto::session::{Output as Message, OutputWanted};

use super::*;

/// What a control node does for others: what the node's own service will.
struct Desk {
    ways: Arc<Ways>,
    keeping: Arc<Keeping>,
}

impl Service for Desk {
    fn read_output(
        &self,
        _: Certified,
        node: NodeId,
        wanted: OutputWanted,
        answers: mpsc::Sender<Message>,
    ) -> Answer<'_, Result<(), Refused>> {
        Box::pin(async move {
            self.ways.answer(node, wanted, answers).await;
            Ok(())
        })
    }

    fn copy(
        &self,
        _: Certified,
        wanted: copy_request::Wanted,
        pieces: mpsc::Sender<proto::peer::Piece>,
    ) -> Answer<'_, Result<(), Refused>> {
        let copy_request::Wanted::Tails(wanted) = wanted else { panic!("{wanted:?}") };
        Box::pin(crate::copies::tails::send(self.ways.tails.clone(), wanted, pieces))
    }

    fn keep_tails(
        &self,
        _: Certified,
        node: NodeId,
        tails: proto::session::Tails,
    ) -> Answer<'_, Result<(), Refused>> {
        Box::pin(async move {
            self.keeping.keep_here(node, Arc::new(tails)).await;
            Ok(())
        })
    }
}

/// The one that leads, and the others.
struct Known(Mutex<Option<NodeId>>, Vec<NodeId>);

impl Contacts for Known {
    fn leader(&self) -> Option<NodeId> {
        *self.0.lock().unwrap()
    }

    fn others(&self) -> Vec<NodeId> {
        self.1.clone()
    }
}

fn credentials(authority: &Authority, number: u8) -> Arc<Credentials> {
    let now_s = 1_800_000_000;
    let (cluster, incarnation) = (authority.cluster(), 1);
    let identity = Identity { cluster, incarnation, node: node(number), roles: Roles::BOTH };
    let key = NodeKey::draw().unwrap();
    let made = authority.certify(&identity, &key.public(), ca::LIFE, now_s).unwrap();
    let trust = Trust::new(cluster, incarnation, authority.certificate().clone());
    let own = Own::new(made, key).unwrap();
    Credentials::new(trust, &own, Clock::of(move || now_s)).unwrap()
}

/// The control node 5, which leads, and the control node 6, which asks it.
struct Pair {
    leader: Control,
    follower: Control,
    _listener: Listener,
    _silent: TcpListener,
}

impl Pair {
    async fn new() -> Pair {
        let authority = Authority::found(ClusterId(Uuid::from_u128(7)), 1_800_000_000).unwrap();
        let leader = Control::new(None);
        let desk = Desk { ways: leader.ways.clone(), keeping: leader.keeping.clone() };
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let listener = Listener::open(socket, credentials(&authority, 5), Arc::new(desk)).unwrap();
        let dialer = Dialer::new(credentials(&authority, 6));
        dialer.set_address(node(5), &listener.local_addr().to_string());
        // One of them takes connections, and says nothing.
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        dialer.set_address(node(4), &silent.local_addr().unwrap().to_string());
        let contacts = Arc::new(Known(Mutex::new(Some(node(5))), vec![node(4), node(5)]));
        let follower = Control::new(Some(Arc::new(Peers { dialer, contacts })));
        Pair { leader, follower, _listener: listener, _silent: silent }
    }
}

#[tokio::test]
async fn what_has_its_session_with_the_leader_is_read_from_another_control_node() {
    let pair = Pair::new().await;
    let mut worker = Worker::new();
    let words = numbered(0..50_000);
    worker.write(attempt(1), 10, &words);
    let outcome = worker.end(attempt(1));
    worker.local.live.forget(&[attempt(1)]);
    let session = Session::open(&worker, 2, &pair.leader);
    let wanted = Wanted { ended: vec![ended(attempt(1), &outcome)], ..live(true) };
    let mut reading = pair.follower.ways.read(node(2), &wanted).unwrap();
    let mut all = String::new();
    while all.len() < words.len() {
        all += &text(&some(&mut reading).await.unwrap().unwrap());
    }
    assert!(all.as_bytes() == words);
    worker.write(attempt(2), 20, b"live\n");
    assert_eq!(text(&some(&mut reading).await.unwrap().unwrap()), "live\n");
    session.cut().await;
    let cut = some(&mut reading).await.unwrap().unwrap_err();
    assert!(cut.retry && cut.why.contains("cut off"), "{cut:?}");
    let mut again = pair.follower.ways.read(node(2), &wanted).unwrap();
    let none = some(&mut again).await.unwrap().unwrap_err();
    assert!(none.retry && none.why.contains("no session"), "{none:?}");
}

#[tokio::test]
async fn tails_are_handed_on_to_the_other_control_nodes() {
    let pair = Pair::new().await;
    let mut worker = Worker::new();
    worker.write(attempt(1), 10, b"kept twice\n");
    let outcome = worker.end(attempt(1));
    // Whoever has the session hands them on.
    let mut session = Session::open(&worker, 2, &pair.follower);
    session.words.send(report(&[(attempt(1), &outcome)])).await.unwrap();
    session.hear().await;
    for control in [&pair.follower, &pair.leader] {
        let tails = &control.ways.tails;
        let end = Instant::now() + PATIENCE;
        let kept = loop {
            if let Some(kept) = tails.find(node(2), RUN, &[attempt(1)].into()).remove(&attempt(1)) {
                break kept;
            }
            assert!(Instant::now() < end, "it is not kept");
            tokio::task::yield_now().await;
        };
        assert_eq!(tails.load(kept).unwrap().chunks[0].data, b"kept twice\n");
    }
}

#[tokio::test]
async fn a_tail_that_another_control_node_has_is_fetched_once_it_is_wanted() {
    let pair = Pair::new().await;
    let mut worker = Worker::new();
    worker.write(attempt(1), 10, b"its last words\n");
    worker.write(attempt(2), 20, b"nobody has these\n");
    let outcomes = [1, 2].map(|index| worker.end(attempt(index)));
    // This one was away when the worker told it.
    let mut session = Session::open(&worker, 2, &pair.leader);
    session.words.send(report(&[(attempt(1), &outcomes[0])])).await.unwrap();
    session.hear().await;
    session.cut().await;
    let absent = Absent { node: node(2), words: "node two".to_owned(), running: BTreeSet::new() };
    let wanted = Wanted {
        run: RUN,
        ended: vec![ended(attempt(1), &outcomes[0]), ended(attempt(2), &outcomes[1])],
        ..Wanted::default()
    };
    let mut reading = pair.follower.ways.read_kept(absent, wanted);
    let mut all = String::new();
    while let Some(piece) = some(&mut reading).await {
        all += &text(&piece.unwrap());
    }
    assert!(all.contains("its last words\n"), "{all}");
    assert!(all.contains("17 B of output missing here: it lay on node two"), "{all}");
    let kept = pair.follower.ways.tails.find(node(2), RUN, &[attempt(1)].into());
    assert_eq!(kept.len(), 1, "it is kept here from now on");
}
