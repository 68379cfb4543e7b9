//! One certificate with its chain and its key.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring::default_provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use webpki::{EndEntityCert, KeyUsage};

/// What a listener shows, and the key to it.
#[derive(Clone, Debug)]
pub struct Certificate {
    pub(super) key: Arc<CertifiedKey>,
}

/// Why something is no certificate to serve with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Nothing was given.
    #[error("there is no certificate in it")]
    Empty,
    /// It is not one, or has another form.
    #[error("the certificate cannot be read: {0}")]
    Unreadable(String),
    /// The two are not of one pair.
    #[error("the key is not that of the certificate, which has to be the first of its chain")]
    OtherKey,
    /// It is for something else.
    #[error("the certificate is not for servers")]
    NoServer,
    /// Its time is over.
    #[error("the certificate has expired")]
    Expired,
    /// Its time has not come.
    #[error("the certificate is not good yet")]
    NotYet,
}

impl Certificate {
    /// Takes a chain, the server's own certificate first, and the key of that one.
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Certificate, Unusable> {
        let own = chain.first().ok_or(Unusable::Empty)?;
        let unreadable = |why: String| Unusable::Unreadable(why);
        EndEntityCert::try_from(own).map_err(|error| unreadable(error.to_string()))?;
        let key = CertifiedKey::from_der(chain, key, &default_provider());
        let key = key.map_err(|error| match error {
            rustls::Error::InconsistentKeys(_) => Unusable::OtherKey,
            other => unreadable(other.to_string()),
        })?;
        Ok(Certificate { key: Arc::new(key) })
    }

    /// Whether it is good for a server, at this time, in seconds since 1970.
    pub fn check(&self, now_s: u64) -> Result<(), Unusable> {
        // Whom clients trust is not known, so nobody is trusted here. The certificate's own time and purpose are looked
        // at before whoever has signed it, and that the latter is not found is how this ends where all is well.
        let read = EndEntityCert::try_from(self.own());
        let read = read.map_err(|error| Unusable::Unreadable(error.to_string()))?;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(now_s));
        let server = KeyUsage::server_auth();
        match read.verify_for_usage(&[], &[], &[], at, server, None, None).err() {
            Some(webpki::Error::CertExpired { .. }) => Err(Unusable::Expired),
            Some(webpki::Error::CertNotValidYet { .. }) => Err(Unusable::NotYet),
            Some(webpki::Error::RequiredEkuNotFoundContext(_)) => Err(Unusable::NoServer),
            _ => Ok(()),
        }
    }

    /// Whether it is for this name or address.
    pub fn is_for(&self, host: &str) -> bool {
        let (Ok(name), Ok(read)) =
            (ServerName::try_from(host), EndEntityCert::try_from(self.own()))
        else {
            return false;
        };
        read.verify_is_valid_for_subject_name(&name).is_ok()
    }

    /// The server's own, without its chain.
    pub fn own(&self) -> &CertificateDer<'static> {
        self.key.cert.first().expect("none is made without")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};

    use super::*;

    const IN_2026_S: u64 = 1_790_000_000;

    fn made(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> Certificate {
        let (certificate, key) = parts(names, change);
        Certificate::new(vec![certificate], key).unwrap()
    }

    fn parts(
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        params.not_before = date_time_ymd(2026, 1, 1);
        params.not_after = date_time_ymd(2027, 1, 1);
        change(&mut params);
        (
            params.self_signed(&key).unwrap().der().clone(),
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
    }

    /// One for tests, good for these names.
    pub(crate) fn of(names: &[&str]) -> Certificate {
        made(names, |params| params.not_after = date_time_ymd(4000, 1, 1))
    }

    #[test]
    fn it_is_for_its_names_alone() {
        let one = of(&["alpha.example", "*.wild.example", "10.0.0.5", "fd00::5"]);
        for host in ["alpha.example", "ALPHA.example", "x.wild.example", "10.0.0.5", "fd00::5"] {
            assert!(one.is_for(host), "{host}");
        }
        for host in
            ["", "beta.example", "x.alpha.example", "wild.example", "10.0.0.6", "alpha.example:1"]
        {
            assert!(!one.is_for(host), "{host}");
        }
    }

    #[test]
    fn its_time_and_its_purpose_are_looked_at() {
        let one = made(&["a"], |_| ());
        assert_eq!(one.check(IN_2026_S), Ok(()));
        assert_eq!(one.check(IN_2026_S + 366 * 86_400), Err(Unusable::Expired));
        assert_eq!(one.check(IN_2026_S - 366 * 86_400), Err(Unusable::NotYet));
        let client = ExtendedKeyUsagePurpose::ClientAuth;
        let other = made(&["a"], |params| params.extended_key_usages = vec![client]);
        assert_eq!(other.check(IN_2026_S), Err(Unusable::NoServer));
    }

    #[test]
    fn what_cannot_be_served_with_is_refused() {
        let (certificate, key) = parts(&["a"], |_| ());
        let (other, _) = parts(&["a"], |_| ());
        let refused = |chain, key| Certificate::new(chain, key).unwrap_err();
        assert_eq!(refused(vec![], key.clone_key()), Unusable::Empty);
        assert_eq!(refused(vec![other, certificate], key.clone_key()), Unusable::OtherKey);
        let garbage = refused(vec![CertificateDer::from(vec![1, 2, 3])], key);
        assert!(matches!(garbage, Unusable::Unreadable(_)), "{garbage}");
    }
}
