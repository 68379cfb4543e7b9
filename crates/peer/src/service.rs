//! What a node does for its peers. Who asks is what its certificate says; every answer to `from` counts for it alone.

use std::pin::Pin;

use bytes::Bytes;
use proto::peer::{Joined, Piece, copy_request};
use proto::session::{Output, OutputWanted, Tails, ToControl, ToWorker};
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;
use tonic::body::Body;

use model::{Items, NodeId};

use crate::token::{Secret, TokenId};
use crate::{Certified, PublicKey, Roles};

/// An answer that is on its way.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a call is not answered, for the caller to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not here, or not now; somewhere else, or later, perhaps.
    #[error("{0}")]
    Unavailable(String),
    /// Never.
    #[error("{0}")]
    Forbidden(String),
}

/// A node that wants to come in. That it has the key is proved; whether it may come in is to be decided.
#[derive(Clone, Debug)]
pub struct Newcomer {
    /// The token it shows.
    pub token: TokenId,
    /// The secret of the token.
    pub secret: Secret,
    /// The id it has given itself.
    pub node: NodeId,
    /// Its name, for people.
    pub name: String,
    /// The roles it wants.
    pub roles: Roles,
    /// The key to certify.
    pub key: PublicKey,
    /// Where its own listener can be reached; empty: nowhere.
    pub address: String,
}

/// What a node does for its peers. What is not written answers that this node does not serve it.
pub trait Service: Send + Sync + 'static {
    /// A message of the journal of a control node. The answer is the journal's.
    fn raft(&self, from: Certified, message: Bytes) -> Answer<'_, Result<Bytes, Refused>> {
        let _ = (from, message);
        not_served()
    }

    /// A snapshot of the journal of a control node; the end of `chunks` is its end, or the sender's.
    fn raft_snapshot(
        &self,
        from: Certified,
        head: Bytes,
        chunks: mpsc::Receiver<Bytes>,
    ) -> Answer<'_, Result<Bytes, Refused>> {
        let _ = (from, head, chunks);
        not_served()
    }

    /// A session of a worker, until this returns. `from_worker` ends with the worker's words; where the connection is
    /// gone this is dropped wherever it stands.
    fn session(
        &self,
        from: Certified,
        from_worker: mpsc::Receiver<ToControl>,
        to_worker: mpsc::Sender<ToWorker>,
    ) -> Answer<'_, Result<(), Refused>> {
        let _ = (from, from_worker, to_worker);
        not_served()
    }

    /// The session of `node` with this one, which leads, handed on by a control node. As [`Service::session`].
    fn relay(
        &self,
        from: Certified,
        node: NodeId,
        from_worker: mpsc::Receiver<ToControl>,
        to_worker: mpsc::Sender<ToWorker>,
    ) -> Answer<'_, Result<(), Refused>> {
        let _ = (from, node, from_worker, to_worker);
        not_served()
    }

    /// A request that the node has forwarded because this one leads. It must not be forwarded again.
    fn forward(&self, from: Certified, request: Bytes) -> Answer<'_, Result<Bytes, Refused>> {
        let _ = (from, request);
        not_served()
    }

    /// The output that lies on `node`, for a control node that has no session with it. It must not be asked for at a
    /// third one. Where the caller is gone this is dropped wherever it stands.
    fn read_output(
        &self,
        from: Certified,
        node: NodeId,
        wanted: OutputWanted,
        answers: mpsc::Sender<Output>,
    ) -> Answer<'_, Result<(), Refused>> {
        let _ = (from, node, wanted, answers);
        not_served()
    }

    /// Keeps tails of the output of `node`, which a control node hands on.
    fn keep_tails(
        &self,
        from: Certified,
        node: NodeId,
        tails: Tails,
    ) -> Answer<'_, Result<(), Refused>> {
        let _ = (from, node, tails);
        not_served()
    }

    /// Keeps a list of items, which the control node has: it is on disk when this answers.
    fn keep_list(&self, from: Certified, list: Items) -> Answer<'_, Result<(), Refused>> {
        let _ = (from, list);
        not_served()
    }

    /// What lies on the disk here, for a control node. The last piece has to say that it is the last; where the caller
    /// is gone this is dropped wherever it stands.
    fn copy(
        &self,
        from: Certified,
        wanted: copy_request::Wanted,
        pieces: mpsc::Sender<Piece>,
    ) -> Answer<'_, Result<(), Refused>> {
        let _ = (from, wanted, pieces);
        not_served()
    }

    /// A request of somebody at the node, which it hands on: who that is, the request itself has to prove. A refusal
    /// says that it was not looked at.
    fn people(
        &self,
        from: Certified,
        request: http::Request<Body>,
    ) -> Answer<'_, Result<http::Response<Body>, Refused>> {
        let _ = (from, request);
        not_served()
    }

    /// A new certificate for the node, of this key, which it has proved to have.
    fn renew(
        &self,
        from: Certified,
        key: PublicKey,
    ) -> Answer<'_, Result<CertificateDer<'static>, Refused>> {
        let _ = (from, key);
        not_served()
    }

    /// Lets a node in, or not.
    fn join(&self, newcomer: Newcomer) -> Answer<'_, Result<Joined, Refused>> {
        let _ = newcomer;
        not_served()
    }
}

fn not_served<T: Send + 'static>() -> Answer<'static, Result<T, Refused>> {
    let refused = Refused::Unavailable("this node does not serve that".to_owned());
    Box::pin(std::future::ready(Err(refused)))
}
