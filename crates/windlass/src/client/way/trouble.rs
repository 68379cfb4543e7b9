//! What goes wrong between a client and the node it calls, in words: TLS has its own for experts.

use std::error::Error as StdError;
use std::io;
use std::path::{Path, PathBuf};

use rustls::CertificateError;

use crate::failure::{Failure, exit};

/// Why two programs do not come together.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Trouble {
    /// It was called in the clear.
    #[error("it speaks TLS")]
    SpeaksTls,
    /// It was called over TLS.
    #[error("it does not speak TLS")]
    SpeaksNoTls,
    /// It is not a node.
    #[error("it does not speak gRPC")]
    OtherProtocol,
    /// Its certificate is of an authority that is not believed.
    #[error("its certificate is of an unknown authority")]
    UnknownAuthority,
    /// Its certificate is for these.
    #[error("its certificate is for other names")]
    OtherName(Vec<String>),
    /// The time of its certificate is over.
    #[error("its certificate has expired")]
    Expired,
    /// It has not come.
    #[error("its certificate is not good yet")]
    NotYet,
    /// The user's own file is no help.
    #[error("the file of the authority cannot be used: {why}")]
    Ca { path: PathBuf, why: String },
    /// In the words of TLS.
    #[error("{0}")]
    Other(String),
}

/// What the first byte of a node tells, after which it is called in vain however often.
const IN_THE_CLEAR: [Trouble; 2] = [Trouble::SpeaksTls, Trouble::OtherProtocol];

impl Trouble {
    fn of(error: &rustls::Error) -> Trouble {
        use CertificateError as Bad;
        match error {
            rustls::Error::InvalidMessage(_) => Trouble::SpeaksNoTls,
            rustls::Error::InvalidCertificate(bad) => match bad {
                Bad::UnknownIssuer => Trouble::UnknownAuthority,
                Bad::NotValidForName => Trouble::OtherName(Vec::new()),
                Bad::NotValidForNameContext { presented, .. } => {
                    Trouble::OtherName(presented.iter().map(|name| bare(name)).collect())
                }
                Bad::Expired | Bad::ExpiredContext { .. } => Trouble::Expired,
                Bad::NotValidYet | Bad::NotValidYetContext { .. } => Trouble::NotYet,
                // Another authority of the same name has signed it: a cluster that was founded anew.
                Bad::BadSignature => Trouble::UnknownAuthority,
                other => Trouble::Other(other.to_string()),
            },
            other => Trouble::Other(other.to_string()),
        }
    }

    fn failure(self, addr: &str, ca: Option<&Path>) -> Failure {
        let host = addr.rsplit_once(':').map_or(addr, |(host, _)| host);
        let certificate = format!("the certificate of the node at {addr}");
        let (message, hint) = match self {
            Trouble::SpeaksTls => (
                format!("the node at {addr} speaks TLS, and was called without"),
                format!("write `--node https://{addr}`, with `--ca FILE` where the cluster's own authority vouches for it"),
            ),
            Trouble::SpeaksNoTls => (
                format!("the node at {addr} does not speak TLS"),
                format!("write `--node http://{addr}`; nodes do that on loopback alone"),
            ),
            Trouble::OtherProtocol => (
                format!("what answers at {addr} does not speak gRPC"),
                "is it a node? name another with `--node ADDR`".to_owned(),
            ),
            Trouble::UnknownAuthority => {
                let message = match ca {
                    Some(path) => format!("{certificate} is of no authority in `{}`", path.display()),
                    None => format!("{certificate} is of an authority that is not known here"),
                };
                (message, "copy DATA_DIR/peer/authority.crt of one of its nodes, which `windlass cluster ca` prints there, and give it with `--ca FILE`".to_owned())
            }
            Trouble::OtherName(names) => {
                let names = match names.is_empty() {
                    true => "other names".to_owned(),
                    false => names.join(", "),
                };
                (
                    format!("{certificate} is for {names}, and not for `{host}`"),
                    format!("call it by one of its names, or start it with `--api-name {host}`"),
                )
            }
            Trouble::Expired => (
                format!("{certificate} has expired"),
                "compare the clocks of the two machines; one that was given with `--api-cert` has to be replaced".to_owned(),
            ),
            Trouble::NotYet => (
                format!("{certificate} is not good yet"),
                "compare the clocks of the two machines".to_owned(),
            ),
            Trouble::Ca { path, why } => (
                format!("cannot take the authority from `{}`: {why}", path.display()),
                "`windlass cluster ca` prints it on a node of the cluster".to_owned(),
            ),
            Trouble::Other(why) => (
                format!("no connection to the node at {addr} can be secured: {why}"),
                "look into the log of the node".to_owned(),
            ),
        };
        Failure { exit: exit::UNREACHABLE, ..Failure::new(message).hint(hint) }
    }
}

/// The words for what is behind a failed connection or call, if it is of this kind.
pub(crate) fn trouble(
    error: &(dyn StdError + 'static),
    addr: &str,
    ca: Option<&Path>,
) -> Option<Failure> {
    find(error).map(|trouble| trouble.failure(addr, ca))
}

/// Whether trying again is in vain: it is not the node that was meant.
pub(crate) fn is_hopeless(error: &(dyn StdError + 'static)) -> bool {
    find(error).is_some_and(|trouble| IN_THE_CLEAR.contains(&trouble))
}

fn find(error: &(dyn StdError + 'static)) -> Option<Trouble> {
    let mut next = Some(error);
    while let Some(error) = next {
        let io = error.downcast_ref::<io::Error>();
        // What an error of this type wraps is not its source.
        let inner = io.and_then(io::Error::get_ref);
        if let Some(inner) = inner {
            if let Some(trouble) = inner.downcast_ref::<Trouble>() {
                return Some(trouble.clone());
            }
            if let Some(error) = inner.downcast_ref::<rustls::Error>() {
                return Some(Trouble::of(error));
            }
        }
        // HTTP/2 keeps the words of what a connection said, and nothing else of it.
        let words = error.to_string();
        if let Some(trouble) = IN_THE_CLEAR.iter().find(|trouble| trouble.to_string() == words) {
            return Some(trouble.clone());
        }
        next = error.source();
    }
    None
}

/// `DnsName("alpha")` and `IpAddress(10.0.0.5)` as people write them.
fn bare(name: &str) -> String {
    let inner = name.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    inner.unwrap_or(name).trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client's connection fails with: the error of TLS, wrapped as it comes up from below.
    fn said(error: rustls::Error) -> String {
        let error = io::Error::new(io::ErrorKind::InvalidData, error);
        trouble(&error, "alpha:7400", None).unwrap().to_string()
    }

    #[test]
    fn each_has_words_and_says_what_to_do() {
        let bad = |error: CertificateError| said(rustls::Error::InvalidCertificate(error));
        let texts = [
            bad(CertificateError::UnknownIssuer),
            bad(CertificateError::BadSignature),
            bad(CertificateError::NotValidForName),
            bad(CertificateError::Expired),
            bad(CertificateError::NotValidYet),
            bad(CertificateError::BadEncoding),
            said(rustls::InvalidMessage::InvalidContentType.into()),
            said(rustls::Error::DecryptError),
        ];
        for text in &texts {
            assert!(text.contains("alpha:7400") && text.contains("\nhint: "), "{text}");
        }
        assert!(texts[3].contains("has expired"), "{}", texts[3]);
        assert!(texts[4].contains("is not good yet"), "{}", texts[4]);
        assert!(texts[6].contains("does not speak TLS"), "{}", texts[6]);
    }

    #[test]
    fn names_are_as_people_write_them() {
        for (name, shown) in
            [(r#"DnsName("alpha")"#, "alpha"), ("IpAddress(10.0.0.5)", "10.0.0.5"), ("x", "x")]
        {
            assert_eq!(bare(name), shown);
        }
    }

    #[test]
    fn what_is_none_of_these_is_left_to_others() {
        let refused = io::Error::from(io::ErrorKind::ConnectionRefused);
        assert!(trouble(&refused, "alpha:7400", None).is_none() && !is_hopeless(&refused));
        let plain = io::Error::other(Trouble::SpeaksTls);
        assert!(is_hopeless(&plain));
        // As HTTP/2 hands it on.
        let words = io::Error::other(Trouble::SpeaksTls.to_string());
        assert!(is_hopeless(&words));
    }
}
