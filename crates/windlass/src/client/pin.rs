//! The certificate that a node of this user shows, left by its address beside the copy of its token (`token`).
//!
//! It makes `windlass ps` on the node's own machine need no more words over TLS than without, whatever names the
//! certificate is for: the directory can be written by its owner alone, so what lies there is the node's own word.

use std::path::PathBuf;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::token::pointer_path;

/// Where a node at `addr` leaves it; `None` where the user has no place for it.
pub(crate) fn path(addr: &str) -> Option<PathBuf> {
    pointer_path(addr).map(|path| path.with_extension("crt"))
}

/// What a node at `addr` left; nothing where there is none, or no telling.
pub(crate) fn read(addr: &str) -> Vec<CertificateDer<'static>> {
    let read = path(addr).and_then(|path| CertificateDer::pem_file_iter(path).ok());
    read.into_iter().flatten().filter_map(Result::ok).collect()
}
