//! Where the control nodes are: kept on disk, so that a node which starts finds the others.
//!
//! An address is never an identity: whoever answers there has to show the node's certificate.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use model::NodeId;
use peer::Dialer;

use crate::data_dir::write_durably;

const FILE: &str = "contacts";
/// Far more than there are control nodes.
const CONTACTS_MAX: usize = 1_000;

/// The control nodes but this one, as far as it knows.
pub(crate) struct Contacts {
    dir: PathBuf,
    own: NodeId,
    dialer: Arc<Dialer>,
    known: Mutex<BTreeMap<NodeId, String>>,
}

impl Contacts {
    /// Those that the data directory knows. A file that is lost or damaged costs only them: the
    /// node can still be called.
    pub(crate) fn open(data_dir: &Path, own: NodeId, dialer: Arc<Dialer>) -> Contacts {
        let dir = data_dir.join("peer");
        let text = fs::read_to_string(dir.join(FILE)).unwrap_or_default();
        let contacts = Contacts { dir, own, dialer, known: Mutex::default() };
        contacts.know(text.lines().take(CONTACTS_MAX).filter_map(line).collect());
        contacts
    }

    /// From now on these are the control nodes. One without an address is not called.
    pub(crate) fn set(&self, control_nodes: impl Iterator<Item = (NodeId, String)>) {
        let mut new: BTreeMap<NodeId, String> = control_nodes.take(CONTACTS_MAX).collect();
        new.retain(|node, address| *node != self.own && !address.is_empty());
        if !self.know(new.clone()) {
            return;
        }
        let lines = new.iter().map(|(node, address)| format!("{node} {address}\n"));
        let text: String = lines.collect();
        if let Err(error) = write_durably(&self.dir, FILE, text.as_bytes()) {
            tracing::warn!(%error, "the addresses of the control nodes cannot be kept");
        }
    }

    /// The control nodes, and where they are.
    pub(crate) fn all(&self) -> Vec<(NodeId, String)> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|(node, address)| (*node, address.clone())).collect()
    }

    /// Tells the dialer; whether anything is new.
    fn know(&self, new: BTreeMap<NodeId, String>) -> bool {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if *known == new {
            return false;
        }
        for gone in known.keys().filter(|node| !new.contains_key(node)) {
            self.dialer.remove(*gone);
        }
        for (node, address) in &new {
            if known.get(node) != Some(address) {
                self.dialer.set_address(*node, address);
            }
        }
        *known = new;
        true
    }
}

fn line(text: &str) -> Option<(NodeId, String)> {
    let (node, address) = text.split_once(' ')?;
    Some((node.parse().ok()?, address.to_owned()))
}
