//! The listener for peers.
//!
//! A node that is alone, and that nobody was invited to, has none: what is not open cannot be
//! knocked at. It opens with the first join token, or at the start where there are other members
//! or the address was said.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use peer::{Credentials, Listener, Service};
use tokio::sync::{Mutex, watch};

use super::own::{Place, reached_at};
use crate::data_dir::write_durably;
use crate::error::StartError;

/// The port that was taken last, for the next start: others know it.
const FILE: &str = "port";

/// The listener, open or not yet.
pub(crate) struct Door {
    dir: PathBuf,
    place: Place,
    credentials: Arc<Credentials>,
    service: OnceLock<Arc<dyn Service>>,
    listener: Mutex<Option<Listener>>,
    /// Where others reach it; empty: nowhere yet.
    address: watch::Sender<String>,
}

impl Door {
    pub(crate) fn new(data_dir: &Path, place: Place, credentials: Arc<Credentials>) -> Door {
        Door {
            dir: data_dir.join("peer"),
            place,
            credentials,
            service: OnceLock::new(),
            listener: Mutex::new(None),
            address: watch::Sender::new(String::new()),
        }
    }

    /// Says who serves.
    pub(crate) fn serve(&self, service: Arc<dyn Service>) {
        let _ = self.service.set(service);
    }

    /// Opens it, where it is not open. `socket` was bound before, for it had to be known where.
    pub(crate) async fn open(&self, socket: Option<TcpListener>) -> io::Result<()> {
        let mut listener = self.listener.lock().await;
        let (None, Some(service)) = (&*listener, self.service.get()) else { return Ok(()) };
        let socket = match socket {
            Some(socket) => socket,
            None => bind(&self.dir, self.place.peer)?,
        };
        let open = Listener::open(socket, self.credentials.clone(), service.clone())?;
        let bound = open.local_addr();
        let address = match &self.place.advertise {
            Some(address) => address.clone(),
            None => reached_at(bound, None).to_string(),
        };
        tracing::info!(%bound, address, "peers are listened to");
        self.address.send_replace(address);
        *listener = Some(open);
        Ok(())
    }

    /// Where others reach it; empty while it is not open.
    pub(crate) fn address(&self) -> watch::Receiver<String> {
        self.address.subscribe()
    }

    pub(crate) async fn close(&self) {
        if let Some(listener) = self.listener.lock().await.take() {
            listener.close().await;
        }
    }
}

/// Takes the address before anything else is done, where others are to reach this node.
pub(crate) fn bind_early(data_dir: &Path, place: &mut Place) -> Result<TcpListener, StartError> {
    let dir = data_dir.join("peer");
    let bound = bind(&dir, place.peer).and_then(|socket| Ok((socket.local_addr()?, socket)));
    let (address, socket) =
        bound.map_err(|source| StartError::Peer { address: place.peer, source })?;
    place.peer = address;
    Ok(socket)
}

/// Any free port is the one of the last time, if that is free.
fn bind(dir: &Path, address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match (address.port(), last_port(dir)) {
        (0, Some(port)) => TcpListener::bind(SocketAddr::new(address.ip(), port))
            .or_else(|_| TcpListener::bind(address))?,
        _ => TcpListener::bind(address)?,
    };
    let port = socket.local_addr()?.port();
    if address.port() == 0 && last_port(dir) != Some(port) && dir.exists() {
        write_durably(dir, FILE, port.to_string().as_bytes())?;
    }
    Ok(socket)
}

fn last_port(dir: &Path) -> Option<u16> {
    std::fs::read_to_string(dir.join(FILE)).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_free_port_is_the_same_one_the_next_time() {
        let dir = tempfile::tempdir().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let first = bind(dir.path(), any).unwrap();
        let port = first.local_addr().unwrap().port();
        let taken = bind(dir.path(), any).unwrap();
        assert_ne!(taken.local_addr().unwrap().port(), port, "it is taken");
        let port = taken.local_addr().unwrap().port();
        drop((first, taken));
        assert_eq!(bind(dir.path(), any).unwrap().local_addr().unwrap().port(), port);
    }
}
