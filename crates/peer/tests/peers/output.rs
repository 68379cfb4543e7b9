//! Output read through another control node, and tails that it keeps.

use std::sync::atomic::Ordering;

use peer::{Lane, Roles, Uncallable};
use proto::peer::{KeepTailsRequest, ReadOutputRequest};
use proto::session::{OutputPlace, OutputWanted, Tail, Tails};

use crate::support::{PATIENCE, World, call, node, until};

/// So many messages of so many bytes.
fn wanted(messages: u64, bytes: u64) -> OutputWanted {
    let places = vec![OutputPlace { bytes, ..OutputPlace::default() }];
    OutputWanted { run: messages, places, ..OutputWanted::default() }
}

#[tokio::test]
async fn output_comes_through_another_control_node_to_its_end() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::CONTROL, &server);
    let mut answers =
        dialer.read_output(server.id(), 0, node(3), wanted(50, 100_000)).await.unwrap();
    for number in 1..=50 {
        let output = answers.message().await.unwrap().unwrap();
        assert_eq!((output.number, output.chunks[0].data.len()), (number, 100_000));
    }
    assert_eq!(answers.message().await.unwrap(), None);
    let refused = dialer.read_output(server.id(), 0, server.id(), wanted(1, 1)).await;
    let status = refused.unwrap().message().await.unwrap_err();
    assert!(status.message().contains("nothing here"), "{status}");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_holds_up_nobody_and_ends_what_it_leaves() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::BOTH, &server);
    let mut slow =
        dialer.read_output(server.id(), 0, node(3), wanted(1 << 40, 100_000)).await.unwrap();
    slow.message().await.unwrap().unwrap();
    // What it does not take stays there, but for what is under way.
    let mut before = 0;
    let stands = async || {
        call(&dialer, server.id()).await.unwrap();
        let now = server.desk.outputs.load(Ordering::SeqCst);
        (std::mem::replace(&mut before, now) == now).then_some(now)
    };
    let sent = until("it waits for its reader", stands).await;
    assert!(sent < 50, "{sent} messages of 100 kB");
    let other = dialer.read_output(server.id(), 0, node(3), wanted(3, 9)).await;
    assert_eq!(other.unwrap().message().await.unwrap().unwrap().number, 1);
    drop(slow);
    let ended = async || (server.desk.readings.load(Ordering::SeqCst) == 0).then_some(());
    until("the readings end", ended).await;
}

#[tokio::test]
async fn it_goes_one_hop_and_only_control_nodes_may_ask() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let control = world.dialer(2, Roles::BOTH, &server);
    let again = control.read_output(server.id(), 1, node(3), wanted(1, 1)).await.unwrap_err();
    assert!(matches!(again, Uncallable::Refused { .. }), "{again}");
    for hops in [0, 2, u32::MAX] {
        let mut client = control.client(server.id(), Lane::Bulk).unwrap();
        let node_id = node(3).to_bytes();
        let request = ReadOutputRequest { hops, node_id, wanted: Some(wanted(1, 1)) };
        let status = client.read_output(request).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::FailedPrecondition, "{hops}");
    }
    let worker = world.dialer(4, Roles::WORKER, &server);
    let refused = worker.read_output(server.id(), 0, node(3), wanted(1, 1)).await.unwrap_err();
    assert!(refused.to_string().contains("only control nodes"), "{refused}");
    let mut client = worker.client(server.id(), Lane::Bulk).unwrap();
    let status = client.keep_tails(KeepTailsRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::PermissionDenied);
}

#[tokio::test]
async fn tails_are_kept_for_the_node_that_is_named() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let dialer = world.dialer(2, Roles::BOTH, &server);
    let tails = Tails { tails: vec![Tail { position: 7, ..Tail::default() }] };
    dialer.keep_tails(server.id(), node(3), tails.clone(), PATIENCE).await.unwrap();
    assert_eq!(*server.desk.kept.lock().unwrap(), [(node(3), tails)]);
    let nobody = KeepTailsRequest { node_id: vec![1], tails: None };
    let mut client = dialer.client(server.id(), Lane::Bulk).unwrap();
    let status = client.keep_tails(nobody).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::InvalidArgument);
}
