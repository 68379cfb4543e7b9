//! Certificates for the listener of people and programs: of names and addresses, and of no node.
//!
//! The same authority signs them, so that one file is all that a client needs to believe every node of the cluster. They
//! must never pass between nodes: they are good for servers alone, and they have no identity in them, which is the one
//! thing that a peer reads.

use std::net::IpAddr;
use std::time::Duration;

use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, SanType};
use rustls::pki_types::{CertificateDer, ServerName};

use crate::ca::Authority;
use crate::{Error, PublicKey};

/// How long such a certificate is good for unless told otherwise.
pub const SERVER_LIFE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Names and addresses of one certificate. A machine with more has to be told which ones count.
pub const NAMES_MAX: usize = 100;

impl Authority {
    /// Certifies that whoever holds the key serves under these names, from now on, for `life`.
    ///
    /// That the names are this machine's is the caller's to know. `now_s` is in seconds since 1970.
    pub fn certify_server(
        &self,
        names: &[ServerName<'_>],
        key: &PublicKey,
        life: Duration,
        now_s: u64,
    ) -> Result<CertificateDer<'static>, Error> {
        if names.is_empty() || names.len() > NAMES_MAX {
            return Err(Error::Unfit { why: "a server has 1 to 100 names and addresses" });
        }
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "Windlass API");
        params.subject_alt_names = names.iter().map(alternative).collect::<Result<_, _>>()?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(params, key, life, now_s)
    }
}

fn alternative(name: &ServerName<'_>) -> Result<SanType, Error> {
    match name {
        ServerName::DnsName(name) => Ok(SanType::DnsName(name.as_ref().try_into()?)),
        ServerName::IpAddress(ip) => Ok(SanType::IpAddress(IpAddr::from(*ip))),
        _ => Err(Error::Unfit { why: "a server has names and addresses, and nothing else" }),
    }
}

#[cfg(test)]
mod tests {
    use model::ClusterId;
    use rustls::pki_types::UnixTime;
    use uuid::Uuid;
    use webpki::{EndEntityCert, KeyUsage};

    use super::*;
    use crate::{Certified, NodeKey};

    const NOW_S: u64 = 1_800_000_000;

    fn names() -> Vec<ServerName<'static>> {
        ["alpha.example", "10.0.0.5", "fd00::5"].map(|n| ServerName::try_from(n).unwrap()).to_vec()
    }

    fn made(life: Duration) -> (Authority, CertificateDer<'static>) {
        let authority = Authority::found(ClusterId(Uuid::from_u128(1)), NOW_S).unwrap();
        let key = NodeKey::draw().unwrap().public();
        let made = authority.certify_server(&names(), &key, life, NOW_S).unwrap();
        (authority, made)
    }

    fn verify(
        authority: &Authority,
        certificate: &CertificateDer<'_>,
        usage: KeyUsage,
        at_s: u64,
    ) -> Result<(), webpki::Error> {
        let anchors = [webpki::anchor_from_trusted_cert(authority.certificate())?];
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at_s));
        let algorithms = &[webpki::ring::ECDSA_P256_SHA256];
        let end = EndEntityCert::try_from(certificate)?;
        end.verify_for_usage(algorithms, &anchors, &[], at, usage, None, None).map(|_| ())
    }

    #[test]
    fn it_is_a_servers_under_its_names_alone() {
        let (authority, made) = made(SERVER_LIFE);
        assert_eq!(verify(&authority, &made, KeyUsage::server_auth(), NOW_S), Ok(()));
        let read = EndEntityCert::try_from(&made).unwrap();
        for name in names() {
            assert!(read.verify_is_valid_for_subject_name(&name).is_ok(), "{name:?}");
        }
        for name in ["beta.example", "x.alpha.example", "10.0.0.6"] {
            let name = ServerName::try_from(name).unwrap();
            assert!(read.verify_is_valid_for_subject_name(&name).is_err(), "{name:?}");
        }
        let end_s = NOW_S + SERVER_LIFE.as_secs();
        assert_eq!(verify(&authority, &made, KeyUsage::server_auth(), end_s), Ok(()));
        assert!(verify(&authority, &made, KeyUsage::server_auth(), end_s + 1).is_err());
    }

    #[test]
    fn it_is_no_nodes() {
        let (authority, made) = made(SERVER_LIFE);
        let client = verify(&authority, &made, KeyUsage::client_auth(), NOW_S);
        assert!(matches!(client, Err(webpki::Error::RequiredEkuNotFoundContext(_))), "{client:?}");
        assert_eq!(Certified::read(&made), None);
    }

    #[test]
    fn what_no_server_may_have_is_not_certified() {
        let (authority, _) = made(SERVER_LIFE);
        let key = NodeKey::draw().unwrap().public();
        let many = vec![names()[0].clone(); NAMES_MAX + 1];
        for (names, life) in [(vec![], SERVER_LIFE), (many, SERVER_LIFE), (names(), Duration::ZERO)]
        {
            let refused = authority.certify_server(&names, &key, life, NOW_S);
            assert!(matches!(refused, Err(Error::Unfit { .. })), "{names:?}");
        }
    }
}
