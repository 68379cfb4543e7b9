//! A certificate is renewed by itself, after two thirds of its life.
//!
//! Each renewal draws a new key. What is new is on disk before it is shown, so that a crash loses nothing.

use std::sync::Arc;
use std::time::Duration;

use model::NodeId;
use proto::peer::{RenewRequest, renew_reply};
use rustls::pki_types::CertificateDer;

use crate::ca::Authority;
use crate::credentials::Credentials;
use crate::dial::{Dialer, Lane, too_late, unanswered, within};
use crate::files::{Files, Own};
use crate::service::Answer;
use crate::{Error, NodeKey, PublicKey, verify};

/// How long a renewal may take.
const RENEW: Duration = Duration::from_secs(20);
/// How often it is looked whether one is due, at the least and at the most.
const LOOK_MIN: Duration = Duration::from_millis(200);
const LOOK_MAX: Duration = Duration::from_secs(600);

/// Certifies a new key of this node.
pub trait Certify: Send + Sync + 'static {
    /// A certificate for the key, or why not, for people.
    fn certify(&self, key: &NodeKey) -> Answer<'_, Result<CertificateDer<'static>, String>>;
}

/// Renews this node's certificate for as long as it runs.
pub struct Renewer {
    /// What is renewed.
    pub credentials: Arc<Credentials>,
    /// Where it is kept.
    pub files: Files,
    /// Who certifies.
    pub certify: Arc<dyn Certify>,
}

/// What came of one look.
#[derive(Debug, PartialEq, Eq)]
pub enum Looked {
    /// It is good for long enough.
    Fresh,
    /// It was renewed.
    Renewed,
    /// It was due, and nobody has renewed it; it is tried again.
    Failed(String),
}

impl Renewer {
    /// Looks again and again. Ends with its task; dropping it loses nothing.
    pub async fn run(self) {
        loop {
            match self.look().await {
                Looked::Fresh => {}
                Looked::Renewed => {
                    let until_s = self.credentials.certified().until_s;
                    tracing::info!(until_s, "the node's certificate was renewed");
                }
                Looked::Failed(why) => {
                    let until_s = self.credentials.certified().until_s;
                    tracing::warn!(why, until_s, "the node's certificate cannot be renewed");
                }
            }
            let certified = self.credentials.certified();
            // A tenth of what is left between the renewal and the end, so that there are many tries.
            let life = Duration::from_secs(certified.until_s.saturating_sub(certified.from_s));
            tokio::time::sleep((life / 60).clamp(LOOK_MIN, LOOK_MAX)).await;
        }
    }

    /// Renews the certificate if that is due.
    pub async fn look(&self) -> Looked {
        let now_s = self.credentials.clock().now_s();
        let certified = self.credentials.certified();
        // After a restore or a recovery what it has counts for nobody any more.
        let counts = certified.identity.incarnation == self.credentials.trust().incarnation;
        if counts && now_s < certified.renew_at_s() {
            return Looked::Fresh;
        }
        match self.renew(now_s).await {
            Ok(()) => Looked::Renewed,
            Err(why) => Looked::Failed(why),
        }
    }

    async fn renew(&self, now_s: u64) -> Result<(), String> {
        let text = |error: Error| error.to_string();
        let key = NodeKey::draw().map_err(text)?;
        let certificate = self.certify.certify(&key).await?;
        let trust = self.credentials.trust();
        let usage = webpki::KeyUsage::client_auth();
        let certified = verify::check(&trust, &certificate, usage, now_s);
        let certified = certified.map_err(|refusal| refusal.to_string())?;
        if certified.identity.node != self.credentials.node() {
            return Err("the new certificate is of another node".to_owned());
        }
        let own = Own::new(certificate, key).map_err(text)?;
        self.files.keep_own(&own).map_err(text)?;
        self.credentials.renew(&own).map_err(text)
    }
}

/// A control node certifies itself: it has the authority.
pub struct BySelf {
    /// The authority.
    pub authority: Arc<Authority>,
    /// Who this is.
    pub credentials: Arc<Credentials>,
    /// For how long.
    pub life: Duration,
}

impl Certify for BySelf {
    fn certify(&self, key: &NodeKey) -> Answer<'_, Result<CertificateDer<'static>, String>> {
        let mut identity = self.credentials.certified().identity;
        identity.incarnation = self.credentials.trust().incarnation;
        let now_s = self.credentials.clock().now_s();
        let made = self.authority.certify(&identity, &key.public(), self.life, now_s);
        Box::pin(std::future::ready(made.map_err(|error| error.to_string())))
    }
}

/// A worker asks the control nodes, one after the other.
pub struct ByPeers {
    /// The way to them.
    pub dialer: Arc<Dialer>,
    /// Who this is.
    pub credentials: Arc<Credentials>,
}

impl Certify for ByPeers {
    fn certify(&self, key: &NodeKey) -> Answer<'_, Result<CertificateDer<'static>, String>> {
        let identity = self.credentials.certified().identity;
        let proof = key.prove(identity.cluster, identity.node);
        let key = key.public();
        Box::pin(async move {
            let proof = proof.map_err(|error| error.to_string())?;
            let mut last = "no control node is known".to_owned();
            for node in self.dialer.nodes() {
                match self.ask(node, &key, &proof).await {
                    Ok(certificate) => return Ok(certificate),
                    Err(why) => last = why,
                }
            }
            Err(last)
        })
    }
}

impl ByPeers {
    async fn ask(
        &self,
        node: NodeId,
        key: &PublicKey,
        proof: &[u8],
    ) -> Result<CertificateDer<'static>, String> {
        let client = self.dialer.client(node, Lane::Bulk);
        let mut client = client.map_err(|error| error.to_string())?;
        let request = RenewRequest { public_key: key.as_bytes().to_vec(), proof: proof.to_vec() };
        let reply = tokio::time::timeout(RENEW, client.renew(within(request, RENEW))).await;
        let reply = reply.map_err(|_| too_late(node, RENEW).to_string())?;
        let reply = reply.map_err(|status| unanswered(node, &status).to_string())?;
        match reply.into_inner().outcome {
            Some(renew_reply::Outcome::Certificate(der)) => Ok(CertificateDer::from(der)),
            Some(renew_reply::Outcome::Refused(why)) => Err(why),
            None => Err("its answer cannot be read".to_owned()),
        }
    }
}
