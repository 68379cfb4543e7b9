//! A cluster's authority, and nodes of it with listeners on loopback.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use http_body_util::BodyExt;
use journal::raft::Raft;
use model::{ClusterId, NodeId};
use peer::files::{Files, Own};
use peer::service::{Answer, Newcomer, Refused};
use peer::token::Kept;
use peer::{
    Authority, Certified, Clock, Credentials, Dialer, Identity, Listener, NodeKey, PublicKey,
    Roles, Service, Trust, ca, journal_number, seal,
};
use proto::peer::Joined;
use proto::session::{Output, OutputWanted, Tails, ToControl, ToWorker, Welcome, to_worker};
use rustls::pki_types::CertificateDer;
use tokio::sync::mpsc;
use tonic::body::Body;
use uuid::Uuid;

/// Patient enough for a machine with other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const START_S: u64 = 1_800_000_000;

/// A cluster, and its clock, which a test sets.
pub(crate) struct World {
    pub(crate) authority: Arc<Authority>,
    pub(crate) now_s: Arc<AtomicU64>,
    pub(crate) incarnation: u16,
}

impl World {
    pub(crate) fn new() -> World {
        let cluster = ClusterId(Uuid::new_v4());
        let authority = Arc::new(Authority::found(cluster, START_S).unwrap());
        World { authority, now_s: Arc::new(AtomicU64::new(START_S)), incarnation: 3 }
    }

    pub(crate) fn clock(&self) -> Clock {
        let now_s = self.now_s.clone();
        Clock::of(move || now_s.load(Ordering::SeqCst))
    }

    pub(crate) fn now_s(&self) -> u64 {
        self.now_s.load(Ordering::SeqCst)
    }

    pub(crate) fn trust(&self) -> Trust {
        let authority = self.authority.certificate().clone();
        Trust::new(self.authority.cluster(), self.incarnation, authority)
    }

    pub(crate) fn identity(&self, number: u128, roles: Roles) -> Identity {
        let cluster = self.authority.cluster();
        let node = node(number);
        Identity { cluster, incarnation: self.incarnation, node, roles }
    }

    pub(crate) fn own(&self, identity: &Identity, life: Duration) -> Own {
        let key = NodeKey::draw().unwrap();
        let made = self.authority.certify(identity, &key.public(), life, self.now_s());
        Own::new(made.unwrap(), key).unwrap()
    }

    pub(crate) fn credentials(&self, number: u128, roles: Roles) -> Arc<Credentials> {
        let own = self.own(&self.identity(number, roles), ca::LIFE);
        Credentials::new(self.trust(), &own, self.clock()).unwrap()
    }

    /// A node with everything.
    /// What the node with this number calls another one by.
    pub(crate) fn dialer(&self, number: u128, roles: Roles, to: &Node) -> Arc<Dialer> {
        let dialer = Dialer::new(self.credentials(number, roles));
        dialer.set_address(to.id(), &to.address);
        dialer
    }

    pub(crate) fn node(&self, number: u128, roles: Roles) -> Node {
        let credentials = self.credentials(number, roles);
        let dialer = Dialer::new(credentials.clone());
        let desk = Arc::new(Desk {
            authority: self.authority.clone(),
            credentials: credentials.clone(),
            journal: Mutex::default(),
            token: Mutex::default(),
            calls: AtomicU64::new(0),
            sessions: AtomicU64::new(0),
            readings: AtomicU64::new(0),
            outputs: AtomicU64::new(0),
            kept: Mutex::default(),
            lasting: Arc::default(),
        });
        let listener = Listener::open(socket("127.0.0.1:0"), credentials.clone(), desk.clone());
        let listener = listener.unwrap();
        Node {
            address: listener.local_addr().to_string(),
            credentials,
            dialer,
            desk,
            listener: Some(listener),
        }
    }
}

pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) dialer: Arc<Dialer>,
    pub(crate) desk: Arc<Desk>,
    pub(crate) listener: Option<Listener>,
}

impl Node {
    pub(crate) fn id(&self) -> NodeId {
        self.credentials.node()
    }

    pub(crate) async fn shut(&mut self) {
        self.listener.take().unwrap().close().await;
    }

    pub(crate) fn reopen(&mut self) {
        let service = self.desk.clone();
        let listener = Listener::open(socket(&self.address), self.credentials.clone(), service);
        self.listener = Some(listener.unwrap());
    }

    /// The last that was refused here, once there is one.
    pub(crate) async fn refusal(&self) -> String {
        let mut refusals = self.listener.as_ref().unwrap().refusals();
        let refusal = refusals.wait_for(|refusal| refusal.is_some());
        let refusal = tokio::time::timeout(PATIENCE, refusal).await.unwrap().unwrap();
        refusal.clone().unwrap().1
    }
}

pub(crate) fn node(number: u128) -> NodeId {
    // The journal's numbers of nodes leave the lowest bit out.
    NodeId(Uuid::from_u128(number << 1 | 1))
}

pub(crate) fn socket(address: &str) -> TcpListener {
    // As tokio does: an address that was just freed can be taken again.
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        match TcpListener::bind(address) {
            Ok(socket) => return socket,
            Err(error) if std::time::Instant::now() > end => panic!("{address}: {error}"),
            Err(_) => std::thread::yield_now(),
        }
    }
}

/// Asks a node who it takes the caller for.
pub(crate) async fn call(dialer: &Dialer, to: NodeId) -> Result<Bytes, peer::Uncallable> {
    let deadline = Duration::from_secs(20);
    dialer.forward(to, 0, Bytes::from_static(b"who am I"), deadline).await
}

/// What the nodes of the tests do for each other.
pub(crate) struct Desk {
    authority: Arc<Authority>,
    credentials: Arc<Credentials>,
    pub(crate) journal: Mutex<Option<Arc<Raft>>>,
    pub(crate) token: Mutex<Option<Kept>>,
    pub(crate) calls: AtomicU64,
    pub(crate) sessions: AtomicU64,
    /// Readings under way, and messages of theirs that were sent.
    pub(crate) readings: AtomicU64,
    pub(crate) outputs: AtomicU64,
    pub(crate) kept: Mutex<Vec<(NodeId, Tails)>>,
    /// Answers without an end that are under way.
    pub(crate) lasting: Arc<AtomicU64>,
}

impl Desk {
    fn journal(&self) -> Result<Arc<Raft>, Refused> {
        let journal = self.journal.lock().unwrap().clone();
        journal.ok_or_else(|| Refused::Unavailable("no journal".to_owned()))
    }

    fn certify(&self, identity: &Identity, key: &PublicKey) -> CertificateDer<'static> {
        let now_s = self.credentials.clock().now_s();
        self.authority.certify(identity, key, ca::LIFE, now_s).unwrap()
    }

    fn admit(&self, newcomer: &Newcomer) -> Result<Joined, Refused> {
        let mut token = self.token.lock().unwrap();
        let forbidden = |why: String| Refused::Forbidden(why);
        let kept = token.as_mut().filter(|kept| kept.id == newcomer.token);
        let kept = kept.ok_or_else(|| forbidden(peer::token::Refused::Unknown.to_string()))?;
        let Newcomer { secret, node, roles, key, .. } = newcomer;
        let asked = peer::token::Asked { secret, node: *node, roles: *roles, key: *key };
        let is_member = *node == self.credentials.node();
        let admission = kept.admit(&asked, is_member, self.credentials.clock().now_s());
        let admission = admission.map_err(|refused| forbidden(refused.to_string()))?;
        if admission == peer::token::Admission::First {
            kept.note(*node, key);
        }
        let own = self.credentials.certified().identity;
        let certificate = self.certify(&Identity { node: *node, roles: *roles, ..own }, key);
        let sealed_key = match roles.control {
            true => seal::seal(&self.authority, secret, key).unwrap(),
            false => Vec::new(),
        };
        let incarnation = u32::from(own.incarnation);
        let member = proto::peer::Member { node_id: own.node.to_bytes(), address: "a:1".into() };
        let certificate = certificate.to_vec();
        Ok(Joined { certificate, incarnation, sealed_key, members: vec![member] })
    }
}

impl Service for Desk {
    fn raft(&self, from: Certified, message: Bytes) -> Answer<'_, Result<Bytes, Refused>> {
        Box::pin(async move {
            let number = journal_number(from.identity.node);
            Ok(self.journal()?.receive(number, message).await)
        })
    }

    fn raft_snapshot(
        &self,
        from: Certified,
        head: Bytes,
        chunks: mpsc::Receiver<Bytes>,
    ) -> Answer<'_, Result<Bytes, Refused>> {
        Box::pin(async move {
            let number = journal_number(from.identity.node);
            Ok(self.journal()?.receive_snapshot(number, head, chunks).await)
        })
    }

    fn session(
        &self,
        from: Certified,
        mut from_worker: mpsc::Receiver<ToControl>,
        to_worker: mpsc::Sender<ToWorker>,
    ) -> Answer<'_, Result<(), Refused>> {
        Box::pin(async move {
            self.sessions.fetch_add(1, Ordering::SeqCst);
            let _one = scope(|| {
                self.sessions.fetch_sub(1, Ordering::SeqCst);
            });
            while from_worker.recv().await.is_some() {
                let cluster_id = from.identity.node.to_bytes();
                let welcome = Welcome { cluster_id, ..Welcome::default() };
                let kind = Some(to_worker::Kind::Welcome(welcome));
                if to_worker.send(ToWorker { kind }).await.is_err() {
                    break;
                }
            }
            Ok(())
        })
    }

    fn forward(&self, from: Certified, request: Bytes) -> Answer<'_, Result<Bytes, Refused>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match &*request {
                b"who am I" => Ok(from.identity.node.to_string().into()),
                b"wait" => std::future::pending().await,
                _ => Err(Refused::Forbidden("what is that".to_owned())),
            }
        })
    }

    /// So many messages as the run's number says, of as many bytes as its reader has read before.
    fn read_output(
        &self,
        _: Certified,
        node: NodeId,
        wanted: OutputWanted,
        answers: mpsc::Sender<Output>,
    ) -> Answer<'_, Result<(), Refused>> {
        Box::pin(async move {
            self.readings.fetch_add(1, Ordering::SeqCst);
            let _one = scope(|| {
                self.readings.fetch_sub(1, Ordering::SeqCst);
            });
            if node == self.credentials.node() {
                return Err(Refused::Unavailable("there is nothing here".to_owned()));
            }
            let bytes = wanted.places.first().map_or(0, |place| place.bytes) as usize;
            for number in 1..=wanted.run {
                let chunk =
                    proto::session::OutputChunk { data: vec![7; bytes], ..Default::default() };
                let output = Output { number, chunks: vec![chunk], ..Output::default() };
                if answers.send(output).await.is_err() {
                    break;
                }
                self.outputs.fetch_add(1, Ordering::SeqCst);
            }
            Ok(())
        })
    }

    fn keep_tails(
        &self,
        _: Certified,
        node: NodeId,
        tails: Tails,
    ) -> Answer<'_, Result<(), Refused>> {
        self.kept.lock().unwrap().push((node, tails));
        Box::pin(std::future::ready(Ok(())))
    }

    /// Who handed it on, and the request; or an answer without an end.
    fn people(
        &self,
        from: Certified,
        request: http::Request<Body>,
    ) -> Answer<'_, Result<http::Response<Body>, Refused>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            if head.uri.path() == "/busy" {
                return Err(Refused::Unavailable("it is starting".to_owned()));
            }
            if head.uri.path() == "/endless" {
                let frame =
                    || Ok::<_, tonic::Status>(http_body::Frame::data(vec![7; 32 << 10].into()));
                let endless = futures::stream::repeat_with(frame);
                return Ok(http::Response::new(Body::new(http_body_util::StreamBody::new(
                    endless,
                ))));
            }
            if head.uri.path() == "/lasts" {
                let lasting = self.lasting.clone();
                lasting.fetch_add(1, Ordering::SeqCst);
                let one = scope(move || {
                    lasting.fetch_sub(1, Ordering::SeqCst);
                });
                let never = futures::stream::pending::<Result<_, tonic::Status>>();
                let never = never.inspect(move |_: &Result<http_body::Frame<Bytes>, _>| {
                    let _ = &one;
                });
                return Ok(http::Response::new(Body::new(http_body_util::StreamBody::new(never))));
            }
            let body = body.collect().await.unwrap().to_bytes();
            let said = [
                from.identity.node.to_string(),
                head.method.to_string(),
                head.uri.path_and_query().unwrap().to_string(),
                head.headers["authorization"].to_str().unwrap().to_owned(),
                String::from_utf8(body.to_vec()).unwrap(),
            ];
            let said = Body::new(http_body_util::Full::from(said.join(" ")));
            let answer = http::Response::builder().status(418).header("content-type", "a/b");
            Ok(answer.body(said).unwrap())
        })
    }

    fn renew(
        &self,
        from: Certified,
        key: PublicKey,
    ) -> Answer<'_, Result<CertificateDer<'static>, Refused>> {
        Box::pin(std::future::ready(Ok(self.certify(&from.identity, &key))))
    }

    fn join(&self, newcomer: Newcomer) -> Answer<'_, Result<Joined, Refused>> {
        Box::pin(std::future::ready(self.admit(&newcomer)))
    }
}

/// Does something at the end of a scope, however that ends.
pub(crate) fn scope(end: impl FnMut()) -> impl Drop {
    struct Scope<F: FnMut()>(F);
    impl<F: FnMut()> Drop for Scope<F> {
        fn drop(&mut self) {
            (self.0)();
        }
    }
    Scope(end)
}

/// Looks until it is so.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(std::time::Instant::now() < end, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn files() -> (tempfile::TempDir, Files) {
    let dir = tempfile::tempdir().unwrap();
    let files = Files::open(dir.path()).unwrap();
    (dir, files)
}
