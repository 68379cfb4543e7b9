//! The flags that say what the listener shows, and what follows from them.
//!
//! On loopback nothing is shown unless a certificate is given; anywhere else something always is.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use model::{Roles, text};
use peer::Clock;
use rustls::pki_types::ServerName;

use super::given::Given;
use crate::failure::Failure;

#[derive(clap::Args, Debug)]
pub(in crate::commands::up) struct TlsArgs {
    /// Show the certificate in FILE, a PEM with its chain (else one of the cluster's own)
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    api_cert: Option<PathBuf>,
    /// Take the key of that certificate from FILE, a PEM that others cannot read
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    api_key: Option<PathBuf>,
    /// Let the node's own certificate be for NAME too, any number of times
    #[arg(long = "api-name", value_name = "NAME", value_parser = api_name, hide_short_help = true)]
    api_names: Vec<ServerName<'static>>,
    /// How long the node's own certificate is good for
    #[arg(long, value_name = "TIME", hide = true, value_parser = text::parse_duration_ms)]
    api_cert_life: Option<u64>,
}

/// What is to be shown, before there is a node.
#[derive(Debug)]
pub(in crate::commands::up) enum Wanted {
    /// Nothing: it is loopback, and nobody asked for more.
    Plain,
    /// What was given.
    Given { certificate: PathBuf, key: PathBuf },
    /// What the node issues for itself.
    Own { also: Vec<ServerName<'static>>, life: Duration },
}

impl Wanted {
    /// Refuses what a node with these roles cannot show, as far as they are known: `None` leaves it to its directory.
    pub(in crate::commands::up) fn check(&self, roles: Option<Roles>) -> Result<(), Failure> {
        match self {
            Wanted::Own { .. } if roles.is_some_and(|roles| !roles.control) => Err(no_authority()),
            _ => Ok(()),
        }
    }
}

/// What a node without the cluster's authority is told.
pub(super) fn no_authority() -> Failure {
    Failure::new("cannot issue a certificate for the API: the key of the cluster's authority is on control nodes alone")
        .hint("give one with `--api-cert FILE --api-key FILE`, or listen on loopback")
}

impl TlsArgs {
    /// What the flags say, for a node that listens there. Files that cannot be used are told at once.
    pub(in crate::commands::up) fn wanted(&self, api: SocketAddr) -> Result<Wanted, Failure> {
        match (&self.api_cert, &self.api_key) {
            (Some(_), Some(_)) if !self.api_names.is_empty() => {
                Err(Failure::usage("`--api-name` and `--api-cert` do not go together")
                    .hint("the names of a certificate that is given stand in it"))
            }
            (Some(certificate), Some(key)) => {
                let (certificate, key) = (certificate.clone(), key.clone());
                Given::read(&certificate, &key, &Clock::wall())?;
                Ok(Wanted::Given { certificate, key })
            }
            (None, None) if !api.ip().is_loopback() => Ok(self.own()),
            (None, None) if !self.api_names.is_empty() => {
                Err(Failure::usage(format!("`--api-name` says nothing at {api}"))
                    .hint("a node issues a certificate for itself where others reach it, such as `--api 0.0.0.0:7400`"))
            }
            (None, None) => Ok(Wanted::Plain),
            (Some(_), None) => Err(Failure::usage("`--api-cert` needs `--api-key`")),
            (None, Some(_)) => Err(Failure::usage("`--api-key` needs `--api-cert`")),
        }
    }

    fn own(&self) -> Wanted {
        let life = self.api_cert_life.map_or(peer::server::SERVER_LIFE, Duration::from_millis);
        Wanted::Own { also: self.api_names.clone(), life }
    }
}

fn api_name(text: &str) -> Result<ServerName<'static>, String> {
    let name = ServerName::try_from(text.to_owned());
    name.map_err(|_| "a name or an address of a machine, such as `alpha.example`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(clap::Parser)]
    struct TestArgs {
        #[command(flatten)]
        args: TlsArgs,
    }

    fn wanted(api: &str, line: &[&str]) -> Result<Wanted, Failure> {
        let line = ["up"].iter().chain(line);
        let args = <TestArgs as clap::Parser>::try_parse_from(line).unwrap().args;
        args.wanted(api.parse().unwrap())
    }

    #[test]
    fn beyond_loopback_there_is_tls() {
        assert!(matches!(wanted("127.0.0.1:7400", &[]), Ok(Wanted::Plain)));
        for api in ["0.0.0.0:0", "[::]:0", "10.0.0.5:7400"] {
            assert!(matches!(wanted(api, &[]), Ok(Wanted::Own { .. })), "{api}");
        }
        let named = wanted("0.0.0.0:7400", &["--api-name", "alpha"]);
        assert!(matches!(named, Ok(Wanted::Own { also, .. }) if also.len() == 1));
    }

    #[test]
    fn a_node_that_only_works_issues_none() {
        let own = wanted("0.0.0.0:7400", &[]).unwrap();
        let worker = Roles { control: false, worker: true };
        assert!(own.check(Some(worker)).is_err_and(|failure| failure.hint.is_some()));
        assert!(own.check(Some(Roles::BOTH)).is_ok() && own.check(None).is_ok());
        assert!(wanted("127.0.0.1:7400", &[]).unwrap().check(Some(worker)).is_ok());
    }

    #[test]
    fn flags_that_do_not_fit_are_told() {
        let message = |line: &[&str]| wanted("127.0.0.1:7400", line).unwrap_err().message;
        let name = ["--api-name", "alpha"];
        assert!(message(&name).contains("says nothing at 127.0.0.1:7400"));
        assert!(message(&["--api-cert", "a"]).contains("needs `--api-key`"));
        assert!(message(&["--api-key", "a"]).contains("needs `--api-cert`"));
        let pair = ["--api-cert", "a", "--api-key", "b"];
        assert!(message(&pair).contains("cannot use the certificate `a`"));
        assert!(message(&[&pair[..], &name].concat()).contains("do not go together"));
    }
}
