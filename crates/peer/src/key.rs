//! The key of a node: drawn on its machine, and never sent anywhere.

use std::fmt;

use model::{ClusterId, NodeId};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::Error;

/// The uncompressed point of a key on P-256.
const PUBLIC_KEY_BYTES: usize = 65;

/// A node's private key (ECDSA, P-256).
pub struct NodeKey(KeyPair);

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey")
    }
}

impl NodeKey {
    /// Draws one.
    pub fn draw() -> Result<NodeKey, Error> {
        Ok(NodeKey(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?))
    }

    /// Reads one.
    pub fn from_der(der: &PrivateKeyDer<'_>) -> Result<NodeKey, Error> {
        Ok(NodeKey(KeyPair::from_der_and_sign_algo(der, &PKCS_ECDSA_P256_SHA256)?))
    }

    /// In PKCS#8: for the file it is kept in and for TLS, and for nothing else.
    pub fn to_der(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.serialize_der()))
    }

    /// The half that everybody may know.
    pub fn public(&self) -> PublicKey {
        let bytes = self.0.public_key_raw().try_into();
        PublicKey(bytes.expect("a point of P-256 has 65 bytes"))
    }

    /// Shows that whoever asks for a certificate has the key it will be for.
    pub fn prove(&self, cluster: ClusterId, node: NodeId) -> Result<Vec<u8>, Error> {
        Ok(self.0.sign(&statement(cluster, node, &self.public()))?)
    }

    pub(crate) fn pair(&self) -> &KeyPair {
        &self.0
    }
}

/// The public half of a node's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_KEY_BYTES]);

impl PublicKey {
    /// Reads one; `None` where it has another length or form.
    pub fn from_bytes(bytes: &[u8]) -> Option<PublicKey> {
        let bytes: [u8; PUBLIC_KEY_BYTES] = bytes.try_into().ok()?;
        (bytes[0] == 4).then_some(PublicKey(bytes))
    }

    /// As it is sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether the holder of this key has made this proof, for this cluster and node.
    pub fn is_proved(&self, proof: &[u8], cluster: ClusterId, node: NodeId) -> bool {
        let algorithm = webpki::ring::ECDSA_P256_SHA256;
        algorithm.verify_signature(&self.0, &statement(cluster, node, self), proof).is_ok()
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// What is signed as proof; no TLS handshake signs anything that begins like this.
fn statement(cluster: ClusterId, node: NodeId, key: &PublicKey) -> Vec<u8> {
    let words = b"windlass: this key asks for a certificate, 1\n";
    [&words[..], &cluster.to_bytes(), &node.to_bytes(), &key.0].concat()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_proof_is_of_one_key_for_one_node_of_one_cluster() {
        let (cluster, node) = (ClusterId(Uuid::from_u128(1)), NodeId(Uuid::from_u128(2)));
        let [key, other] = [(); 2].map(|()| NodeKey::draw().unwrap());
        let proof = key.prove(cluster, node).unwrap();
        assert!(key.public().is_proved(&proof, cluster, node));
        assert!(!other.public().is_proved(&proof, cluster, node));
        assert!(!key.public().is_proved(&proof, ClusterId(Uuid::nil()), node));
        assert!(!key.public().is_proved(&proof, cluster, NodeId(Uuid::nil())));
        assert!(!key.public().is_proved(b"", cluster, node));
        let read = NodeKey::from_der(&key.to_der()).unwrap();
        assert_eq!(read.public(), key.public());
        assert_eq!(PublicKey::from_bytes(key.public().as_bytes()), Some(key.public()));
        assert_eq!(PublicKey::from_bytes(&[0; 65]), None);
        assert_eq!(format!("{key:?}"), "NodeKey");
    }
}
