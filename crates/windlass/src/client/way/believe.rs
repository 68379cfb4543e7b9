//! Whom a client believes to be the node it calls.
//!
//! What a certificate is checked against, and nothing turns the check off: the authority in a file that the user names,
//! else those of the system; beside them the very certificate that a node of this user left among the user's own files.

use std::io;
use std::path::Path;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};

use super::trouble::Trouble;
use crate::client::pin;

/// How to connect to the node at this address.
pub(super) fn config(addr: &str, ca: Option<&Path>) -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let listed = match ca {
        Some(path) => read(path)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(listed.iter().cloned());
    // Where there is nobody to believe, the very certificate may still be known.
    let authorities = WebPkiServerVerifier::builder_with_provider(roots.into(), provider.clone());
    let believing = Believing {
        pinned: pin::read(addr),
        listed: if ca.is_some() { listed } else { Vec::new() },
        authorities: authorities.build().ok(),
        provider: provider.clone(),
    };
    let config = ClientConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().map_err(io::Error::other)?;
    let config = config.dangerous().with_custom_certificate_verifier(Arc::new(believing));
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

fn read(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let unusable = |why: String| {
        let path = path.to_owned();
        io::Error::other(Trouble::Ca { path, why })
    };
    let read = CertificateDer::pem_file_iter(path);
    let read = read.and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let read = read.map_err(|error| match error {
        rustls::pki_types::pem::Error::Io(error) => unusable(error.to_string()),
        error => unusable(error.to_string()),
    })?;
    match read.is_empty() {
        true => Err(unusable("there is no certificate in it".to_owned())),
        false => Ok(read),
    }
}

/// Believes certificates of these authorities, and the ones it knows as they are.
#[derive(Debug)]
struct Believing {
    /// Left by a node of this user at this address: good for whatever name it was called by.
    pinned: Vec<CertificateDer<'static>>,
    /// In the user's file. One that a server shows itself is its own authority there.
    listed: Vec<CertificateDer<'static>>,
    authorities: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Believing {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.pinned.iter().any(|pinned| pinned == certificate) {
            return Ok(ServerCertVerified::assertion());
        }
        let Some(authorities) = &self.authorities else {
            return Err(CertificateError::UnknownIssuer.into());
        };
        let verified = authorities.verify_server_cert(certificate, others, name, ocsp, now);
        match verified {
            Err(error) if !is_of_time(&error) && self.listed.contains(certificate) => {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// A certificate whose time is over, or has not come, is believed from nobody's file.
fn is_of_time(error: &Error) -> bool {
    use CertificateError::*;
    let Error::InvalidCertificate(error) = error else { return false };
    matches!(error, Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. })
}
