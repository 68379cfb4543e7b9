//! Machines that come in with a token, and those that do not.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use peer::token::Kept;
use peer::{Credentials, Dialer, JoinError, JoinToken, Joining, NodeKey, Roles, ca, join};
use rustls::client::WantsClientCert;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::support::{Node, World, call, files, node};

/// Makes a token that the node knows.
fn token(world: &World, server: &Node, roles: Roles) -> JoinToken {
    let (cluster, certificate) = (world.authority.cluster(), world.authority.certificate());
    let life = Duration::from_secs(600);
    let (token, kept) = Kept::make(cluster, certificate, roles, life, 1, world.now_s()).unwrap();
    *server.desk.token.lock().unwrap() = Some(kept);
    JoinToken::parse(&token.text()).unwrap()
}

fn joining(number: u128, roles: Roles) -> Joining {
    Joining { node: node(number), name: "new".into(), roles, address: String::new() }
}

#[tokio::test]
async fn a_machine_with_a_token_becomes_a_node() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let token = token(&world, &server, Roles::BOTH);
    let joining = joining(2, Roles::BOTH);
    let key = NodeKey::draw().unwrap();
    let again = NodeKey::from_der(&key.to_der()).unwrap();
    let first = join(&server.address, &token, &joining, key, &world.clock()).await.unwrap();
    // As if that answer had been lost: the token is for one node, and this is still the same.
    let joined = join(&server.address, &token, &joining, again, &world.clock()).await.unwrap();
    assert_eq!(joined.own.key.public(), first.own.key.public());
    assert_eq!(joined.members, [(server.id(), "a:1".to_owned())]);
    let (_dir, files) = files();
    joined.keep(&files).unwrap();
    // It goes on from its files.
    let authority = files.authority(token.cluster).unwrap().expect("it is a control node");
    assert_eq!(authority.certificate(), world.authority.certificate());
    let own = files.own().unwrap().unwrap();
    assert_eq!(own.certified.identity, world.identity(2, Roles::BOTH));
    let credentials = Credentials::new(joined.trust, &own, world.clock()).unwrap();
    let dialer = Dialer::new(credentials);
    dialer.set_address(server.id(), &server.address);
    assert_eq!(call(&dialer, server.id()).await.unwrap(), node(2).to_string());
}

#[tokio::test]
async fn a_worker_gets_no_key_of_the_authority() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let token = token(&world, &server, Roles::WORKER);
    let key = NodeKey::draw().unwrap();
    let joining = joining(2, Roles::WORKER);
    let joined = join(&server.address, &token, &joining, key, &world.clock()).await.unwrap();
    assert!(joined.authority.is_none());
    let (_dir, files) = files();
    joined.keep(&files).unwrap();
    assert!(files.authority(token.cluster).unwrap().is_none());
}

#[tokio::test]
async fn a_machine_says_nothing_to_one_that_is_not_of_its_cluster() {
    let (world, other) = (World::new(), World::new());
    let [server, stranger] = [&world, &other].map(|world| world.node(1, Roles::BOTH));
    let token = token(&world, &server, Roles::BOTH);
    *stranger.desk.token.lock().unwrap() = server.desk.token.lock().unwrap().clone();
    let (clock, joining) = (world.clock(), joining(2, Roles::BOTH));
    let key = NodeKey::draw().unwrap();
    let error = join(&stranger.address, &token, &joining, key, &clock).await.unwrap_err();
    assert!(matches!(&error, JoinError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("not issued by this cluster's authority"), "{error}");
    let kept = stranger.desk.token.lock().unwrap().clone().unwrap();
    assert!(kept.used_by.is_empty(), "it has heard nothing");
    // A worker's certificate is of the right authority; it lets nobody in all the same.
    let worker = world.node(3, Roles::WORKER);
    let key = NodeKey::draw().unwrap();
    let error = join(&worker.address, &token, &joining, key, &clock).await;
    let error = error.unwrap_err().to_string();
    assert!(error.contains("only control nodes let nodes in"), "{error}");
}

#[tokio::test]
async fn what_the_cluster_refuses_is_said_in_its_words() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let token = token(&world, &server, Roles::WORKER);
    let refused = async |number| {
        let key = NodeKey::draw().unwrap();
        let joining = joining(number, Roles::WORKER);
        match join(&server.address, &token, &joining, key, &world.clock()).await {
            Err(JoinError::Refused { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    };
    assert!(refused(1).await.contains("is a member already"));
    let key = NodeKey::draw().unwrap();
    join(&server.address, &token, &joining(2, Roles::WORKER), key, &world.clock()).await.unwrap();
    assert!(refused(3).await.contains("used up"));
    assert!(refused(2).await.contains("is a member already"), "another key is another machine");
    *server.desk.token.lock().unwrap() = None;
    assert!(refused(4).await.contains("does not know this join token"));
}

#[tokio::test]
async fn a_token_that_cannot_help_asks_nobody() {
    let world = World::new();
    let server = world.node(1, Roles::BOTH);
    let token = token(&world, &server, Roles::WORKER);
    let nowhere = "127.0.0.1:1";
    let key = NodeKey::draw().unwrap();
    let roles = join(nowhere, &token, &joining(2, Roles::BOTH), key, &world.clock()).await;
    assert!(matches!(roles, Err(JoinError::Token(peer::token::Fault::Roles { .. }))));
    world.now_s.fetch_add(601, Ordering::SeqCst);
    let key = NodeKey::draw().unwrap();
    let late = join(nowhere, &token, &joining(2, Roles::WORKER), key, &world.clock()).await;
    assert!(matches!(late, Err(JoinError::Token(peer::token::Fault::Expired { ago_s: 1 }))));
    assert!(world.now_s() < ca::LIFE.as_secs() + crate::support::START_S);
}

/// A connection of somebody who believes everybody and shows nothing.
pub(crate) async fn without_certificate(address: &str) -> Channel {
    connect(address, believing().with_no_client_auth())
}

/// Believes whoever answers.
pub(crate) fn believing() -> rustls::ConfigBuilder<rustls::ClientConfig, WantsClientCert> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
}

/// A connection by rules of the test's own.
pub(crate) fn connect(address: &str, mut config: rustls::ClientConfig) -> Channel {
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (config, address) = (Arc::new(config), address.to_owned());
    let connector = tower::service_fn(move |_: Uri| {
        let (config, address) = (config.clone(), address.clone());
        async move {
            let stream = TcpStream::connect(address).await?;
            let name = ServerName::try_from("anybody").unwrap();
            let connector = tokio_rustls::TlsConnector::from(config);
            connector.connect(name, stream).await.map(TokioIo::new)
        }
    });
    Endpoint::from_static("https://anybody").connect_with_connector_lazy(connector)
}

#[derive(Debug)]
struct Anybody;

impl rustls::client::danger::ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}
