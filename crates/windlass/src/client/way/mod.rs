//! The way to a node: in the clear on this machine, over TLS to any other.
//!
//! It exists because a token must not cross a network where others can read it along, nor be told to somebody who is
//! not the node that was called.
//!
//! ```text
//!  https://                       TLS
//!  http://                        in the clear, and on loopback alone
//!  neither, a node of this user   as that node left word that it speaks (`token`, `pin`)
//!  neither, with --ca             TLS
//!  neither                        in the clear on loopback, else TLS
//! ```

mod believe;
mod connector;
mod first_word;
mod trouble;

use std::path::PathBuf;

use rustls::pki_types::ServerName;

pub(crate) use connector::Connector;
pub(crate) use trouble::{is_hopeless, trouble};

use super::addr::{Address, Scheme};
use super::{Target, pin, token};
use crate::failure::Failure;

/// How a node is spoken to.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// In the clear.
    Plain,
    /// Over TLS, with a node that has a certificate for this name.
    Tls { name: ServerName<'static>, ca: Option<PathBuf> },
}

impl Way {
    /// The way to the node at this address.
    pub(crate) fn to(address: &Address, target: &Target) -> Result<Way, Failure> {
        let ca = target.ca.clone().filter(|path| !path.as_os_str().is_empty());
        if !speaks_tls(address, ca.is_some())? {
            return Ok(Way::Plain);
        }
        let host = address.host();
        let name = ServerName::try_from(host.to_owned());
        let name = name.map_err(|_| Failure::usage(format!("`{host}` is no name of a machine")))?;
        Ok(Way::Tls { name, ca })
    }

    /// What is written before the address.
    pub(crate) fn scheme(&self) -> &'static str {
        match self {
            Way::Plain => "http",
            Way::Tls { .. } => "https",
        }
    }
}

fn speaks_tls(address: &Address, with_ca: bool) -> Result<bool, Failure> {
    let text = &address.text;
    match address.scheme {
        Some(Scheme::Https) => Ok(true),
        Some(Scheme::Http) if !address.is_loopback() => Err(Failure::usage(format!(
            "will not call `http://{text}`: others could read the token along"
        ))
        .hint(format!("nodes serve other machines over TLS alone: write `https://{text}`"))),
        Some(Scheme::Http) => Ok(false),
        None if pin::path(text).is_some_and(|path| path.exists()) => Ok(true),
        None if token::pointer_path(text).is_some_and(|path| path.exists()) => Ok(false),
        None => Ok(with_ca || !address.is_loopback()),
    }
}
