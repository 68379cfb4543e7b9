//! Requests of people and programs, which a node hands on to another one.

use std::sync::atomic::Ordering;

use http_body_util::BodyExt;
use peer::{Roles, Uncallable};
use tonic::body::Body;
use tower::Service as _;

use crate::support::{PATIENCE, World, node, until};

fn request(path: &str, body: &'static str) -> http::Request<Body> {
    let request = http::Request::post(path).header("authorization", "Bearer x");
    request.body(Body::new(http_body_util::Full::from(body))).unwrap()
}

#[tokio::test]
async fn one_is_carried_as_it_is_and_its_answer_too() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::WORKER, &server);
    let answer = dialer.hand_on(server.id(), request("/v1/x?y=1", "all of it")).await.unwrap();
    assert_eq!(answer.status(), 418);
    assert_eq!(answer.headers()["content-type"], "a/b");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, format!("{} POST /v1/x?y=1 Bearer x all of it", node(2)));
}

#[tokio::test]
async fn none_reaches_what_nodes_say_to_each_other() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::BOTH, &server);
    for path in ["/windlass.peer.v1.Peer/Forward", "//windlass.peer.v1.Peer/Forward", "/people/x"] {
        let answer = dialer.hand_on(server.id(), request(path, "")).await.unwrap();
        assert_eq!(answer.status(), 418, "{path} is somebody's request like any other");
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        assert!(String::from_utf8_lossy(&body).contains(&format!("POST {path} ")), "{body:?}");
    }
    assert_eq!(server.desk.calls.load(Ordering::SeqCst), 0);
    // Nor is the connection's own account harmed by what has no path.
    let connect = http::Request::connect("127.0.0.1:7400").body(Body::empty()).unwrap();
    let refused = dialer.hand_on(server.id(), connect).await.unwrap_err();
    assert!(matches!(refused, Uncallable::Refused { .. }), "{refused}");
    assert_eq!(dialer.hand_on(server.id(), request("/v1/x", "")).await.unwrap().status(), 418);
    let busy = dialer.hand_on(server.id(), request("/busy", "")).await.unwrap_err();
    let refused = Uncallable::Refused { node: server.id(), why: "it is starting".to_owned() };
    assert_eq!(busy, refused, "it was not looked at");
}

#[tokio::test]
async fn readers_that_take_nothing_keep_nobody_else_waiting() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::WORKER, &server);
    let mut held = Vec::new();
    for _ in 0..200 {
        held.push(dialer.hand_on(server.id(), request("/endless", "")).await.unwrap());
    }
    for _ in 0..10 {
        let other = dialer.hand_on(server.id(), request("/v1/x", "told to its end")).await.unwrap();
        let body = tokio::time::timeout(PATIENCE, other.into_body().collect()).await.unwrap();
        assert!(body.unwrap().to_bytes().ends_with(b"told to its end"));
    }
}

#[tokio::test]
async fn one_whose_answer_is_dropped_ends_there() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::WORKER, &server);
    let answer = dialer.hand_on(server.id(), request("/lasts", "")).await.unwrap();
    assert_eq!(server.desk.lasting.load(Ordering::SeqCst), 1);
    drop(answer);
    let ended = async || (server.desk.lasting.load(Ordering::SeqCst) == 0).then_some(());
    until("the other side hears of it", ended).await;
}

#[tokio::test]
async fn a_node_has_so_many_under_way_and_no_more() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::WORKER, &server);
    let mut held = Vec::new();
    for _ in 0..256 {
        held.push(dialer.hand_on(server.id(), request("/lasts", "")).await.unwrap());
    }
    let one_more = dialer.hand_on(server.id(), request("/v1/x", "")).await.unwrap_err();
    assert!(one_more.to_string().contains("too many requests"), "{one_more}");
    held.truncate(255);
    until("its place is free again", async || {
        let again = dialer.hand_on(server.id(), request("/v1/x", "")).await;
        again.is_ok().then_some(())
    })
    .await;
}

#[tokio::test]
async fn nobody_without_a_certificate_gets_through() {
    let world = World::new();
    let mut server = world.node(1, Roles::BOTH);
    let mut channel = crate::door::without_certificate(&server.address).await;
    std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let answer = channel.call(request("/people/v1/x", "")).await.unwrap();
    assert_eq!(answer.status(), 401);
    let dialer = world.dialer(2, Roles::WORKER, &server);
    server.shut().await;
    let gone = dialer.hand_on(server.id(), request("/v1/x", "")).await.unwrap_err();
    assert!(matches!(gone, Uncallable::Unconnected { .. }), "{gone}: nothing was sent");
}
