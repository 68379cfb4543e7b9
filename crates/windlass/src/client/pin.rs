//! The certificate that a node of this user shows, left by its address beside the copy of its token (`token`).
//!
//! It makes `windlass ps` on the node's own machine need no more words over TLS than without, whatever names the
//! certificate is for: the directory can be written by its owner alone, so what lies there is the node's own word.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use peer::files::certificate_pem;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::token::{make_private_dir, pointer_path, write_whole};

/// Where a node at `addr` leaves it; `None` where the user has no place for it.
pub(crate) fn path(addr: &str) -> Option<PathBuf> {
    pointer_path(addr).map(|path| path.with_extension("crt"))
}

/// What a node at `addr` left; nothing where there is none, or no telling.
pub(crate) fn read(addr: &str) -> Vec<CertificateDer<'static>> {
    let read = path(addr).and_then(|path| CertificateDer::pem_file_iter(path).ok());
    read.into_iter().flatten().filter_map(Result::ok).collect()
}

/// What a serving node leaves for the clients of its user; taken away when dropped.
pub(crate) struct Pins {
    paths: Vec<PathBuf>,
    /// What lies there.
    certificates: Vec<CertificateDer<'static>>,
}

/// The one that is shown, and the one before it: a client may have read just before a change.
const KEPT: usize = 2;

impl Pins {
    /// For a node that clients call by these addresses.
    pub(crate) fn at(addrs: &[String]) -> Pins {
        let paths = addrs.iter().filter_map(|addr| path(addr)).collect();
        Pins { paths, certificates: Vec::new() }
    }

    /// Takes away what an earlier node left at these addresses, for this one speaks in the clear.
    pub(crate) fn clear(addrs: &[String]) {
        drop(Pins::at(addrs));
    }

    /// Leaves this one as well, from before it is shown.
    pub(crate) fn leave(&mut self, certificate: &CertificateDer<'static>) -> io::Result<()> {
        self.certificates.insert(0, certificate.clone());
        self.certificates.truncate(KEPT);
        let text: String = self.certificates.iter().map(certificate_pem).collect();
        for path in &self.paths {
            make_private_dir(path.parent().unwrap_or(Path::new("/")))?;
            write_whole(path, text.as_bytes())?;
        }
        Ok(())
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        for path in &self.paths {
            // It may be gone, and there is nothing to be done where it stays: no other node shows it.
            let _ = fs::remove_file(path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_two_lie_there_while_the_node_serves() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nodes/127.0.0.1_7400.crt");
        let mut pins = Pins { paths: vec![path.clone()], certificates: Vec::new() };
        let certificate = |byte| CertificateDer::from(vec![byte; 100]);
        for byte in 1..=3 {
            pins.leave(&certificate(byte)).unwrap();
        }
        let read: Vec<_> = CertificateDer::pem_file_iter(&path).unwrap().collect();
        let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
        assert_eq!(read, [certificate(3), certificate(2)]);
        drop(pins);
        assert!(!path.exists());
    }
}
