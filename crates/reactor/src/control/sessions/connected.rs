//! How the nodes are connected, for whoever reads: it follows from their sessions.

use super::{Session, Sessions};
use crate::control::effect::{Connection, Connections};

/// Why a node that is being taken down is not ready, for people.
const LEAVING: &str = "it is being taken down";

impl Sessions {
    /// How the nodes are connected, where that has changed since it was asked for.
    pub(in crate::control) fn news(&mut self) -> Option<Connections> {
        if self.connections.ptr_eq(&self.told) || self.connections == self.told {
            return None;
        }
        self.told = self.connections.clone();
        Some(self.told.clone())
    }
}

impl Session {
    pub(super) fn connection(&self) -> Connection {
        let degraded = if self.leaving { LEAVING } else { &self.degraded };
        Connection { ready: self.epoch.is_some(), degraded: degraded.to_owned() }
    }
}
