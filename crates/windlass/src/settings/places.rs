//! Where configuration files lie.

use std::path::PathBuf;

/// The machine's own.
pub(crate) const SYSTEM: &str = "/etc/windlass/windlass.yaml";
/// Names the one file to read; empty means none.
pub(crate) const VARIABLE: &str = "WINDLASS_CONFIG";

/// A file to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) path: PathBuf,
    /// Somebody named it: that it is missing is a fault.
    pub(crate) named: bool,
}

/// The files to read, what is said in a later one wins.
pub(crate) fn files(named: Option<&str>) -> Vec<File> {
    let variable = std::env::var_os(VARIABLE).map(PathBuf::from);
    match named.map(PathBuf::from).or(variable) {
        Some(path) if path.as_os_str().is_empty() => Vec::new(),
        Some(path) => vec![File { path, named: true }],
        None => {
            let usual = [Some(PathBuf::from(SYSTEM)), user()];
            usual.into_iter().flatten().map(|path| File { path, named: false }).collect()
        }
    }
}

/// The user's own: `$XDG_CONFIG_HOME/windlass/windlass.yaml`, else below `~/.config`.
pub(crate) fn user() -> Option<PathBuf> {
    let absolute = |name| {
        std::env::var_os(name).map(PathBuf::from).filter(|path: &PathBuf| path.is_absolute())
    };
    let home = absolute("XDG_CONFIG_HOME").or_else(|| Some(absolute("HOME")?.join(".config")))?;
    Some(home.join("windlass/windlass.yaml"))
}
