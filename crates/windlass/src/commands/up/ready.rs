//! What a node says once it serves: to people, and to programs in the ready file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::client::addr;
use crate::client::token::write_whole;
use crate::failure::Failure;

/// Where and as what a node serves.
pub(super) struct Ready {
    /// Where people and programs reach it.
    pub(super) api: SocketAddr,
    /// Whether over TLS.
    pub(super) tls: bool,
    /// Where other nodes reach it; empty while it does not listen for any.
    pub(super) peer: String,
    pub(super) cluster: String,
    pub(super) roles: String,
    /// Whether it is a control node.
    pub(super) controls: bool,
    /// Absolute.
    pub(super) data_dir: PathBuf,
    pub(super) node_id: String,
    pub(super) node_name: String,
    pub(super) supervisor_pid: u32,
}

impl Ready {
    /// Writes the ready file whole, so that whoever waits for it never reads a part.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let value = json!({
            "api": self.api.to_string(),
            "tls": self.tls,
            "peer": self.peer,
            "cluster": self.cluster,
            "roles": self.roles,
            "pid": std::process::id(),
            "supervisor_pid": self.supervisor_pid,
            "data_dir": self.data_dir,
            "node_id": self.node_id,
        });
        write_whole(path, format!("{value:#}\n").as_bytes()).map_err(|error| {
            Failure::new(format!("cannot write the ready file `{}`: {error}", path.display()))
        })
    }

    /// For people.
    pub(super) fn text(&self) -> String {
        let (name, dir) = (&self.node_name, self.data_dir.display());
        let api = self.api;
        let here = match api.ip().is_unspecified() {
            true => format!("127.0.0.1:{}", api.port()),
            false => api.to_string(),
        };
        let node = match here == addr::DEFAULT {
            true => String::new(),
            false => format!("-N {here} "),
        };
        let tls = if self.tls { "https://" } else { "" };
        // The token that a node leaves for its user counts in the cluster where it is a control node's alone.
        let (works, next) = match self.controls {
            true => ("", format!("\nnext: windlass run {node}-- echo hello\n")),
            false => (", and works for its cluster", String::new()),
        };
        format!("node {name} is ready{works}\n  api   {tls}{api}\n  data  {dir}\n{next}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(api: &str) -> Ready {
        Ready {
            api: api.parse().unwrap(),
            tls: false,
            peer: String::new(),
            cluster: "c".to_owned(),
            roles: "control,worker".to_owned(),
            controls: true,
            data_dir: "/data".into(),
            node_id: "n".into(),
            node_name: "alpha".into(),
            supervisor_pid: 7,
        }
    }

    #[test]
    fn the_next_command_can_be_pasted() {
        assert!(ready(addr::DEFAULT).text().ends_with("next: windlass run -- echo hello\n"));
        let other = ready("127.0.0.1:9").text();
        assert!(other.ends_with("next: windlass run -N 127.0.0.1:9 -- echo hello\n"));
        let beyond = Ready { tls: true, ..ready("0.0.0.0:7400") }.text();
        assert!(beyond.contains("api   https://0.0.0.0:7400\n"), "{beyond}");
        assert!(beyond.ends_with("next: windlass run -- echo hello\n"), "{beyond}");
    }

    #[test]
    fn the_ready_file_has_what_a_program_needs() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ready");
        ready("127.0.0.1:9").write(&path).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["api"], "127.0.0.1:9");
        assert_eq!(value["supervisor_pid"], 7);
        assert_eq!(value["pid"], std::process::id());
    }
}
