//! The authority's key, sealed for a node that joins as a control node.
//!
//! It travels in the answer to the join, on a connection whose server the node has verified and that nobody else reads.
//! The seal is for what happens to an answer elsewhere: where it is forwarded, kept or logged, it tells nothing to
//! whoever does not have the token's secret as well.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::Sha256;

use crate::chance::random;
use crate::token::Secret;
use crate::{Authority, Error, PublicKey};

const NONCE_BYTES: usize = 24;

/// Seals the key of the authority for the node with this key, which has shown this secret.
pub fn seal(authority: &Authority, secret: &Secret, node: &PublicKey) -> Result<Vec<u8>, Error> {
    let nonce = random::<NONCE_BYTES>()?;
    let key = authority.key();
    let payload = Payload { msg: key.secret_der(), aad: node.as_bytes() };
    let sealed = cipher(secret).encrypt(XNonce::from_slice(&nonce), payload);
    let sealed = sealed.map_err(|_| Error::Sealed)?;
    Ok([&nonce[..], &sealed].concat())
}

/// Opens what was sealed for this node, and makes the authority of it.
pub fn open(
    sealed: &[u8],
    secret: &Secret,
    node: &PublicKey,
    cluster: model::ClusterId,
    certificate: CertificateDer<'static>,
) -> Result<Authority, Error> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(Error::Sealed)?;
    let payload = Payload { msg: sealed, aad: node.as_bytes() };
    let key = cipher(secret).decrypt(XNonce::from_slice(nonce), payload);
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.map_err(|_| Error::Sealed)?));
    Authority::from_parts(cluster, certificate, &key)
}

/// A key of its own for this use, so that the secret is never one itself.
fn cipher(secret: &Secret) -> XChaCha20Poly1305 {
    let mac = <Hmac<Sha256> as Mac>::new_from_slice(secret.as_bytes());
    let mac = mac.expect("a key of any length will do");
    let key = mac.chain_update(b"windlass: the authority's key, 1").finalize().into_bytes();
    XChaCha20Poly1305::new(&key)
}

#[cfg(test)]
mod tests {
    use model::ClusterId;
    use uuid::Uuid;

    use super::*;
    use crate::NodeKey;

    #[test]
    fn the_key_opens_for_its_node_and_secret_alone() {
        let cluster = ClusterId(Uuid::from_u128(1));
        let authority = Authority::found(cluster, 1_800_000_000).unwrap();
        let [node, other] = [(); 2].map(|()| NodeKey::draw().unwrap().public());
        let [secret, wrong] = [(); 2].map(|()| Secret::draw().unwrap());
        let sealed = seal(&authority, &secret, &node).unwrap();
        let key = authority.key();
        assert!(!sealed.windows(8).any(|window| window == &key.secret_der()[40..48]));
        let certificate = authority.certificate();
        let opened =
            |sealed: &[u8], secret, node| open(sealed, secret, node, cluster, certificate.clone());
        assert_eq!(opened(&sealed, &secret, &node).unwrap().key(), authority.key());
        let mut changed = sealed.clone();
        changed[30] ^= 1;
        for failed in [
            opened(&sealed, &wrong, &node),
            opened(&sealed, &secret, &other),
            opened(&changed, &secret, &node),
            opened(&[], &secret, &node),
        ] {
            assert!(matches!(failed, Err(Error::Sealed)));
        }
    }
}
