//! The cluster's own certificate authority.
//!
//! Made once, when the cluster is founded. Its key lies on the control nodes alone: each of them may certify, so that
//! a node is let in, and certificates are renewed, whichever of them lives.

use std::fmt;
use std::time::Duration;

use model::ClusterId;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, SanType, SerialNumber, date_time_ymd,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};

use crate::chance::random;
use crate::hex::hex;
use crate::identity::{Identity, Serial, uri};
use crate::{Error, NodeKey, PublicKey};

/// How long a node's certificate is good for unless told otherwise.
pub const LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// No certificate is good for longer, but for the authority's own.
pub const LIFE_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// A certificate is good from so long before it was issued, for clocks that go behind.
pub const BACKDATED: Duration = Duration::from_secs(3600);
/// 20 years: replacing an authority is founding a cluster.
const AUTHORITY_LIFE: Duration = Duration::from_secs(20 * 365 * 24 * 3600);

/// Certifies nodes, and servers for people and programs (`server`).
pub struct Authority {
    cluster: ClusterId,
    key: NodeKey,
    certificate: CertificateDer<'static>,
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authority({})", self.cluster)
    }
}

impl Authority {
    /// Makes the authority of a new cluster. `now_s` is in seconds since 1970.
    pub fn found(cluster: ClusterId, now_s: u64) -> Result<Authority, Error> {
        let key = NodeKey::draw()?;
        // The type of the result is one that the library does not name.
        let at = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        let mut params = params(cluster);
        params.not_before = at(now_s.saturating_sub(BACKDATED.as_secs()));
        params.not_after = at(now_s + AUTHORITY_LIFE.as_secs());
        params.serial_number = Some(SerialNumber::from_slice(&draw_serial()?.0));
        let certificate = params.self_signed(key.pair())?.der().clone();
        Ok(Authority { cluster, key, certificate })
    }

    /// The authority whose certificate and key these are.
    pub fn from_parts(
        cluster: ClusterId,
        certificate: CertificateDer<'static>,
        key: &PrivateKeyDer<'_>,
    ) -> Result<Authority, Error> {
        let key = NodeKey::from_der(key)?;
        let unfit = |why| Error::Unfit { why };
        let read = webpki::EndEntityCert::try_from(&certificate);
        let read = read.map_err(|_| unfit("the authority's certificate cannot be read"))?;
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key.public());
        if read.subject_public_key_info().as_ref() != spki {
            return Err(unfit("the authority's key does not belong to its certificate"));
        }
        Ok(Authority { cluster, key, certificate })
    }

    /// Certifies that whoever holds the key is this node, from now on, for `life`.
    ///
    /// That it holds the key, and may be this node, is the caller's to check. `now_s` is in seconds since 1970.
    pub fn certify(
        &self,
        identity: &Identity,
        key: &PublicKey,
        life: Duration,
        now_s: u64,
    ) -> Result<CertificateDer<'static>, Error> {
        if identity.cluster != self.cluster {
            return Err(Error::Unfit { why: "the node is of another cluster" });
        }
        if !(identity.roles.control || identity.roles.worker) {
            return Err(Error::Unfit { why: "the node has no role" });
        }
        let (from_s, until_s) = times(life, now_s)?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(&format!("Windlass node {}", identity.node));
        let uri = uri(identity, from_s, until_s);
        params.subject_alt_names = vec![SanType::URI(uri.try_into()?)];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(params, key, life, now_s)
    }

    /// Signs what has its names and its purposes already.
    pub(crate) fn sign(
        &self,
        mut params: CertificateParams,
        key: &PublicKey,
        life: Duration,
        now_s: u64,
    ) -> Result<CertificateDer<'static>, Error> {
        let (from_s, until_s) = times(life, now_s)?;
        let at = |seconds| date_time_ymd(1970, 1, 1) + Duration::from_secs(seconds);
        params.not_before = at(from_s);
        params.not_after = at(until_s);
        params.serial_number = Some(SerialNumber::from_slice(&draw_serial()?.0));
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::new(self::params(self.cluster), self.key.pair());
        Ok(params.signed_by(key, &issuer)?.der().clone())
    }

    /// The cluster it certifies for.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// Its certificate, which everybody may know.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Its key: for the file it is kept in and, sealed, for other control nodes; for nothing else.
    pub fn key(&self) -> PrivateKeyDer<'static> {
        self.key.to_der()
    }
}

/// What a join token knows an authority by.
pub fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// The same as people compare it: hexadecimal digits.
pub fn fingerprint_text(certificate: &CertificateDer<'_>) -> String {
    hex(&fingerprint(certificate))
}

/// From when and until when a certificate is good.
fn times(life: Duration, now_s: u64) -> Result<(u64, u64), Error> {
    if life > LIFE_MAX || life < Duration::from_secs(1) {
        return Err(Error::Unfit { why: "its life must be between a second and 366 days" });
    }
    // A short life is not doubled by the hour before it.
    let backdated = BACKDATED.min(life / 4).as_secs();
    Ok((now_s.saturating_sub(backdated), now_s + life.as_secs()))
}

fn params(cluster: ClusterId) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = name(&format!("Windlass cluster {cluster}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn name(text: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, text);
    name
}

fn draw_serial() -> Result<Serial, Error> {
    let mut serial = random::<16>()?;
    // Positive, and without a leading zero: its 16 bytes are the same in every form.
    serial[0] = serial[0] & 0x7f | 0x40;
    Ok(Serial(serial))
}

#[cfg(test)]
mod tests {
    use rustls::pki_types::UnixTime;
    use uuid::Uuid;

    use super::*;
    use crate::identity::{Certified, Roles};
    use model::NodeId;

    const NOW_S: u64 = 1_800_000_000;

    fn identity() -> Identity {
        let (cluster, node) = (ClusterId(Uuid::from_u128(1)), NodeId(Uuid::from_u128(2)));
        Identity { cluster, incarnation: 4, node, roles: Roles::BOTH }
    }

    fn authority() -> Authority {
        Authority::found(identity().cluster, NOW_S).unwrap()
    }

    /// Verifies as TLS does, for a client and for a server.
    fn verify(
        certificate: &CertificateDer<'_>,
        authority: &Authority,
        at_s: u64,
    ) -> Result<(), webpki::Error> {
        let anchor = webpki::anchor_from_trusted_cert(authority.certificate()).unwrap();
        let anchors = [anchor];
        let end = webpki::EndEntityCert::try_from(certificate)?;
        for usage in [webpki::KeyUsage::client_auth(), webpki::KeyUsage::server_auth()] {
            let at = UnixTime::since_unix_epoch(Duration::from_secs(at_s));
            let algorithms = &[webpki::ring::ECDSA_P256_SHA256];
            end.verify_for_usage(algorithms, &anchors, &[], at, usage, None, None)?;
        }
        Ok(())
    }

    #[test]
    fn a_certificate_says_who_it_is_and_only_its_authority_vouches_for_it() {
        let (authority, stranger) = (authority(), authority());
        let key = NodeKey::draw().unwrap();
        let made = authority.certify(&identity(), &key.public(), LIFE, NOW_S).unwrap();
        let read = Certified::read(&made).unwrap();
        assert_eq!(read.identity, identity());
        assert_eq!((read.from_s, read.until_s), (NOW_S - 3600, NOW_S + LIFE.as_secs()));
        assert_eq!(verify(&made, &authority, NOW_S), Ok(()));
        assert!(verify(&made, &stranger, NOW_S).is_err());
        let again = authority.certify(&identity(), &key.public(), LIFE, NOW_S).unwrap();
        assert_ne!(Certified::read(&again).unwrap().serial, read.serial);
    }

    #[test]
    fn a_certificate_is_good_for_its_life_and_renewed_at_two_thirds() {
        let authority = authority();
        let key = NodeKey::draw().unwrap().public();
        let life = Duration::from_secs(60);
        let made = authority.certify(&identity(), &key, life, NOW_S).unwrap();
        let read = Certified::read(&made).unwrap();
        assert_eq!((read.from_s, read.until_s), (NOW_S - 15, NOW_S + 60));
        assert_eq!(read.renew_at_s(), NOW_S - 15 + 50);
        assert_eq!(verify(&made, &authority, read.from_s), Ok(()));
        assert_eq!(verify(&made, &authority, read.until_s), Ok(()));
        assert!(verify(&made, &authority, read.from_s - 1).is_err());
        assert!(verify(&made, &authority, read.until_s + 1).is_err());
    }

    #[test]
    fn what_no_node_may_be_is_not_certified() {
        let authority = authority();
        let key = NodeKey::draw().unwrap().public();
        let refused = |identity: Identity, life| {
            matches!(authority.certify(&identity, &key, life, NOW_S), Err(Error::Unfit { .. }))
        };
        assert!(refused(Identity { cluster: ClusterId(Uuid::nil()), ..identity() }, LIFE));
        let none = Roles { control: false, worker: false };
        assert!(refused(Identity { roles: none, ..identity() }, LIFE));
        assert!(refused(identity(), LIFE_MAX * 2) && refused(identity(), Duration::ZERO));
    }

    #[test]
    fn an_authority_goes_on_from_its_parts_and_not_from_those_of_two() {
        let (authority, other) = (authority(), authority());
        let parts = |certificate: &Authority, key: &Authority| {
            let certificate = certificate.certificate().clone();
            Authority::from_parts(identity().cluster, certificate, &key.key())
        };
        let again = parts(&authority, &authority).unwrap();
        let key = NodeKey::draw().unwrap().public();
        let made = again.certify(&identity(), &key, LIFE, NOW_S).unwrap();
        assert_eq!(verify(&made, &authority, NOW_S), Ok(()));
        assert!(parts(&authority, &other).is_err());
    }

    #[test]
    fn a_node_is_no_authority() {
        let authority = authority();
        let key = NodeKey::draw().unwrap();
        let node = authority.certify(&identity(), &key.public(), LIFE, NOW_S).unwrap();
        let made_up = Authority { cluster: identity().cluster, key, certificate: node.clone() };
        let below = made_up.certify(&identity(), &NodeKey::draw().unwrap().public(), LIFE, NOW_S);
        let below = below.unwrap();
        let anchors = [webpki::anchor_from_trusted_cert(authority.certificate()).unwrap()];
        let end = webpki::EndEntityCert::try_from(&below).unwrap();
        let at = UnixTime::since_unix_epoch(Duration::from_secs(NOW_S));
        let usage = webpki::KeyUsage::client_auth();
        let algorithms = &[webpki::ring::ECDSA_P256_SHA256];
        let between = [node];
        let verified = end.verify_for_usage(algorithms, &anchors, &between, at, usage, None, None);
        assert!(verified.is_err());
    }
}
