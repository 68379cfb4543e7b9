//! Sealing and opening secrets.
//!
//! A secret is sealed before anything is written, so the journal, snapshots, history and whatever
//! copies them have it sealed alone, and opened when its task is about to be given to the
//! supervisor. The keys lie in the data directory beside the data: they guard copies of the data,
//! not the directory itself. Each sealed value names its key, so that keys can follow one another.
//!
//! It must never log or print a value or a key.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use model::JobSpec;
use proto::job;
use proto::session::{ToWorker, to_worker};
use sha2::Sha256;

use crate::blobs::hex;
use crate::chance::random;
use crate::data_dir::write_durably;
use crate::error::{Refused, StartError};

/// The file of the keys: a line each, its number and 64 hexadecimal digits; the last seals.
const FILE: &str = "secrets.key";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// The keys of a node.
pub(crate) struct Secrets {
    keys: BTreeMap<u32, [u8; KEY_BYTES]>,
    /// The one that seals.
    newest: u32,
    /// The one that payloads are hashed with: the first, for it must stay.
    oldest: u32,
    /// All of them, as they are kept.
    text: String,
}

/// Why a secret cannot be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unopened {
    #[error(
        "the secret `{name}` is sealed with key {key}, which this node does not have; restore `{FILE}` in its data directory"
    )]
    NoKey { name: String, key: u32 },
    #[error("the secret `{name}` does not open with key {key}: it, or the key, was changed")]
    Changed { name: String, key: u32 },
}

impl Secrets {
    /// Reads the keys of a data directory; makes the first where there are none.
    pub(crate) fn open(dir: &Path) -> Result<Secrets, StartError> {
        let path = dir.join(FILE);
        let fault = |what| {
            let path = path.clone();
            move |source| StartError::DataDir { path, what, source }
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let key =
                    random::<KEY_BYTES>().map_err(no_chance).map_err(fault("cannot make it"))?;
                let number = random::<4>().map_err(no_chance).map_err(fault("cannot make it"))?;
                let text = format!("{} {}\n", u32::from_le_bytes(number).max(1), hex(&key));
                write_durably(dir, FILE, text.as_bytes()).map_err(fault("cannot write it"))?;
                text
            }
            Err(error) => return Err(fault("cannot read it")(error)),
        };
        let keys: Option<Vec<_>> = text.lines().map(key).collect();
        let invalid = || fault("cannot read its keys")(io::ErrorKind::InvalidData.into());
        let keys = keys.ok_or_else(invalid)?;
        let (Some((oldest, _)), Some((newest, _))) = (keys.first(), keys.last()) else {
            return Err(invalid());
        };
        let (oldest, newest) = (*oldest, *newest);
        Ok(Secrets { keys: keys.into_iter().collect(), newest, oldest, text })
    }

    /// Seals what is in the clear in a job.
    pub(crate) fn seal(&self, spec: &mut JobSpec) -> Result<(), Refused> {
        let clear = spec.tasks.iter_mut().flat_map(|task| &mut task.secrets);
        for secret in clear.filter(|secret| secret.key == 0) {
            let nonce = random::<NONCE_BYTES>()?;
            let payload = Payload { msg: &secret.value, aad: secret.name.as_bytes() };
            let sealed = self
                .cipher(self.newest)
                .and_then(|cipher| cipher.encrypt(XNonce::from_slice(&nonce), payload).ok());
            let failed =
                || Refused::Failed(format!("the secret `{}` cannot be sealed", secret.name));
            let sealed = sealed.ok_or_else(failed)?;
            secret.value = [&nonce[..], &sealed].concat();
            secret.key = self.newest;
        }
        Ok(())
    }

    /// The keys as they are kept: for other control nodes, which need the same.
    pub(crate) fn text(&self) -> String {
        self.text.clone()
    }

    /// Keeps the keys of the cluster in a data directory that has none yet.
    pub(crate) fn keep(dir: &Path, text: &str) -> io::Result<()> {
        match dir.join(FILE).exists() {
            true => Ok(()),
            false => write_durably(dir, FILE, text.as_bytes()),
        }
    }

    /// Whether a data directory has keys.
    pub(crate) fn are_kept(dir: &Path) -> bool {
        dir.join(FILE).exists()
    }

    /// Opens what is sealed in what is said to a worker: it has no keys, and hears it over a
    /// connection that nobody else reads. What does not open stays sealed, and is not started.
    pub(crate) fn open_for_worker(&self, message: &mut ToWorker) {
        let Some(to_worker::Kind::Assign(assign)) = &mut message.kind else { return };
        for assignment in &mut assign.assignments {
            let Some(spec) = &mut assignment.spec else { continue };
            for secret in spec.secrets.iter_mut().filter(|secret| secret.key != 0) {
                match self.reveal(secret) {
                    Ok(variable) => (secret.value, secret.key) = (variable.value.into_bytes(), 0),
                    Err(error) => {
                        tracing::error!(run = assignment.run, %error, "a task cannot be started");
                    }
                }
            }
        }
    }

    /// What a sealed secret is in the clear.
    pub(crate) fn reveal(&self, secret: &job::Secret) -> Result<job::Variable, Unopened> {
        let (name, key) = (secret.name.clone(), secret.key);
        let Some(cipher) = self.cipher(key) else { return Err(Unopened::NoKey { name, key }) };
        let open = || {
            let (nonce, sealed) = secret.value.split_at_checked(NONCE_BYTES)?;
            let payload = Payload { msg: sealed, aad: name.as_bytes() };
            let clear = cipher.decrypt(XNonce::from_slice(nonce), payload).ok()?;
            String::from_utf8(clear).ok()
        };
        match open() {
            Some(value) => Ok(job::Variable { name, value }),
            None => Err(Unopened::Changed { name, key }),
        }
    }

    /// A hash of a payload with secrets in it, of which nobody without the key can guess them.
    pub(crate) fn hash(&self, payload: &[u8]) -> Vec<u8> {
        let key = self.keys.get(&self.oldest).map_or(&[][..], |key| key);
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(key);
        let mac = mac.expect("a key of any length will do");
        mac.chain_update(payload).finalize().into_bytes().to_vec()
    }

    fn cipher(&self, key: u32) -> Option<XChaCha20Poly1305> {
        let key = self.keys.get(&key)?;
        Some(XChaCha20Poly1305::new(key.into()))
    }
}

/// Whether a job has a secret that is not sealed.
pub(crate) fn has_clear(spec: &JobSpec) -> bool {
    spec.tasks.iter().flat_map(|task| &task.secrets).any(|secret| secret.key == 0)
}

fn key(line: &str) -> Option<(u32, [u8; KEY_BYTES])> {
    let (number, digits) = line.split_once(' ')?;
    if digits.len() != 2 * KEY_BYTES || !digits.is_ascii() {
        return None;
    }
    let mut key = [0; KEY_BYTES];
    for (byte, at) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(&digits[at..at + 2], 16).ok()?;
    }
    Some((number.parse().ok().filter(|number| *number > 0)?, key))
}

fn no_chance(refused: Refused) -> io::Error {
    io::Error::other(refused.to_string())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use model::{Secret, TaskSpec};

    use super::*;

    fn sealed(secrets: &Secrets) -> job::Secret {
        let mut task = TaskSpec::new(vec!["true".into()]);
        task.secrets = vec![Secret { name: "KEY".into(), key: 0, value: b"hidden".into() }];
        let mut spec = JobSpec { tasks: vec![task], ..JobSpec::default() };
        assert!(has_clear(&spec));
        secrets.seal(&mut spec).unwrap();
        assert!(!has_clear(&spec));
        (&spec.tasks[0].secrets[0]).into()
    }

    #[test]
    fn what_is_sealed_opens_with_its_key_and_no_other() {
        let [dir, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        let secrets = Secrets::open(dir.path()).unwrap();
        let mode = fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let one = sealed(&secrets);
        assert!(!one.value.windows(6).any(|window| window == b"hidden"));
        assert_ne!(one.value, sealed(&secrets).value, "no two are alike");
        // Another start has the same keys.
        let again = Secrets::open(dir.path()).unwrap();
        assert_eq!(again.reveal(&one).unwrap().value, "hidden");
        assert_eq!(again.hash(b"x"), secrets.hash(b"x"));
        let changed = |change: fn(&mut job::Secret)| {
            let mut one = one.clone();
            change(&mut one);
            again.reveal(&one)
        };
        assert!(matches!(changed(|one| one.name = "OTHER".into()), Err(Unopened::Changed { .. })));
        assert!(matches!(changed(|one| one.value[30] ^= 1), Err(Unopened::Changed { .. })));
        assert!(matches!(changed(|one| one.value.truncate(9)), Err(Unopened::Changed { .. })));
        let other = Secrets::open(other.path()).unwrap();
        assert!(matches!(other.reveal(&one), Err(Unopened::NoKey { .. })));
        assert_ne!(other.hash(b"x"), secrets.hash(b"x"));
    }

    #[test]
    fn a_new_key_seals_and_the_old_one_still_opens() {
        let dir = tempfile::tempdir().unwrap();
        let old = Secrets::open(dir.path()).unwrap();
        let one = sealed(&old);
        let path = dir.path().join(FILE);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}77 {}\n", "ab".repeat(32))).unwrap();
        let new = Secrets::open(dir.path()).unwrap();
        assert_eq!(sealed(&new).key, 77);
        assert_eq!(new.reveal(&one).unwrap().value, "hidden");
        assert_eq!(new.hash(b"x"), old.hash(b"x"), "a key of a caller still finds its run");
        fs::write(&path, "not a key").unwrap();
        assert!(Secrets::open(dir.path()).is_err());
    }
}
