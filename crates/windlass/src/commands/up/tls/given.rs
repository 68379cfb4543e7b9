//! A certificate that was given: two files, which somebody else renews.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::tls::{Certificate, Unusable};
use peer::Clock;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::failure::Failure;

/// How often it is looked whether the files have changed.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(2);
/// No chain and no key is larger.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// From so long before its end on, a certificate that nobody has replaced is complained of.
const SOON_S: u64 = 7 * 24 * 3600;

/// The two files, as they were read last.
#[derive(Debug)]
pub(super) struct Given {
    certificate: PathBuf,
    key: PathBuf,
    clock: Clock,
    seen: Option<[Stamp; 2]>,
    shown: Certificate,
}

/// What changes when a file is written or replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
}

impl Given {
    /// Reads the files.
    pub(super) fn read(
        certificate: &Path,
        key: &Path,
        clock: &Clock,
    ) -> Result<(Given, Certificate), Failure> {
        let seen = stamps(certificate, key);
        let first = read(certificate, key, clock)?;
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        Ok((Given { certificate, key, clock: clock.clone(), seen, shown: first.clone() }, first))
    }

    /// Reads them again if they have changed. A pair that does not fit may be half replaced: it is looked at again.
    pub(super) fn look(&mut self) -> Result<Option<Certificate>, String> {
        let stamps = stamps(&self.certificate, &self.key);
        if stamps.is_some() && stamps == self.seen {
            return self.ends_soon().map_or(Ok(None), Err);
        }
        let read = read(&self.certificate, &self.key, &self.clock);
        let read = read.map_err(|failure| failure.message)?;
        self.seen = stamps;
        self.shown = read.clone();
        Ok(Some(read))
    }

    fn ends_soon(&self) -> Option<String> {
        let now_s = self.clock.now_s();
        let file = self.certificate.display();
        match (self.shown.check(now_s), self.shown.check(now_s + SOON_S)) {
            (Err(why), _) => Some(format!("`{file}`: {why}")),
            (Ok(()), Err(Unusable::Expired)) => {
                Some(format!("`{file}`: the certificate expires within a week"))
            }
            _ => None,
        }
    }
}

fn stamps(certificate: &Path, key: &Path) -> Option<[Stamp; 2]> {
    let stamp = |path| {
        let meta = fs::metadata(path).ok()?;
        let modified = (meta.mtime(), meta.mtime_nsec());
        Some(Stamp { inode: meta.ino(), bytes: meta.len(), modified })
    };
    Some([stamp(certificate)?, stamp(key)?])
}

fn read(certificate: &Path, key: &Path, clock: &Clock) -> Result<Certificate, Failure> {
    let cannot = |what: &str, path: &Path, why: String| {
        Failure::new(format!("cannot use {what} `{}`: {why}", path.display()))
    };
    let (text, _) =
        bytes(certificate).map_err(|why| cannot("the certificate", certificate, why))?;
    let chain = CertificateDer::pem_slice_iter(&text).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|error| cannot("the certificate", certificate, error.to_string()))?;
    let (text, meta) = bytes(key).map_err(|why| cannot("the key", key, why))?;
    if is_exposed(&meta) {
        let path = key.display();
        return Err(cannot("the key", key, "other users of this machine can read it".to_owned())
            .hint(format!("`chmod 600 {path}`; and if somebody may have read it, replace it")));
    }
    let private = PrivateKeyDer::from_pem_slice(&text);
    let private = private.map_err(|error| {
        cannot("the key", key, error.to_string()).hint("it has to be a PEM without a passphrase")
    })?;
    let unusable = |why: Unusable| cannot("the certificate", certificate, why.to_string());
    let read = Certificate::new(chain, private).map_err(unusable)?;
    read.check(clock.now_s()).map_err(unusable)?;
    Ok(read)
}

fn bytes(path: &Path) -> Result<(Vec<u8>, Metadata), String> {
    let read = || {
        let file = File::open(path)?;
        let meta = file.metadata()?;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok((bytes, meta))
    };
    read().map_err(|error: std::io::Error| error.to_string())
}

/// A key is its owner's alone; where root owns it, a group that root chose may read it.
fn is_exposed(meta: &Metadata) -> bool {
    let allowed = if meta.uid() == 0 { 0o040 } else { 0 };
    meta.mode() & 0o077 & !allowed != 0
}
