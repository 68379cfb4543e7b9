//! TLS of the listener: what it shows of itself, and how a connection becomes a secured one.
//!
//! It exists because tokens and output must not cross a network in the clear. Where certificates come from is not known
//! here: whoever serves hands one in, and another one when it is time ([`Shown::replace`]).
//!
//! It must never ask a caller for a certificate, nor take one for more than the other side of a secured line: who calls
//! is what the token says.

mod certificate;
mod handshake;
mod shown;

#[cfg(test)]
pub(crate) use certificate::tests::of;
pub use certificate::{Certificate, Unusable};
pub(crate) use handshake::{Handshakes, Stream, tcp};
pub use shown::Shown;
