//! All the ways to the output of a node, of which the nearest is taken.

use std::sync::Arc;

use model::NodeId;
use proto::session::{Output, OutputWanted};
use tokio::sync::{mpsc, watch};

use super::absent::{self, Absent};
use super::elsewhere::Elsewhere;
use super::local::Local;
use super::reading::{Broken, Reading};
use super::remote::Remote;
use super::tails::Tails;
use super::{Wanted, wire};

/// Where a node's output can be had.
pub(crate) struct Ways {
    /// This node.
    pub(crate) own: NodeId,
    pub(crate) local: Local,
    pub(crate) remote: Arc<Remote>,
    pub(crate) tails: Arc<Tails>,
    /// `None` where there are no other control nodes.
    pub(crate) elsewhere: Option<Arc<dyn Elsewhere>>,
}

impl Ways {
    /// Starts reading what lies on a node; `None` where there is no way to it now.
    pub(crate) fn read(&self, node: NodeId, wanted: &Wanted) -> Option<Reading> {
        self.read_here(node, wanted)
            .or_else(|| self.elsewhere.as_ref().and_then(|other| other.read(node, wanted)))
    }

    fn read_here(&self, node: NodeId, wanted: &Wanted) -> Option<Reading> {
        match node == self.own {
            true => Some(self.local.read(wanted.clone())),
            false => self.remote.read(node, wanted),
        }
    }

    /// Starts reading what was kept of the output of a node that cannot be read.
    pub(crate) fn read_kept(&self, absent: Absent, wanted: Wanted) -> Reading {
        absent::read(self.tails.clone(), self.elsewhere.clone(), absent, wanted)
    }

    /// Whether a node has a session here.
    pub(crate) fn has(&self, node: NodeId) -> bool {
        self.remote.has(node)
    }

    /// Whether asking again may help though no node has come here.
    pub(crate) fn has_others(&self) -> bool {
        self.elsewhere.is_some()
    }

    /// Changes when a node gets a session here.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.remote.changes()
    }

    /// Answers a control node that reads through this one: it goes no further from here.
    pub(crate) async fn answer(
        &self,
        node: NodeId,
        wanted: OutputWanted,
        answers: mpsc::Sender<Output>,
    ) {
        let wanted = Wanted::begin(wanted);
        let reading = self.read_here(node, &wanted).filter(|_| !wanted.is_too_long());
        let Some(mut reading) = reading else {
            let broken = Broken::cut("it has no session with the control node that leads");
            let _ = answers.send(wire::output(0, Some(Err(broken)))).await; // It may have left.
            return;
        };
        loop {
            let piece = tokio::select! {
                piece = reading.next() => piece,
                () = answers.closed() => return,
            };
            let is_last = !matches!(piece, Some(Ok(_)));
            if answers.send(wire::output(0, piece)).await.is_err() || is_last {
                return;
            }
        }
    }
}
