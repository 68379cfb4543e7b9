//! Where the token lies, and how a client finds it.
//!
//! A node keeps it in `DATA_DIR/token`. While it serves it leaves a copy by its address among the
//! user's own files, so that `--node ADDR` is enough whatever its data directory. All of these
//! can be read by their owner alone.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// Random bytes of a token; written as twice as many hexadecimal digits.
const TOKEN_BYTES: usize = 32;
/// No token file is longer.
const FILE_BYTES_MAX: u64 = 4096;

/// The token in `dir`, made where there is none.
pub(crate) fn ensure(dir: &Path) -> Result<String, Failure> {
    let path = dir.join("token");
    if !path.exists() {
        let fault = |error| cannot("create the token", &path, &error);
        let token = random().map_err(fault)?;
        write_whole(&path, token.as_bytes()).map_err(fault)?;
    }
    let mode = fs::metadata(&path).map_or(0, |meta| meta.permissions().mode());
    if mode & 0o077 != 0 {
        let hint = format!("chmod 600 {}", path.display());
        return Err(Failure::new(format!("others can read the token in `{}`", path.display()))
            .hint(format!(
                "it may be known to them: delete it to have a new one made, or `{hint}`"
            )));
    }
    read(&path)
}

/// The token in a file.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    let mut text = String::new();
    fs::File::open(path)
        .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text))
        .map_err(|error| {
            cannot("read the token", path, &error)
                .hint("a node keeps its own as `token` in its data directory")
        })?;
    let token = text.trim();
    if token.is_empty() {
        return Err(Failure::new(format!("the token file `{}` is empty", path.display()))
            .hint("delete it and start the node again: it makes a new one"));
    }
    Ok(token.to_owned())
}

/// The copy that a serving node leaves for the clients of its user; taken away when dropped.
pub(crate) struct Pointer {
    path: PathBuf,
    token: String,
}

impl Pointer {
    /// Leaves the copy for the node at `addr`.
    pub(crate) fn leave(addr: &str, token: &str) -> Result<Pointer, Failure> {
        let path = pointer_path(addr)
            .ok_or_else(|| Failure::new("cannot leave the token for clients: HOME is not set"))?;
        let fault = |error| cannot("leave the token for clients in", &path, &error);
        make_private_dir(path.parent().expect("a pointer lies in a directory")).map_err(fault)?;
        write_whole(&path, token.as_bytes()).map_err(fault)?;
        Ok(Pointer { path, token: token.to_owned() })
    }
}

impl Drop for Pointer {
    fn drop(&mut self) {
        // Another node may serve there by now.
        if read(&self.path).is_ok_and(|token| token == self.token) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Where a node at `addr` leaves its token; `None` where the user has no place for it.
pub(crate) fn pointer_path(addr: &str) -> Option<PathBuf> {
    let name = addr.replace([':', '/'], "_");
    Some(state_home()?.join("windlass/nodes").join(format!("{name}.token")))
}

/// `$XDG_STATE_HOME`, else `~/.local/state`.
pub(crate) fn state_home() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute())
    };
    absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
}

/// Makes `dir` and what leads to it, for its owner alone.
pub(crate) fn make_private_dir(dir: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// Writes a file whole or not at all, for its owner alone.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let new = path.with_file_name(name);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.and_then(|()| fs::rename(&new, path)).inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

fn random() -> io::Result<String> {
    let mut bytes = [0; TOKEN_BYTES];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn cannot(what: &str, path: &Path, error: &io::Error) -> Failure {
    Failure::new(format!("cannot {what} `{}`: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_and_for_its_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let token = ensure(dir.path()).unwrap();
        assert_eq!(token.len(), 2 * TOKEN_BYTES);
        assert_eq!(ensure(dir.path()).unwrap(), token);
        let mode = fs::metadata(dir.path().join("token")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn two_tokens_differ() {
        assert_ne!(random().unwrap(), random().unwrap());
    }

    #[test]
    fn a_token_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        ensure(dir.path()).unwrap();
        let path = dir.path().join("token");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(ensure(dir.path()).unwrap_err().hint.unwrap().contains("chmod 600"));
    }

    #[test]
    fn an_empty_token_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("token"), "\n").unwrap();
        assert!(read(&dir.path().join("token")).unwrap_err().message.contains("is empty"));
    }
}
