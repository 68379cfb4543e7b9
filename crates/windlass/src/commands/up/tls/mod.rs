//! What the listener shows over TLS, and who keeps it good.
//!
//! A certificate that was given is read again when its files change; else the node issues one for itself from the
//! cluster's authority, and another one in time, or when the machine's addresses change. One thread does either, for
//! both look at files or the system; it ends with the node, and where it fails, what is shown stays until it expires.

mod given;
mod names;
mod own;
mod wanted;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use api::tls::{Certificate, Shown};
use peer::{Authority, Clock};
use rustls::pki_types::ServerName;

use crate::client::pin::Pins;
use crate::failure::Failure;
use given::Given;
use own::Own;
use wanted::no_authority;
pub(super) use wanted::{TlsArgs, Wanted};

/// Where certificates come from.
enum Source {
    Given(Given),
    Own(Own),
}

impl Source {
    /// Another certificate, if it is time for one. Why not is for the log.
    fn look(&mut self) -> Result<Option<Certificate>, String> {
        match self {
            Source::Given(given) => given.look(),
            Source::Own(own) => own.look(),
        }
    }

    fn look_every(&self) -> Duration {
        match self {
            Source::Given(_) => given::LOOK_EVERY,
            Source::Own(own) => own.look_every(),
        }
    }
}

/// What a node shows, and the thread that keeps it good.
pub(super) struct Tls {
    pub(super) shown: Shown,
    /// Dropped, it ends the thread.
    _end: Sender<()>,
    _thread: JoinHandle<()>,
}

impl Tls {
    /// Begins to show what is wanted; `None` where that is nothing. Its own is for the `advertised` host as well.
    /// Clients of this user find it at `local`.
    pub(super) fn begin(
        wanted: Wanted,
        listening: IpAddr,
        advertised: Option<String>,
        authority: Option<Arc<Authority>>,
        local: &[String],
    ) -> Result<Option<Tls>, Failure> {
        let clock = Clock::wall();
        let (source, first) = match wanted {
            Wanted::Plain => {
                Pins::clear(local);
                return Ok(None);
            }
            Wanted::Given { certificate, key } => {
                let (given, first) = Given::read(&certificate, &key, &clock)?;
                (Source::Given(given), first)
            }
            Wanted::Own { mut also, life } => {
                let authority = authority.ok_or_else(no_authority)?;
                also.extend(advertised.and_then(|host| ServerName::try_from(host).ok()));
                let (own, first) = Own::issue(authority, listening, also, life, clock)?;
                (Source::Own(own), first)
            }
        };
        let mut pins = Pins::at(local);
        pin(&mut pins, &first);
        let shown = Shown::new(first);
        let (end, ended) = channel();
        let keeper = Keeper { source, shown: shown.clone(), pins, said: String::new() };
        let thread = std::thread::Builder::new().name("certificate".to_owned());
        let thread = thread.spawn(move || keeper.run(|pause| ended.recv_timeout(pause)));
        let thread = thread.map_err(|error| Failure::new(format!("cannot start: {error}")))?;
        Ok(Some(Tls { shown, _end: end, _thread: thread }))
    }
}

/// A service may have no home; its clients then say whom they believe.
fn pin(pins: &mut Pins, certificate: &Certificate) {
    if let Err(error) = pins.leave(certificate.own()) {
        tracing::warn!(%error, "cannot leave the certificate for clients of this user");
    }
}

struct Keeper {
    source: Source,
    shown: Shown,
    pins: Pins,
    /// The last complaint, so that each is made once.
    said: String,
}

impl Keeper {
    fn run(mut self, mut pause: impl FnMut(Duration) -> Result<(), RecvTimeoutError>) {
        while pause(self.source.look_every()) == Err(RecvTimeoutError::Timeout) {
            match self.source.look() {
                Ok(None) => {}
                Ok(Some(certificate)) => {
                    // Before it is shown, so that nobody meets one that is not known.
                    pin(&mut self.pins, &certificate);
                    self.shown.replace(certificate);
                    self.said.clear();
                    tracing::info!("the API shows a new certificate");
                }
                Err(why) if why == self.said => {}
                Err(why) => {
                    tracing::warn!(why, "the API goes on with the certificate that it has");
                    self.said = why;
                }
            }
        }
    }
}
