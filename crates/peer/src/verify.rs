//! The rules of TLS between nodes: version 1.3, no resumption (each handshake is checked), certificates of the
//! cluster's own authority, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use model::NodeId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{ClientConfig, ResolvesClientCert, Resumption};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{
    AlertDescription, CertificateError, DigitallySignedStruct, DistinguishedName, OtherError,
    SignatureScheme,
};
use webpki::KeyUsage;

use crate::credentials::Credentials;
use crate::trust::{Refusal, Trust};
use crate::{Certified, JoinToken};

/// How a server takes connections: those with a certificate have to be of this cluster.
pub(crate) fn server(credentials: &Arc<Credentials>) -> Result<Arc<ServerConfig>, rustls::Error> {
    let rules = Arc::new(Rules { credentials: credentials.clone(), expected: None });
    let mut config = ServerConfig::builder_with_provider(credentials.provider().clone())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(rules.clone())
        .with_cert_resolver(rules);
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

/// How a client connects to this node, and to nobody else.
pub(crate) fn client(
    credentials: &Arc<Credentials>,
    node: NodeId,
) -> Result<Arc<ClientConfig>, rustls::Error> {
    let rules = Arc::new(Rules { credentials: credentials.clone(), expected: Some(node) });
    let config = ClientConfig::builder_with_provider(credentials.provider().clone())
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(rules.clone())
        .with_client_cert_resolver(rules);
    Ok(finish(config))
}

/// How a machine that is no node yet connects: to whoever shows the authority that its token names.
pub(crate) fn joiner(
    token: &JoinToken,
    now_s: u64,
) -> Result<(Arc<ClientConfig>, Arc<Pinned>), rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let pinned = Arc::new(Pinned {
        token: token.clone(),
        now_s,
        provider: provider.clone(),
        found: std::sync::Mutex::new(None),
    });
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(pinned.clone())
        .with_no_client_auth();
    Ok((finish(config), pinned))
}

fn finish(mut config: ClientConfig) -> Arc<ClientConfig> {
    config.resumption = Resumption::disabled();
    config.enable_sni = false;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// Checks the signature of the authority, and what the certificate says.
pub(crate) fn check(
    trust: &Trust,
    certificate: &CertificateDer<'_>,
    usage: KeyUsage,
    now_s: u64,
) -> Result<Certified, Refusal> {
    is_signed(&trust.authority, certificate, usage, now_s)?;
    let certified = Certified::read(certificate).ok_or(Refusal::Unreadable)?;
    trust.check(&certified, now_s)?;
    Ok(certified)
}

fn is_signed(
    authority: &CertificateDer<'_>,
    certificate: &CertificateDer<'_>,
    usage: KeyUsage,
    now_s: u64,
) -> Result<(), Refusal> {
    let anchor = webpki::anchor_from_trusted_cert(authority).map_err(|_| Refusal::Unreadable)?;
    let anchors = [anchor];
    let end = webpki::EndEntityCert::try_from(certificate).map_err(|_| Refusal::Unreadable)?;
    let at = UnixTime::since_unix_epoch(Duration::from_secs(now_s));
    let algorithms = &[webpki::ring::ECDSA_P256_SHA256];
    let verified = end.verify_for_usage(algorithms, &anchors, &[], at, usage, None, None);
    match verified {
        Ok(_) => Ok(()),
        Err(webpki::Error::CertExpired { .. }) => Err(Refusal::Expired),
        Err(webpki::Error::CertNotValidYet { .. }) => Err(Refusal::NotYet),
        Err(_) => Err(Refusal::Stranger),
    }
}

/// As TLS says it: the alert that the other side gets follows from it.
fn told(refusal: Refusal) -> rustls::Error {
    let error = match refusal {
        Refusal::Expired => CertificateError::Expired,
        Refusal::NotYet => CertificateError::NotValidYet,
        Refusal::Revoked { .. } => CertificateError::Revoked,
        Refusal::Stranger => CertificateError::UnknownIssuer,
        Refusal::Unreadable => CertificateError::BadEncoding,
        other => CertificateError::Other(OtherError(Arc::new(other))),
    };
    rustls::Error::InvalidCertificate(error)
}

/// Whether the other side says that this node's certificate was revoked. Only what comes after the handshake is surely
/// from there.
pub(crate) fn is_revoked(error: &std::io::Error) -> bool {
    let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(tls, Some(rustls::Error::AlertReceived(AlertDescription::CertificateRevoked)))
}

/// The same for people, on both sides.
pub(crate) fn explain(error: &rustls::Error) -> String {
    let refuses = |why: &str| format!("the other side refuses this node's certificate: {why}");
    match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::Expired => Refusal::Expired.to_string(),
            CertificateError::NotValidYet => Refusal::NotYet.to_string(),
            CertificateError::Revoked => "the certificate was revoked".to_owned(),
            CertificateError::UnknownIssuer => Refusal::Stranger.to_string(),
            CertificateError::BadEncoding => Refusal::Unreadable.to_string(),
            CertificateError::Other(OtherError(refusal)) => refusal.to_string(),
            other => other.to_string(),
        },
        rustls::Error::AlertReceived(alert) => refuses(match alert {
            AlertDescription::CertificateExpired => "it has expired, or a clock is wrong",
            AlertDescription::CertificateRevoked => "it was revoked",
            AlertDescription::UnknownCA => "it is not of the other side's cluster",
            AlertDescription::CertificateUnknown => {
                "it is of another cluster or incarnation, or not of the node that was called"
            }
            AlertDescription::BadCertificate => "it is not one of a node",
            other => return format!("the other side ends the handshake: {other:?}"),
        }),
        rustls::Error::InvalidMessage(_) => "the other side does not speak TLS".to_owned(),
        other => other.to_string(),
    }
}

/// What a node asks of others, and what it shows.
#[derive(Debug)]
struct Rules {
    credentials: Arc<Credentials>,
    /// Whom it calls; nobody in particular where it is called.
    expected: Option<NodeId>,
}

impl Rules {
    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        usage: KeyUsage,
    ) -> Result<(), rustls::Error> {
        let now_s = self.credentials.clock().now_s();
        let trust = self.credentials.trust();
        let certified = check(&trust, certificate, usage, now_s).map_err(told)?;
        let found = certified.identity.node;
        match self.expected.filter(|expected| *expected != found) {
            Some(expected) => Err(told(Refusal::AnotherNode { expected, found })),
            None => Ok(()),
        }
    }
}

/// The signature over the handshake, the same for all who verify.
macro_rules! signatures {
    ($provider:expr) => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            Err(rustls::Error::General("only TLS 1.3 is spoken here".to_owned()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            certificate: &CertificateDer<'_>,
            signed: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            let provider: fn(&Self) -> &CryptoProvider = $provider;
            let algorithms = &provider(self).signature_verification_algorithms;
            rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ECDSA_NISTP256_SHA256]
        }
    };
}

impl ClientCertVerifier for Rules {
    /// A machine that joins has none yet; it gets nowhere but to the door.
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.check(certificate, KeyUsage::client_auth())?;
        Ok(ClientCertVerified::assertion())
    }

    signatures!(|rules| rules.credentials.provider());
}

impl ServerCertVerifier for Rules {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(certificate, KeyUsage::server_auth())?;
        Ok(ServerCertVerified::assertion())
    }

    signatures!(|rules| rules.credentials.provider());
}

impl ResolvesServerCert for Rules {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.credentials.shown())
    }
}

impl ResolvesClientCert for Rules {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        Some(self.credentials.shown())
    }

    fn has_certs(&self) -> bool {
        true
    }
}

/// Believes whoever shows the authority that a token names, and a certificate of it for a control node.
#[derive(Debug)]
pub(crate) struct Pinned {
    token: JoinToken,
    now_s: u64,
    provider: Arc<CryptoProvider>,
    found: std::sync::Mutex<Option<(CertificateDer<'static>, Certified)>>,
}

impl Pinned {
    /// The authority, and whom it was shown by; `None` before the handshake.
    pub(crate) fn found(&self) -> Option<(CertificateDer<'static>, Certified)> {
        self.found.lock().expect("no holder of the lock panics").clone()
    }

    fn check(
        &self,
        certificate: &CertificateDer<'_>,
        authority: Option<&CertificateDer<'_>>,
    ) -> Result<(), Refusal> {
        let authority = authority.filter(|authority| self.token.names(authority));
        let authority = authority.ok_or(Refusal::Stranger)?;
        is_signed(authority, certificate, KeyUsage::server_auth(), self.now_s)?;
        let certified = Certified::read(certificate).ok_or(Refusal::Unreadable)?;
        let incarnation = certified.identity.incarnation;
        let authority = authority.clone().into_owned();
        let trust = Trust::new(self.token.cluster, incarnation, authority.clone());
        trust.check(&certified, self.now_s)?;
        // A worker has its certificate from the same authority, and lets nobody in.
        if !certified.identity.roles.control {
            return Err(Refusal::NotControl);
        }
        *self.found.lock().expect("no holder of the lock panics") = Some((authority, certified));
        Ok(())
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.check(certificate, others.first()).map_err(told)?;
        Ok(ServerCertVerified::assertion())
    }

    signatures!(|pinned| &pinned.provider);
}
