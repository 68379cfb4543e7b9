//! Wires a node together: its data directory, the node itself, the listener, the signals.
use std::net::SocketAddr;
use std::path::PathBuf;

use super::Args;
use crate::failure::Failure;

pub(super) fn serve(_args: Args, _api: SocketAddr, _dir: PathBuf) -> Result<u8, Failure> {
    Ok(0)
}
