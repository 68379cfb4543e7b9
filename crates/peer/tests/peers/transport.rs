//! Calls between nodes that know each other: requests by one hop, sessions, renewals, limits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use peer::renew::{ByPeers, BySelf, Looked, Renewer};
use peer::{Dialer, Lane, Roles, Uncallable, ca};
use proto::session::{Hello, Label, ToControl, to_control, to_worker};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::support::{PATIENCE, World, call, files, node, until};

#[tokio::test]
async fn who_calls_is_what_its_certificate_says() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    for (number, roles) in [(2, Roles::BOTH), (3, Roles::WORKER)] {
        let dialer = world.dialer(number, roles, &server);
        assert_eq!(call(&dialer, server.id()).await.unwrap(), node(number).to_string());
    }
    let error = call(&Dialer::new(server.credentials.clone()), node(9)).await.unwrap_err();
    assert_eq!(error, Uncallable::NoAddress(node(9)));
}

#[tokio::test]
async fn a_request_goes_one_hop_and_refusals_come_back_in_words() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::BOTH, &server);
    let error = dialer.forward(server.id(), 0, "hm".into(), PATIENCE).await.unwrap_err();
    let why = "what is that".to_owned();
    assert_eq!(error, Uncallable::Refused { node: server.id(), why });
    // It was forwarded to the caller already: it does not leave again, and if it did it would not be taken.
    let again = dialer.forward(server.id(), 1, "who am I".into(), PATIENCE).await.unwrap_err();
    assert!(matches!(again, Uncallable::Refused { .. }), "{again}");
    for hops in [0, 2, u32::MAX] {
        let mut client = dialer.client(server.id(), Lane::Bulk).unwrap();
        let request = proto::peer::ForwardRequest { hops, request: b"who am I".into() };
        let status = client.forward(request).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{hops}");
    }
    let late = Duration::from_millis(50);
    let late = dialer.forward(server.id(), 0, "wait".into(), late).await.unwrap_err();
    assert!(late.to_string().contains("50ms") || late.to_string().contains("imeout"), "{late}");
}

#[tokio::test]
async fn only_control_nodes_speak_for_the_journal_and_only_workers_have_sessions() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::WORKER, &server);
    let mut client = dialer.client(server.id(), Lane::Urgent).unwrap();
    let message = proto::peer::RaftRequest { message: b"vote for me".into() };
    let status = client.raft(message).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
    let parts = futures::stream::iter([proto::peer::RaftSnapshotPart { part: None }]);
    let status = client.raft_snapshot(parts).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
    let control = world.dialer(3, Roles::CONTROL, &server);
    let mut client = control.client(server.id(), Lane::Session).unwrap();
    let status = client.session(futures::stream::pending()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
}

fn hello(number: u128) -> ToControl {
    let hello = Hello { node_id: node(number).to_bytes(), ..Hello::default() };
    ToControl { kind: Some(to_control::Kind::Hello(hello)) }
}

#[tokio::test]
async fn a_session_carries_words_both_ways_and_ends_with_its_worker() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::WORKER, &server);
    let mut client = dialer.client(server.id(), Lane::Session).unwrap();
    let (words, stream) = mpsc::channel(4);
    let mut answers = client.session(ReceiverStream::new(stream)).await.unwrap().into_inner();
    for _ in 0..3 {
        words.send(hello(2)).await.unwrap();
        let answer = answers.message().await.unwrap().unwrap();
        let Some(to_worker::Kind::Welcome(welcome)) = answer.kind else { panic!("{answer:?}") };
        assert_eq!(welcome.cluster_id, node(2).to_bytes());
    }
    assert_eq!(server.desk.sessions.load(Ordering::SeqCst), 1);
    drop((words, answers));
    let ended = async || (server.desk.sessions.load(Ordering::SeqCst) == 0).then_some(());
    until("the end of the session", ended).await;
}

#[tokio::test]
async fn a_worker_cannot_say_hello_for_another_one() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::WORKER, &server);
    let mut client = dialer.client(server.id(), Lane::Session).unwrap();
    let (words, stream) = mpsc::channel(4);
    let mut answers = client.session(ReceiverStream::new(stream)).await.unwrap().into_inner();
    words.send(hello(3)).await.unwrap();
    let status = answers.message().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
    assert!(status.message().contains("of another node"), "{status}");
}

/// Its name and its labels are in every control node's state: they must not fill it.
#[tokio::test]
async fn a_worker_cannot_say_more_of_itself_than_is_kept() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::WORKER, &server);
    let label = |bytes| Label { key: "k".into(), value: "v".repeat(bytes) };
    for (labels, fits) in [(vec![label(60 << 10)], true), (vec![label(1000); 70], false)] {
        let mut client = dialer.client(server.id(), Lane::Session).unwrap();
        let (words, stream) = mpsc::channel(4);
        let mut answers = client.session(ReceiverStream::new(stream)).await.unwrap().into_inner();
        let hello = Hello { node_id: node(2).to_bytes(), labels, ..Hello::default() };
        let hello = ToControl { kind: Some(to_control::Kind::Hello(hello)) };
        words.send(hello).await.unwrap();
        match answers.message().await {
            Ok(Some(_)) if fits => {}
            Err(status) if !fits => {
                assert_eq!(status.code(), tonic::Code::InvalidArgument);
                assert!(status.message().contains("fewer labels"), "{status}");
            }
            other => panic!("{fits}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_node_that_asks_too_much_waits_for_itself_alone() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let greedy = world.dialer(2, Roles::BOTH, &server);
    let mut waiting = tokio::task::JoinSet::new();
    for _ in 0..256 {
        let (greedy, id) = (greedy.clone(), server.id());
        waiting.spawn(async move { greedy.forward(id, 0, "wait".into(), PATIENCE).await });
    }
    let full = async || (server.desk.calls.load(Ordering::SeqCst) == 256).then_some(());
    until("all of its calls", full).await;
    // Another connection of the same node, for the streams of the first are all in use.
    let second = world.dialer(2, Roles::BOTH, &server);
    let error = call(&second, server.id()).await.unwrap_err().to_string();
    assert!(error.contains("too many calls"), "{error}");
    let other = world.dialer(3, Roles::BOTH, &server);
    assert_eq!(call(&other, server.id()).await.unwrap(), node(3).to_string());
    waiting.shutdown().await;
    until("room again", async || call(&second, server.id()).await.ok()).await;
}

#[tokio::test]
async fn a_listener_that_comes_back_is_found_again() {
    let world = World::new();
    let mut server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::BOTH, &server);
    call(&dialer, server.id()).await.unwrap();
    server.shut().await;
    until("a failure", async || call(&dialer, server.id()).await.err()).await;
    server.reopen();
    until("an answer", async || call(&dialer, server.id()).await.ok()).await;
    // And elsewhere.
    server.shut().await;
    let moved = world.node(1, Roles::BOTH);
    dialer.set_address(server.id(), &moved.address);
    until("an answer elsewhere", async || call(&dialer, server.id()).await.ok()).await;
}

#[tokio::test]
async fn a_certificate_is_renewed_in_time_by_oneself_and_by_others() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let worker = world.credentials(2, Roles::WORKER);
    let by_peers = Dialer::new(worker.clone());
    by_peers.set_address(server.id(), &server.address);
    let by_self = BySelf {
        authority: world.authority.clone(),
        credentials: server.credentials.clone(),
        life: ca::LIFE,
    };
    let by_peers = ByPeers { dialer: by_peers, credentials: worker.clone() };
    let [(_one, one), (_other, other)] = [(); 2].map(|()| files());
    let renewers = [
        Renewer { credentials: server.credentials.clone(), files: one, certify: Arc::new(by_self) },
        Renewer { credentials: worker.clone(), files: other, certify: Arc::new(by_peers) },
    ];
    let third = ca::LIFE.as_secs() / 3;
    let mut serials = vec![];
    for (passed_s, expected) in [
        (third, Looked::Fresh),
        (third, Looked::Renewed),
        (third, Looked::Fresh),
        (third, Looked::Renewed),
    ] {
        world.now_s.fetch_add(passed_s, Ordering::SeqCst);
        for renewer in &renewers {
            assert_eq!(renewer.look().await, expected);
            let certified = renewer.credentials.certified();
            assert!(certified.until_s > world.now_s());
            match renewer.files.own().unwrap() {
                Some(own) => assert_eq!(own.certified, certified),
                None => assert_eq!(expected, Looked::Fresh),
            }
            serials.push(certified.serial);
        }
    }
    serials.sort();
    serials.dedup();
    assert_eq!(serials.len(), 6, "each renewal is another certificate");
    // Connections made with the first one are over by now, and new ones count.
    let dialer = Dialer::new(worker);
    dialer.set_address(server.id(), &server.address);
    assert_eq!(call(&dialer, server.id()).await.unwrap(), node(2).to_string());
}

#[tokio::test]
async fn what_is_left_after_a_recovery_certifies_itself_anew() {
    let world = World::new();
    let credentials = world.credentials(1, Roles::BOTH);
    let (authority, life) = (world.authority.clone(), ca::LIFE);
    let certify = Arc::new(BySelf { authority, credentials: credentials.clone(), life });
    let (_dir, files) = files();
    let renewer = Renewer { credentials: credentials.clone(), files, certify };
    credentials.change_trust(|trust| trust.incarnation += 1);
    assert_eq!(renewer.look().await, Looked::Renewed);
    assert_eq!(credentials.certified().identity.incarnation, world.incarnation + 1);
    assert_eq!(renewer.look().await, Looked::Fresh);
}

#[tokio::test]
async fn a_renewal_that_fails_keeps_what_there_is() {
    let world = World::new();
    let worker = world.credentials(2, Roles::WORKER);
    let before = worker.certified();
    let dialer = Dialer::new(worker.clone());
    let (_dir, files) = files();
    let certify = Arc::new(ByPeers { dialer, credentials: worker.clone() });
    let renewer = Renewer { credentials: worker.clone(), files, certify };
    world.now_s.fetch_add(ca::LIFE.as_secs() * 3 / 4, Ordering::SeqCst);
    assert_eq!(renewer.look().await, Looked::Failed("no control node is known".to_owned()));
    assert_eq!(worker.certified(), before);
}
