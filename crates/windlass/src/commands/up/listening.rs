//! The listener for people and programs: where it is, what it shows, and who is told of it.
//!
//! It takes its address before there is a node, so that a fault in it is told before anything is written.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::path::Path;

use node::{Node, Part, Place};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};

use super::tls::{Tls, Wanted};
use super::{dirs, serving};
use crate::client::token::{Pointer, ensure};
use crate::failure::{Failure, chain};

/// An address that is taken, and what is to be shown there.
pub(super) struct Listening {
    listener: TcpListener,
    pub(super) addr: SocketAddr,
    wanted: Wanted,
}

impl Listening {
    /// Takes the address. Where it is taken, the directory may be the true cause.
    pub(super) fn at(
        api: SocketAddr,
        wanted: Wanted,
        data_dir: &Path,
    ) -> Result<Listening, Failure> {
        let listener = TcpListener::bind(api).map_err(|error| {
            match (error.kind(), dirs::holder(data_dir)) {
                (std::io::ErrorKind::AddrInUse, Some(pid)) => {
                    let path = data_dir.to_owned();
                    serving::start_failed(&node::StartError::InUse { path, pid })
                }
                (std::io::ErrorKind::AddrInUse, None) => Failure::new(format!(
                    "cannot listen at {api}: another program does"
                ))
                .hint("end it (another node: `windlass down`), or take any free port: `--api 127.0.0.1:0`"),
                _ => Failure::new(format!("cannot listen at {api}: {error}"))
                    .hint("name another address with `--api ADDR`"),
            }
        })?;
        let addr = listener.local_addr().map_err(|error| Failure::new(error.to_string()))?;
        Ok(Listening { listener, addr, wanted })
    }

    /// Where other machines reach it, which the node tells its cluster; empty where they do not.
    pub(super) fn told(&self, place: &Place) -> String {
        let port = self.addr.port();
        let host = match &self.wanted {
            _ if self.addr.ip().is_loopback() => return String::new(),
            Wanted::Own { also, .. } => also.first().map(|name| name.to_str().into_owned()),
            _ => None,
        };
        match host.or_else(|| advertised_host(place)) {
            Some(host) if host.contains(':') => format!("[{host}]:{port}"),
            Some(host) => format!("{host}:{port}"),
            None => {
                let towards = place.join.as_ref().map(|join| join.address.as_str());
                node::reached_at(self.addr, towards).to_string()
            }
        }
    }
}

/// Under which name or address other nodes were told to reach this one.
pub(super) fn advertised_host(place: &Place) -> Option<String> {
    let (host, _) = place.advertise.as_deref()?.rsplit_once(':')?;
    Some(host.trim_matches(['[', ']']).to_owned())
}

/// People and programs are served.
pub(super) struct Api {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), api::Error>>,
    /// For clients of this user; taken away when dropped.
    pointers: Vec<Pointer>,
    tls: Option<Tls>,
}

impl Api {
    /// Begins to serve.
    pub(super) fn open(
        node: &Node,
        listening: Listening,
        advertised: Option<String>,
        redirects: bool,
    ) -> Result<Api, Failure> {
        let token = ensure(&node.info().data_dir)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async {
            let _ = stopped.await;
        };
        let Listening { listener, addr, wanted } = listening;
        let local = local(addr);
        let tls = Tls::begin(wanted, addr.ip(), advertised, node.authority(), &local)?;
        let shown = tls.as_ref().map(|tls| tls.shown.clone());
        let manner = api::Manner { token: api::TokenCheck::new(&token), shown, redirects };
        let task = match node.part() {
            Part::Control(handle) => tokio::spawn(api::serve(listener, handle, manner, stopped)),
            Part::Worker(handle) => {
                tokio::spawn(api::serve_worker(listener, handle, manner, stopped))
            }
        };
        // A service may have no home; its clients then name the token's file themselves.
        let leave = |addr: &String| {
            let left = Pointer::leave(addr, &token);
            left.inspect_err(|failure| tracing::warn!("{}", failure.message)).ok()
        };
        let pointers = local.iter().filter_map(leave).collect();
        Ok(Api { stop, task, pointers, tls })
    }

    /// Whether TLS is spoken.
    pub(super) fn speaks_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Why nobody can reach the node any more, once that is so.
    pub(super) async fn failed(&mut self) -> Failure {
        unserved((&mut self.task).await)
    }

    /// Lets calls that are under way end, within a limit of their own.
    pub(super) async fn close(mut self) {
        drop((self.pointers, self.tls));
        let _ = self.stop.send(());
        if !self.task.is_finished() {
            let _ = (&mut self.task).await;
        }
    }
}

/// How clients on this machine call a node that listens there.
fn local(listening: SocketAddr) -> Vec<String> {
    let mut addrs = vec![listening];
    if listening.ip().is_unspecified() {
        addrs.push((Ipv4Addr::LOCALHOST, listening.port()).into());
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, listening.port()));
        addrs.extend(listening.is_ipv6().then_some(six));
    }
    addrs.iter().map(SocketAddr::to_string).collect()
}

fn unserved(served: Result<Result<(), api::Error>, JoinError>) -> Failure {
    let why = match served {
        Ok(Ok(())) => "the listener was closed".to_owned(),
        Ok(Err(error)) => chain(&error),
        Err(error) => chain(&error),
    };
    Failure::new(format!("the node can no longer be reached: {why}"))
}
