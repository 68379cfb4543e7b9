//! Who is refused, and that both sides are told why.

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use model::ClusterId;
use peer::{Credentials, Dialer, Roles, Uncallable};
use uuid::Uuid;

use crate::support::{Node, PATIENCE, World, call, node, socket, until};

/// Calls and is refused; what the caller and what the server say of it.
async fn refused(caller: &Dialer, server: &Node) -> (String, String) {
    caller.set_address(server.id(), &server.address);
    let error = call(caller, server.id()).await.unwrap_err();
    assert!(matches!(error, Uncallable::Unconnected { .. }), "{error}");
    assert_eq!(server.desk.calls.load(Ordering::SeqCst), 0, "nothing got through");
    (error.to_string(), server.refusal().await)
}

fn says(text: &str, words: &str) {
    assert!(text.contains(words), "{text:?} says {words:?}");
}

#[tokio::test]
async fn a_stranger_is_refused_by_both_sides() {
    let (world, mut other) = (World::new(), World::new());
    let server = world.node(1, Roles::BOTH);
    // Its own authority says that it is of our cluster; and so does it of the server, whose certificate it refuses.
    let stranger = Dialer::new(other.credentials(2, Roles::BOTH));
    let (caller, called) = refused(&stranger, &server).await;
    says(&caller, "not issued by this cluster's authority");
    says(&called, "not of the other side's cluster");
    // One that believes the server gets as far as to show its own.
    other.incarnation = world.incarnation;
    let own = other.own(&other.identity(2, Roles::BOTH), peer::ca::LIFE);
    let credentials = Credentials::new(world.trust(), &own, world.clock()).unwrap();
    let server = world.node(3, Roles::BOTH);
    let (caller, called) = refused(&Dialer::new(credentials), &server).await;
    says(&caller, "not of the other side's cluster");
    says(&called, "not issued by this cluster's authority");
}

#[tokio::test]
async fn one_of_another_incarnation_is_refused() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let mut identity = world.identity(2, Roles::BOTH);
    identity.incarnation -= 1;
    let old = world.own(&identity, peer::ca::LIFE);
    let credentials = Credentials::new(world.trust(), &old, world.clock()).unwrap();
    let (caller, called) = refused(&Dialer::new(credentials), &server).await;
    says(&caller, "another cluster or incarnation");
    says(&called, "incarnation 2 of the cluster, which is in incarnation 3");
}

#[tokio::test]
async fn one_of_another_cluster_is_refused_though_the_authority_is_the_same() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let key = world.authority.key();
    let certificate = world.authority.certificate().clone();
    let cluster = ClusterId(Uuid::from_u128(9));
    let authority = peer::Authority::from_parts(cluster, certificate, &key).unwrap();
    let copied = World { authority: authority.into(), ..World::new() };
    let own = copied.own(&copied.identity(2, Roles::BOTH), peer::ca::LIFE);
    let credentials = Credentials::new(world.trust(), &own, world.clock()).unwrap();
    let (caller, called) = refused(&Dialer::new(credentials), &server).await;
    assert!(caller.contains("refuses this node's certificate"), "{caller}");
    // The name of the issuer differs already.
    assert!(called.contains("authority") || called.contains("is of cluster"), "{called}");
}

#[tokio::test]
async fn an_expired_one_is_refused() {
    let world = World::new();
    let own = world.own(&world.identity(2, Roles::BOTH), Duration::from_secs(60));
    let credentials = Credentials::new(world.trust(), &own, world.clock()).unwrap();
    world.now_s.fetch_add(61, Ordering::SeqCst);
    let server = world.node(1, Roles::BOTH);
    let (caller, called) = refused(&Dialer::new(credentials), &server).await;
    says(&caller, "it has expired");
    says(&called, "the certificate has expired");
    says(&called, "hint: compare the clocks");
}

#[tokio::test]
async fn a_revoked_one_is_refused_and_its_connections_end() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let caller = Dialer::new(world.credentials(2, Roles::BOTH));
    caller.set_address(server.id(), &server.address);
    assert_eq!(call(&caller, server.id()).await.unwrap(), node(2).to_string());
    let waits = caller.forward(server.id(), 0, "wait".into(), PATIENCE);
    let revoked = async {
        until("the call", async || (server.desk.calls.load(Ordering::SeqCst) == 2).then_some(()))
            .await;
        server.credentials.change_trust(|trust| {
            assert!(trust.revoke(node(2), None, u64::MAX, 0));
        });
    };
    let (broken, ()) = tokio::join!(waits, revoked);
    assert!(matches!(broken, Err(Uncallable::Unreachable { .. })), "{broken:?}");
    let error = until("the refusal", async || {
        let error = call(&caller, server.id()).await.unwrap_err().to_string();
        error.contains("it was revoked").then_some(error)
    })
    .await;
    says(&error, "refuses this node's certificate");
    says(&server.refusal().await, "was revoked");
    assert_eq!(server.desk.calls.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn an_incarnation_that_is_raised_ends_what_is_open() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let caller = Dialer::new(world.credentials(2, Roles::BOTH));
    caller.set_address(server.id(), &server.address);
    call(&caller, server.id()).await.unwrap();
    server.credentials.change_trust(|trust| trust.incarnation += 1);
    until("the refusal", async || call(&caller, server.id()).await.err()).await;
}

#[tokio::test]
async fn a_node_that_claims_the_id_of_another_is_refused() {
    let world = World::new();
    let impostor = world.node(2, Roles::BOTH);
    let caller = Dialer::new(world.credentials(1, Roles::BOTH));
    // Somebody has led the address of node 3 to node 2.
    caller.set_address(node(3), &impostor.address);
    let error = call(&caller, node(3)).await.unwrap_err().to_string();
    says(
        &error,
        &format!("the certificate is of node {}, and node {} was called", node(2), node(3)),
    );
    says(&impostor.refusal().await, "not of the node that was called");
    assert_eq!(impostor.desk.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_text_is_refused_at_once() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    for words in ["GET / HTTP/1.1\r\nhost: x\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let start = Instant::now();
        let address = server.address.clone();
        let asked = tokio::task::spawn_blocking(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            stream.write_all(words.as_bytes()).unwrap();
            let mut answer = Vec::new();
            // An alert, and the end; or the end alone.
            let _ = stream.read_to_end(&mut answer);
            answer
        });
        let answer = asked.await.unwrap();
        assert!(answer.len() < 20, "{answer:?}");
        assert!(start.elapsed() < Duration::from_secs(4), "before a handshake would time out");
        says(&server.refusal().await, "does not speak TLS");
    }
}

#[tokio::test]
async fn nobody_without_a_certificate_gets_further_than_the_door() {
    use proto::peer::peer_client::PeerClient;

    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let channel = crate::door::without_certificate(&server.address).await;
    let request = proto::peer::ForwardRequest { hops: 1, request: b"who am I".into() };
    let status = PeerClient::new(channel).forward(request).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::Unauthenticated);
    says(status.message(), "only nodes of the cluster");
    assert_eq!(server.desk.calls.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn whoever_says_without_a_certificate_that_a_node_was_removed_is_not_believed() {
    let world = World::new();
    let mut server = world.node(1, Roles::BOTH);
    let credentials = world.credentials(2, Roles::BOTH);
    let dialer = Dialer::new(credentials.clone());
    dialer.set_address(server.id(), &server.address);
    server.shut().await;
    let socket = socket(&server.address);
    let stranger = std::thread::spawn(move || {
        let (mut stream, _) = socket.accept().unwrap();
        // A fatal alert, before any handshake: the certificate was revoked.
        stream.write_all(&[0x15, 3, 3, 0, 2, 2, 0x2c]).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    });
    let error = call(&dialer, server.id()).await.unwrap_err();
    assert!(error.to_string().contains("revoked"), "{error}");
    stranger.join().unwrap();
    let removed = credentials.removed();
    assert!(futures::FutureExt::now_or_never(removed).is_none(), "it goes on");
}
