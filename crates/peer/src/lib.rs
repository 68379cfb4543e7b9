//! Who a node is to another one, and how the two speak.
//!
//! A cluster has a certificate authority of its own ([`Authority`]), made when it was founded. It certifies which node
//! is who: cluster, incarnation, node and roles stand in the certificate, and a peer is believed nothing else about
//! itself. A machine comes in with a [`JoinToken`], which tells it whom to trust before it says a word.
//! The decisions and their reasons stand in `docs/adr/0016-peers.md`.
//!
//! It must never log or print a key or the secret of a token, take an address for an identity, or let a connection
//! outlive what its certificate was good for.

#![deny(unsafe_code)]

mod chance;
mod error;
mod hex;

mod adapter;
mod calls;
mod carrier;
mod connection;
mod copies;
mod credentials;
mod dial;
mod handed;
mod join;
mod listen;
mod output;
mod streams;
mod verify;

pub mod ca;
pub mod clock;
pub mod files;
pub mod identity;
pub mod key;
pub mod renew;
pub mod seal;
pub mod server;
pub mod service;
#[doc(hidden)]
pub mod simulated;
pub mod token;
pub mod trust;

pub use ca::Authority;
pub use carrier::{Carrier, journal_number};
pub use clock::Clock;
pub use credentials::Credentials;
pub use dial::{Dialer, Lane, Uncallable};
pub use error::Error;
pub use identity::{Certified, Identity, Roles, Serial};
pub use join::{JoinError, Joined, Joining, join};
pub use key::{NodeKey, PublicKey};
pub use listen::{Listener, Refusals};
pub use rustls::pki_types::CertificateDer;
pub use service::Service;
pub use token::{Fault as JoinTokenFault, JoinToken};
pub use trust::{Refusal, Trust};
