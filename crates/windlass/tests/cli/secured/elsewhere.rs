//! A client that has nothing of the node's user: as on another machine.

use std::path::PathBuf;
use std::process::Command;

use crate::node::{Home, Node, Shown};

pub(super) struct Elsewhere {
    pub(super) home: Home,
    pub(super) token: String,
    /// What `windlass cluster ca` printed where the node is.
    authority: Vec<u8>,
}

impl Elsewhere {
    pub(super) fn of(node: &Node) -> Elsewhere {
        let printed = node.windlass(&["cluster", "ca"]);
        assert!(printed.0.status.success(), "{printed}");
        let token = node.token().trim().to_owned();
        Elsewhere { home: Home::new(), token, authority: printed.0.stdout }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// The file with the authority, which somebody has brought here.
    pub(super) fn ca(&self) -> String {
        let path = self.path("cluster.crt");
        std::fs::write(&path, &self.authority).unwrap();
        path.display().to_string()
    }

    pub(super) fn command(&self, addr: &str, args: &[&str]) -> Command {
        let mut command = self.home.command(args);
        command.env("WINDLASS_NODE", addr).env("WINDLASS_TOKEN", &self.token);
        command
    }

    pub(super) fn windlass(&self, addr: &str, args: &[&str]) -> Shown {
        Shown(self.command(addr, args).output().unwrap())
    }
}
