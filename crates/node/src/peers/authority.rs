//! The cluster's authority, as others see it: its certificate for everybody, and the authority itself for the one
//! program that runs this node.
//!
//! It must never be given out together with its key through the API.

use std::sync::Arc;

use peer::Authority;
use peer::ca::fingerprint_text;
use peer::files::certificate_pem;

use crate::handle::Handle;

/// Whom everybody believes the cluster's nodes by. It has no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthorityShown {
    /// Its certificate, a PEM.
    pub certificate: String,
    /// The SHA-256 of the certificate in DER, in hexadecimal digits: what join tokens name it by.
    pub sha256: String,
}

impl Handle {
    /// The certificate of the cluster's authority.
    pub fn authority_shown(&self) -> AuthorityShown {
        let certificate = self.shared.own.credentials.trust().authority;
        AuthorityShown {
            certificate: certificate_pem(&certificate),
            sha256: fingerprint_text(&certificate),
        }
    }

    /// The authority with its key; control nodes alone have it.
    pub(crate) fn authority(&self) -> Option<Arc<Authority>> {
        self.shared.own.authority.clone()
    }
}
