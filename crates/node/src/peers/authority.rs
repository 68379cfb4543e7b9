//! The cluster's authority, as everybody may see it.
//!
//! It must never give out the key.

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
}
