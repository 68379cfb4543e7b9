//! A certificate that the node issues for itself, from the cluster's authority.
//!
//! Its key is drawn anew with each and is on no disk: nothing is lost with it, for clients know the authority.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use api::tls::Certificate;
use peer::{Authority, Clock, NodeKey};
use rustls::pki_types::ServerName;

use super::names::names;
use crate::failure::{Failure, chain};

/// How often it is looked whether it is time, at the least and at the most.
const LOOK_MIN: Duration = Duration::from_millis(100);
const LOOK_MAX: Duration = Duration::from_secs(30);

/// Issues certificates for the listener.
pub(super) struct Own {
    authority: Arc<Authority>,
    listening: IpAddr,
    also: Vec<ServerName<'static>>,
    life: Duration,
    clock: Clock,
    /// Of the one that is shown.
    names: Vec<ServerName<'static>>,
    issued_s: u64,
}

impl Own {
    /// Issues the first.
    pub(super) fn issue(
        authority: Arc<Authority>,
        listening: IpAddr,
        also: Vec<ServerName<'static>>,
        life: Duration,
        clock: Clock,
    ) -> Result<(Own, Certificate), Failure> {
        let names = names(listening, &also);
        let mut own = Own { authority, listening, also, life, clock, names, issued_s: 0 };
        let first = own.certify().map_err(|why| {
            Failure::new(format!("cannot issue a certificate for the API: {why}"))
        })?;
        Ok((own, first))
    }

    pub(super) fn look_every(&self) -> Duration {
        (self.life / 60).clamp(LOOK_MIN, LOOK_MAX)
    }

    /// Issues another after two thirds of its life, when the machine has other names, or the clock was set back.
    pub(super) fn look(&mut self) -> Result<Option<Certificate>, String> {
        let names = names(self.listening, &self.also);
        let renew_s = self.issued_s + self.life.as_secs() / 3 * 2;
        let is_fresh = (self.issued_s..renew_s).contains(&self.clock.now_s());
        if is_fresh && names == self.names {
            return Ok(None);
        }
        self.names = names;
        self.certify().map(Some)
    }

    fn certify(&mut self) -> Result<Certificate, String> {
        let text = |error: peer::Error| chain(&error);
        let key = NodeKey::draw().map_err(text)?;
        let now_s = self.clock.now_s();
        let made = self.authority.certify_server(&self.names, &key.public(), self.life, now_s);
        let made = Certificate::new(vec![made.map_err(text)?], key.to_der());
        let made = made.map_err(|error| error.to_string())?;
        self.issued_s = now_s;
        Ok(made)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const DAY: u64 = 24 * 3600;

    #[test]
    fn it_is_renewed_in_time_with_another_key_and_after_the_clock_was_set_back() {
        let now_s = Arc::new(AtomicU64::new(1_800_000_000));
        let tells = now_s.clone();
        let clock = Clock::of(move || tells.load(Ordering::SeqCst));
        let cluster = model::ClusterId(uuid::Uuid::from_u128(1));
        let authority = Authority::found(cluster, clock.now_s()).unwrap();
        let also = vec![ServerName::try_from("alpha.example").unwrap()];
        let life = Duration::from_secs(30 * DAY);
        let listening = "10.0.0.5".parse().unwrap();
        let (mut own, first) = Own::issue(authority.into(), listening, also, life, clock).unwrap();
        assert!(first.is_for("alpha.example") && first.is_for("10.0.0.5"));
        assert!(!first.is_for("10.0.0.6"));
        let mut later = |seconds: i64| {
            now_s.fetch_add(seconds as u64, Ordering::SeqCst);
            own.look().unwrap()
        };
        assert!(later(20 * DAY as i64 - 1).is_none());
        let second = later(1).expect("it is time");
        assert_ne!(second.own(), first.own());
        assert!(second.check(1_800_000_000 + 49 * DAY).is_ok(), "it is good for a life from then");
        assert!(later(1).is_none());
        assert!(later(-2).is_some(), "it would not be good for long enough, or not yet");
    }
}
