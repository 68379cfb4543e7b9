//! What a certificate says of its node, and how it is written there.
//!
//! It stands in one alternative name of the subject, a URI, because that is the one place that everything which reads
//! certificates shows as it is: `windlass://CLUSTER/INCARNATION/NODE?roles=control,worker&from=SECONDS&until=SECONDS`.
//! The times are those of the certificate itself, which TLS holds it to; here they are what can be read without a
//! parser of our own.

use std::fmt;
use std::str::FromStr;

pub use model::Roles;
use model::{ClusterId, NodeId};
use rustls::pki_types::CertificateDer;
use uuid::Uuid;

use crate::hex::hex;

const SCHEME: &str = "windlass://";

/// Who a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Its cluster.
    pub cluster: ClusterId,
    /// The incarnation of the cluster it was certified in.
    pub incarnation: u16,
    /// The node; never an address.
    pub node: NodeId,
    /// What it may do.
    pub roles: Roles,
}

/// The number of a certificate, drawn at random.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(pub [u8; 16]);

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&hex(&self.0))
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Serial({self})")
    }
}

/// What a certificate says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certified {
    /// Of whom.
    pub identity: Identity,
    /// The certificate's number.
    pub serial: Serial,
    /// From when on it is good, in seconds since 1970.
    pub from_s: u64,
    /// Until when it is good, in seconds since 1970.
    pub until_s: u64,
}

impl Certified {
    /// Reads what a certificate says, whoever has signed it: believe it only after its signature has been checked.
    /// `None` where it is not one of a node.
    pub fn read(certificate: &CertificateDer<'_>) -> Option<Certified> {
        let certificate = webpki::EndEntityCert::try_from(certificate).ok()?;
        let mut names = certificate.valid_uri_names();
        let (Some(name), None) = (names.next(), names.next()) else {
            return None;
        };
        let serial = certificate.serial().try_into().ok()?;
        let (identity, from_s, until_s) = parse(name)?;
        Some(Certified { identity, serial: Serial(serial), from_s, until_s })
    }

    /// When a new one should be asked for: after two thirds of its life, in seconds since 1970.
    pub fn renew_at_s(&self) -> u64 {
        self.from_s + self.until_s.saturating_sub(self.from_s) / 3 * 2
    }
}

/// What is written into the certificate.
pub(crate) fn uri(identity: &Identity, from_s: u64, until_s: u64) -> String {
    let Identity { cluster, incarnation, node, roles } = identity;
    format!("{SCHEME}{cluster}/{incarnation}/{node}?roles={roles}&from={from_s}&until={until_s}")
}

fn parse(text: &str) -> Option<(Identity, u64, u64)> {
    let (path, query) = text.strip_prefix(SCHEME)?.split_once('?')?;
    let mut path = path.split('/');
    let cluster = ClusterId(Uuid::from_str(path.next()?).ok()?);
    let incarnation = path.next()?.parse().ok()?;
    let node = NodeId(Uuid::from_str(path.next()?).ok()?);
    let mut query = query.split('&');
    let roles = query.next()?.strip_prefix("roles=")?.parse().ok()?;
    let from_s = query.next()?.strip_prefix("from=")?.parse().ok()?;
    let until_s = query.next()?.strip_prefix("until=")?.parse().ok()?;
    let ends = path.next().is_none() && query.next().is_none();
    ends.then_some((Identity { cluster, incarnation, node, roles }, from_s, until_s))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_is_read_as_it_was_written_and_nothing_else_is() {
        let identity = Identity {
            cluster: ClusterId(Uuid::from_u128(7)),
            incarnation: 3,
            node: NodeId(Uuid::from_u128(9)),
            roles: Roles::BOTH,
        };
        let text = uri(&identity, 1, 20);
        assert_eq!(parse(&text), Some((identity, 1, 20)));
        for other in ["", "windlass://", "https://x/3/y?roles=worker&from=1&until=2"] {
            assert_eq!(parse(other), None, "{other}");
        }
        assert_eq!(parse(&format!("{text}&x=1")), None);
        assert_eq!(parse(&text.replace("control,worker", "none")), None);
        assert_eq!(parse(&text.replace("/3/", "/70000/")), None);
    }
}
