//! Requests of people and programs, which a node hands on to another one.

use std::sync::atomic::Ordering;

use http_body_util::BodyExt;
use peer::{Dialer, Roles, Uncallable};
use tonic::body::Body;
use tower::Service as _;

use crate::support::{World, node, until};

fn request(path: &str, body: &'static str) -> http::Request<Body> {
    let request = http::Request::post(path).header("authorization", "Bearer x");
    request.body(Body::new(http_body_util::Full::from(body))).unwrap()
}

#[tokio::test]
async fn one_is_carried_as_it_is_and_its_answer_too() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = Dialer::new(world.credentials(2, Roles::WORKER));
    dialer.set_address(server.id(), &server.address);
    let answer = dialer.hand_on(server.id(), request("/v1/x?y=1", "all of it")).await.unwrap();
    assert_eq!(answer.status(), 418);
    assert_eq!(answer.headers()["content-type"], "a/b");
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, format!("{} POST /v1/x?y=1 Bearer x all of it", node(2)));
}

#[tokio::test]
async fn one_whose_answer_is_dropped_ends_there() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = Dialer::new(world.credentials(2, Roles::WORKER));
    dialer.set_address(server.id(), &server.address);
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
    let dialer = Dialer::new(world.credentials(2, Roles::WORKER));
    dialer.set_address(server.id(), &server.address);
    let mut held = Vec::new();
    for _ in 0..256 {
        held.push(dialer.hand_on(server.id(), request("/lasts", "")).await.unwrap());
    }
    let one_more = dialer.hand_on(server.id(), request("/v1/x", "")).await.unwrap();
    assert_eq!(one_more.status(), 429);
    held.truncate(255);
    until("its place is free again", async || {
        let again = dialer.hand_on(server.id(), request("/v1/x", "")).await.unwrap();
        (again.status() == 418).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nobody_without_a_certificate_gets_through() {
    let world = World::new();
    let mut server = world.node(1, Roles::BOTH);
    let mut channel = crate::door::without_certificate(&server.address).await;
    std::future::poll_fn(|context| channel.poll_ready(context)).await.unwrap();
    let answer = channel.call(request("/v1/x", "")).await.unwrap();
    assert_eq!(answer.status(), 401);
    let dialer = Dialer::new(world.credentials(2, Roles::WORKER));
    dialer.set_address(server.id(), &server.address);
    server.shut().await;
    let gone = dialer.hand_on(server.id(), request("/v1/x", "")).await.unwrap_err();
    assert!(matches!(gone, Uncallable::Unconnected { .. }), "{gone}: nothing was sent");
}
