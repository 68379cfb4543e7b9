//! The files of the repository, read once.
//!
//! Build directories and what is not text are left out. Symbolic links are kept as links and not followed.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

/// All files, sorted by path.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

/// One file, with `/` between the parts of its path, relative to the root.
pub(crate) struct File {
    pub(crate) path: String,
    /// Empty for a link and for what is not text.
    pub(crate) text: String,
    /// Where a symbolic link points.
    pub(crate) link: Option<String>,
}

impl Tree {
    /// Reads the tree below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut tree = Self::default();
        tree.read_directory(root, "")?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// A tree made up for a test.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).into(),
            text: (*text).into(),
            link: None,
        };
        Self { files: files.iter().map(file).collect() }
    }

    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether a file or a directory with files stands at `path`.
    pub(crate) fn contains(&self, path: &str) -> bool {
        let inside = format!("{path}/");
        path.is_empty()
            || self.files.iter().any(|file| file.path == path || file.path.starts_with(&inside))
    }

    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".rs"))
    }

    pub(crate) fn markdown(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.path.ends_with(".md"))
    }

    fn read_directory(&mut self, directory: &Path, prefix: &str) -> Result<()> {
        let entries =
            fs::read_dir(directory).with_context(|| format!("listing {}", directory.display()))?;
        for entry in entries {
            let entry = entry.with_context(|| format!("listing {}", directory.display()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            let kind = entry.file_type().with_context(|| format!("looking at {path}"))?;
            // In a second worktree `.git` is a file.
            if is_left_out(&name) {
                continue;
            }
            if kind.is_dir() {
                self.read_directory(&entry.path(), &format!("{path}/"))?;
            } else if kind.is_symlink() {
                let to = fs::read_link(entry.path())
                    .with_context(|| format!("reading the link {path}"))?;
                let link = Some(to.to_string_lossy().into_owned());
                self.files.push(File { path, text: String::new(), link });
            } else if kind.is_file() {
                let bytes = fs::read(entry.path()).with_context(|| format!("reading {path}"))?;
                let text = String::from_utf8(bytes).unwrap_or_default();
                self.files.push(File { path, text, link: None });
            }
        }
        Ok(())
    }
}

impl File {
    /// The crate's directory (`crates/model`, `xtask`) and the rest, if this is source of a crate.
    pub(crate) fn source_of(&self) -> Option<(&str, &str)> {
        let (package, rest) = self.path.split_once("/src/")?;
        let is_crate = package == "xtask"
            || package.strip_prefix("crates/").is_some_and(|name| !name.contains('/'));
        is_crate.then_some((package, rest))
    }

    /// Whether all of the file is test code.
    pub(crate) fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| part == "tests" || part == "tests.rs")
    }

    /// The lines with their numbers, from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        numbered(&self.text)
    }
}

/// The lines of a text with their numbers, from 1.
pub(crate) fn numbered(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().map(|(index, line)| (index + 1, line))
}

fn is_left_out(name: &str) -> bool {
    name == ".git" || name == "target" || name.starts_with("target-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn source_is_told_from_tests_and_other_files() {
        let tree = Tree::of(&[
            ("crates/a/src/b/c.rs", ""),
            ("crates/a/tests/d.rs", ""),
            ("docs/src/e.rs", ""),
        ]);
        assert_eq!(tree.files[0].source_of(), Some(("crates/a", "b/c.rs")));
        assert_eq!(tree.files[1].source_of(), None);
        assert_eq!(tree.files[2].source_of(), None);
        assert!(tree.files[1].is_test() && !tree.files[0].is_test());
    }

    #[test]
    fn the_own_tree_is_read_without_build_directories() {
        let tree = Tree::read(&crate::workspace::root()).expect("the repository is readable");
        assert!(tree.get("xtask/src/tidy/tree.rs").is_some());
        assert!(tree.contains("xtask/src") && !tree.contains("target"));
    }
}
