//! What a node shows, and whom it believes, at this moment: both change while connections are open.

use std::sync::Arc;
use std::time::Duration;

use model::NodeId;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::files::Own;
use crate::trust::{Refusal, Trust};
use crate::{Certified, Error};

/// A connection looks at its certificate again at least this often, for clocks can be set.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Shared by the listener, the dialer and whoever renews.
pub struct Credentials {
    trust: watch::Sender<Trust>,
    own: watch::Sender<Shown>,
    clock: Clock,
    provider: Arc<CryptoProvider>,
    /// Another node of the cluster has said that this one was removed.
    removed: watch::Sender<bool>,
}

/// What is shown, and what it says.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) key: Arc<CertifiedKey>,
    pub(crate) certified: Certified,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({})", self.node())
    }
}

impl Credentials {
    /// Shows `own` and believes by `trust`.
    pub fn new(trust: Trust, own: &Own, clock: Clock) -> Result<Arc<Credentials>, Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let shown = shown(own, &trust.authority, &provider)?;
        let (trust, own) = (watch::Sender::new(trust), watch::Sender::new(shown));
        let removed = watch::Sender::new(false);
        Ok(Arc::new(Credentials { trust, own, clock, provider, removed }))
    }

    /// Shows this from the next handshake on.
    pub fn renew(&self, own: &Own) -> Result<(), Error> {
        let shown = shown(own, &self.trust.borrow().authority, &self.provider)?;
        self.own.send_replace(shown);
        Ok(())
    }

    /// Changes whom to believe: a revocation, another incarnation. Connections that it is about end at once.
    pub fn change_trust(&self, change: impl FnOnce(&mut Trust)) {
        self.trust.send_modify(change);
    }

    /// Whom this node believes now.
    pub fn trust(&self) -> Trust {
        self.trust.borrow().clone()
    }

    /// What this node's own certificate says.
    pub fn certified(&self) -> Certified {
        self.own.borrow().certified
    }

    /// This node.
    pub fn node(&self) -> NodeId {
        self.certified().identity.node
    }

    /// Returns once another node, which has shown a certificate that counts, has said that this one was
    /// removed from the cluster.
    pub async fn removed(&self) {
        // This holds the sender, so it cannot be gone.
        let _ = self.removed.subscribe().wait_for(|removed| *removed).await;
    }

    pub(crate) fn set_removed(&self) {
        self.removed.send_replace(true);
    }

    /// The time that certificates are held to.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) fn shown(&self) -> Arc<CertifiedKey> {
        self.own.borrow().key.clone()
    }

    pub(crate) fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// Returns, with why, when this certificate does not count any more.
    pub(crate) async fn refused(self: Arc<Self>, certified: Certified) -> Refusal {
        let mut trust = self.trust.subscribe();
        loop {
            let now_s = self.clock.now_s();
            if let Err(refusal) = trust.borrow_and_update().check(&certified, now_s) {
                return refusal;
            }
            let left = Duration::from_secs(certified.until_s.saturating_sub(now_s) + 1);
            // This holds the sender, so it cannot be gone.
            let _ = tokio::time::timeout(left.min(LOOK_AGAIN), trust.changed()).await;
        }
    }
}

/// The authority's certificate goes along: a node that joins knows it by its hash.
fn shown(
    own: &Own,
    authority: &CertificateDer<'static>,
    provider: &CryptoProvider,
) -> Result<Shown, Error> {
    let key = provider.key_provider.load_private_key(own.key.to_der());
    let key = key.map_err(|_| Error::Unfit { why: "TLS does not take the node's key" })?;
    let chain = vec![own.certificate.clone(), authority.clone()];
    let key = Arc::new(CertifiedKey::new(chain, key));
    Ok(Shown { key, certified: own.certified })
}
