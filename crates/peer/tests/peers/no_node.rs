//! A certificate of the listener for people and programs is of the same authority, and passes for no node's.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use peer::files::Own;
use peer::server::SERVER_LIFE;
use peer::token::Kept;
use peer::{Dialer, JoinToken, Joining, NodeKey, Roles, join};
use proto::peer::peer_client::PeerClient;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpListener;

use crate::door::{believing, connect};
use crate::support::{World, call, node};

/// Of the name under which the test's own client calls.
fn certificate(world: &World) -> (CertificateDer<'static>, NodeKey) {
    let key = NodeKey::draw().unwrap();
    let names = [ServerName::try_from("anybody").unwrap()];
    let made = world.authority.certify_server(&names, &key.public(), SERVER_LIFE, world.now_s());
    (made.unwrap(), key)
}

#[tokio::test]
async fn nobody_calls_a_node_with_it() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let (certificate, key) = certificate(&world);
    let chain = vec![certificate, world.authority.certificate().clone()];
    let config = believing().with_client_auth_cert(chain, key.to_der()).unwrap();
    let mut client = PeerClient::new(connect(&server.address, config));
    let request = proto::peer::ForwardRequest { hops: 1, request: b"who am I".into() };
    client.forward(request).await.unwrap_err();
    let why = server.refusal().await;
    assert!(why.contains("not issued by this cluster's authority"), "{why}");
    assert_eq!(server.desk.calls.load(Ordering::SeqCst), 0);
}

/// Somebody who has got hold of such a key, at the address of a node.
async fn impostor(world: &World) -> String {
    let (certificate, key) = certificate(world);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate, world.authority.certificate().clone()], key.to_der())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            // Refused, each time.
            let _ = acceptor.accept(stream).await;
        }
    });
    address
}

#[tokio::test]
async fn nobody_answers_in_a_nodes_place_with_it() {
    let world = World::new();
    let address = impostor(&world).await;
    let caller = Dialer::new(world.credentials(2, Roles::BOTH));
    caller.set_address(node(1), &address);
    let error = call(&caller, node(1)).await.unwrap_err().to_string();
    assert!(error.contains("not one of a node of a Windlass cluster"), "{error}");

    let (cluster, authority) = (world.authority.cluster(), world.authority.certificate());
    let hour = std::time::Duration::from_secs(3600);
    let (token, _) = Kept::make(cluster, authority, Roles::BOTH, hour, 1, world.now_s()).unwrap();
    let token = JoinToken::parse(&token.text()).unwrap();
    let joining =
        Joining { node: node(3), name: "new".into(), roles: Roles::BOTH, address: String::new() };
    let key = NodeKey::draw().unwrap();
    let error = join(&address, &token, &joining, key, &world.clock()).await.unwrap_err();
    assert!(error.to_string().contains("not one of a node of a Windlass cluster"), "{error}");
}

#[test]
fn no_node_takes_it_for_its_own() {
    let (certificate, key) = certificate(&World::new());
    assert!(Own::new(certificate, key).is_err());
}

/// And the other way round: a node's certificate is good for no name that a client could call.
#[test]
fn a_nodes_certificate_serves_under_no_name() {
    let world = World::new();
    let own = world.own(&world.identity(1, Roles::BOTH), peer::ca::LIFE);
    let read = webpki::EndEntityCert::try_from(&own.certificate).unwrap();
    for name in ["localhost", "127.0.0.1", "Windlass", &own.certified.identity.node.to_string()] {
        let name = ServerName::try_from(name.to_owned()).unwrap();
        assert!(read.verify_is_valid_for_subject_name(&name).is_err(), "{name:?}");
    }
}
