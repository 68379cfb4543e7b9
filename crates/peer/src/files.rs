//! Where a node keeps its key and certificate, and a control node the authority's.
//!
//! ```text
//! DATA_DIR/peer/  authority.crt   of the cluster's authority: everybody may know it
//!                 authority.key   on control nodes alone
//!                 node.pem        the node's certificate and its key: one file, so that they never part
//!                 joining.key     the key of a join that was not answered yet
//! ```
//!
//! All are PEM, readable by their owner alone, and written whole or not at all. A key that others can read is refused.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use model::ClusterId;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Authority, Certified, Error, NodeKey};

const CERTIFICATE: &str = "authority.crt";
const KEY: &str = "authority.key";
const NODE: &str = "node.pem";
const JOINING: &str = "joining.key";
/// No file of ours is larger, in bytes.
const FILE_BYTES_MAX: u64 = 64 << 10;

/// The directory of the files.
#[derive(Clone, Debug)]
pub struct Files {
    dir: PathBuf,
}

/// What a node shows others: its certificate, and the key to it.
#[derive(Debug)]
pub struct Own {
    /// The certificate.
    pub certificate: CertificateDer<'static>,
    /// The key it is for.
    pub key: NodeKey,
    /// What the certificate says.
    pub certified: Certified,
}

impl Own {
    /// A certificate with the key it is for.
    pub fn new(certificate: CertificateDer<'static>, key: NodeKey) -> Result<Own, Error> {
        let unfit = |why| Error::Unfit { why };
        let certified = Certified::read(&certificate);
        let certified = certified.ok_or_else(|| unfit("the certificate is not one of a node"))?;
        let read = webpki::EndEntityCert::try_from(&certificate);
        let read = read.map_err(|_| unfit("the certificate cannot be read"))?;
        let spki = rcgen::PublicKeyData::subject_public_key_info(&key.public());
        if read.subject_public_key_info().as_ref() != spki {
            return Err(unfit("the certificate is for another key"));
        }
        Ok(Own { certificate, key, certified })
    }
}

impl Files {
    /// Those in `DATA_DIR/peer`, which is made where it is missing.
    pub fn open(data_dir: &Path) -> Result<Files, Error> {
        let dir = data_dir.join("peer");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&dir);
        match made {
            Ok(()) => Ok(Files { dir }),
            Err(source) => Err(Error::File { what: "cannot create", path: dir, source }),
        }
    }

    /// Keeps the authority, on a control node.
    pub fn keep_authority(&self, authority: &Authority) -> Result<(), Error> {
        // The key first: a certificate that is there without one is that of a worker.
        self.write(KEY, &pem("PRIVATE KEY", authority.key().secret_der()))?;
        self.keep_certificate(authority.certificate())
    }

    /// Keeps whom to trust, on any node.
    pub fn keep_certificate(&self, authority: &CertificateDer<'_>) -> Result<(), Error> {
        self.write(CERTIFICATE, &certificate_pem(authority))
    }

    /// Keeps the node's own.
    pub fn keep_own(&self, own: &Own) -> Result<(), Error> {
        let certificate = certificate_pem(&own.certificate);
        let key = own.key.to_der();
        self.write(NODE, &(certificate + &pem("PRIVATE KEY", key.secret_der())))
    }

    /// The key of a join that has not been answered, drawn the first time: who asks again with it is
    /// taken for the same, also after a crash.
    pub fn joining_key(&self) -> Result<NodeKey, Error> {
        if let Some(text) = self.read(JOINING)? {
            let key = PrivateKeyDer::from_pem_slice(&text);
            let key = key.map_err(|error| self.damaged(JOINING, error))?;
            return NodeKey::from_der(&key);
        }
        let key = NodeKey::draw()?;
        self.write(JOINING, &pem("PRIVATE KEY", key.to_der().secret_der()))?;
        Ok(key)
    }

    /// The join was answered, and what it has brought is kept.
    pub fn forget_joining_key(&self) -> Result<(), Error> {
        self.remove(JOINING)
    }

    /// The certificate of the authority to trust; `None` where the node is in no cluster yet.
    pub fn certificate(&self) -> Result<Option<CertificateDer<'static>>, Error> {
        let Some(text) = self.read(CERTIFICATE)? else { return Ok(None) };
        let read = CertificateDer::from_pem_slice(&text);
        read.map(Some).map_err(|error| self.damaged(CERTIFICATE, error))
    }

    /// The authority; `None` on a node that does not have its key.
    pub fn authority(&self, cluster: ClusterId) -> Result<Option<Authority>, Error> {
        let (Some(certificate), Some(text)) = (self.certificate()?, self.read(KEY)?) else {
            return Ok(None);
        };
        let key = PrivateKeyDer::from_pem_slice(&text).map_err(|error| self.damaged(KEY, error))?;
        let authority = Authority::from_parts(cluster, certificate, &key);
        authority.map(Some).map_err(|error| self.damaged(KEY, error))
    }

    /// The node's own; `None` where it has none yet.
    pub fn own(&self) -> Result<Option<Own>, Error> {
        let Some(text) = self.read(NODE)? else { return Ok(None) };
        let certificate = CertificateDer::from_pem_slice(&text);
        let certificate = certificate.map_err(|error| self.damaged(NODE, error))?;
        let key = PrivateKeyDer::from_pem_slice(&text);
        let key = key.map_err(|error| self.damaged(NODE, error))?;
        let own = NodeKey::from_der(&key).and_then(|key| Own::new(certificate, key));
        own.map(Some).map_err(|error| self.damaged(NODE, error))
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, Error> {
        let path = self.dir.join(name);
        let metadata = match fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::File { what: "cannot read", path, source }),
        };
        if name != CERTIFICATE && metadata.permissions().mode() & 0o077 != 0 {
            return Err(Error::Exposed { path });
        }
        if metadata.len() > FILE_BYTES_MAX {
            return Err(self.damaged(name, "it is too large"));
        }
        let text = fs::read(&path);
        text.map(Some).map_err(|source| Error::File { what: "cannot read", path, source })
    }

    fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.dir.join(name);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(Error::File { what: "cannot remove", path, source })
            }
            _ => Ok(()),
        }
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let (new, path) = (self.dir.join(format!("{name}.new")), self.dir.join(name));
        let write = || {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.dir)?.sync_all()
        };
        write().map_err(|source| Error::File { what: "cannot write", path: path.clone(), source })
    }

    fn damaged(&self, name: &str, why: impl ToString) -> Error {
        Error::Damaged { path: self.dir.join(name), why: why.to_string() }
    }
}

/// A certificate as it stands in files.
pub fn certificate_pem(certificate: &CertificateDer<'_>) -> String {
    pem("CERTIFICATE", certificate)
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in base64.as_bytes().chunks(64) {
        text.extend(line.iter().map(|byte| char::from(*byte)));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests {
    use model::NodeId;
    use uuid::Uuid;

    use super::*;
    use crate::ca::LIFE;
    use crate::{Identity, Roles};

    fn identity() -> Identity {
        let (cluster, node) = (ClusterId(Uuid::from_u128(1)), NodeId(Uuid::from_u128(2)));
        Identity { cluster, incarnation: 4, node, roles: Roles::BOTH }
    }

    fn own(authority: &Authority) -> Own {
        let key = NodeKey::draw().unwrap();
        let certificate = authority.certify(&identity(), &key.public(), LIFE, 1_800_000_000);
        Own::new(certificate.unwrap(), key).unwrap()
    }

    #[test]
    fn what_is_kept_is_found_again_and_can_be_read_by_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        let cluster = identity().cluster;
        assert!(files.authority(cluster).unwrap().is_none() && files.own().unwrap().is_none());
        let authority = Authority::found(cluster, 1_800_000_000).unwrap();
        files.keep_authority(&authority).unwrap();
        let first = own(&authority);
        files.keep_own(&first).unwrap();
        for name in [KEY, NODE, CERTIFICATE] {
            let mode = fs::metadata(files.dir.join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let again = Files::open(dir.path()).unwrap();
        assert_eq!(again.own().unwrap().unwrap().certified, first.certified);
        let read = again.authority(cluster).unwrap().unwrap();
        assert_eq!(read.certificate(), authority.certificate());
        // A renewal takes the place of both at once.
        let renewed = own(&authority);
        files.keep_own(&renewed).unwrap();
        let read = again.own().unwrap().unwrap();
        assert_eq!(read.key.public(), renewed.key.public());
        assert_eq!(read.certified, renewed.certified);
    }

    #[test]
    fn a_worker_knows_whom_to_trust_and_cannot_certify() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        let authority = Authority::found(identity().cluster, 1_800_000_000).unwrap();
        files.keep_certificate(authority.certificate()).unwrap();
        assert_eq!(files.certificate().unwrap().as_ref(), Some(authority.certificate()));
        assert!(files.authority(identity().cluster).unwrap().is_none());
    }

    #[test]
    fn an_exposed_or_damaged_key_is_refused_with_a_hint() {
        let dir = tempfile::tempdir().unwrap();
        let files = Files::open(dir.path()).unwrap();
        let authority = Authority::found(identity().cluster, 1_800_000_000).unwrap();
        files.keep_authority(&authority).unwrap();
        let path = files.dir.join(KEY);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = files.authority(identity().cluster).unwrap_err();
        assert!(matches!(error, Error::Exposed { .. }), "{error}");
        assert!(error.to_string().contains("hint: chmod 600"), "{error}");
        files.write(KEY, "-----BEGIN").unwrap();
        let error = files.authority(identity().cluster).unwrap_err();
        assert!(matches!(error, Error::Damaged { .. }), "{error}");
        let other = Authority::found(identity().cluster, 1_800_000_000).unwrap();
        files.keep_own(&own(&authority)).unwrap();
        let text = fs::read_to_string(files.dir.join(NODE)).unwrap();
        let (certificate, _) = text.split_once("-----BEGIN PRIVATE").unwrap();
        let mixed = format!("{certificate}{}", pem("PRIVATE KEY", other.key().secret_der()));
        files.write(NODE, &mixed).unwrap();
        assert!(matches!(files.own(), Err(Error::Damaged { .. })));
    }
}
