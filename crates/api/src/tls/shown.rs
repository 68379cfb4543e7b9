//! The certificate that is shown from the next handshake on.

use std::sync::Arc;

use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use tokio::sync::watch;

use super::certificate::Certificate;

/// Shared by the listener and by whoever renews. Connections that are open go on when it is replaced.
#[derive(Clone, Debug)]
pub struct Shown(Arc<watch::Sender<Certificate>>);

impl Shown {
    /// Shows this one first.
    pub fn new(certificate: Certificate) -> Shown {
        Shown(Arc::new(watch::Sender::new(certificate)))
    }

    /// Shows this one from the next handshake on.
    pub fn replace(&self, certificate: Certificate) {
        self.0.send_replace(certificate);
    }

    /// Whether what is shown is for this name or address.
    pub(crate) fn is_for(&self, host: &str) -> bool {
        self.0.borrow().is_for(host)
    }

    /// How a server takes connections. Versions older than 1.2 are broken; 1.2 is for clients that have no other.
    pub(super) fn config(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13, &TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(self.clone()));
        // A resumed session would show no certificate, and outlive the one it was made with.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Whatever name is asked for: a client that calls an address names none.
        Some(self.0.borrow().key.clone())
    }
}
