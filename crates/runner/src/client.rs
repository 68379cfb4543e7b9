//! What a daemon needs of the supervisor: to launch it, to connect to it, and the frames.
//!
//! The daemon wraps the connected socket in its own runtime. Nothing here waits, and a launched
//! supervisor inherits nothing of the daemon: no descriptor, no variable, no terminal.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use model::NodeId;
use proto::supervisor::{FromSupervisor, ToSupervisor};

pub use crate::frame::{FRAME_BYTES_MAX, FrameError};

/// The hidden command of the binary that runs [`crate::supervisor::main`].
pub const COMMAND: &str = "__supervisor";
/// The supervisor's socket in the data directory.
pub const SOCKET: &str = "supervisor.sock";
/// The supervisor's log in the data directory.
pub const LOG: &str = "supervisor.log";

/// A log longer than this starts afresh with the next launch.
const LOG_BYTES_MAX: u64 = 1 << 20;

/// Takes what the supervisor sends, as it comes, and gives whole messages.
pub type Decoder = crate::frame::Decoder<FromSupervisor>;

/// A message as a frame.
pub fn encode(message: &ToSupervisor) -> Vec<u8> {
    crate::frame::encode(message)
}

/// A supervisor could not be launched or reached.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The data directory or the log in it cannot be used.
    #[error("cannot open `{}` for the supervisor", path.display())]
    Open {
        /// What was opened.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// The process could not be made.
    #[error("cannot start the supervisor with `{}`", exe.display())]
    Launch {
        /// The binary.
        exe: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Nobody listens, or not yet: launch one, or try again.
    #[error("cannot connect to the supervisor in `{}`", data_dir.display())]
    Connect {
        /// The node's data directory.
        data_dir: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// Starts `EXE __supervisor --dir DIR --node-id ID` in a session of its own, its log in
/// `DIR/supervisor.log`.
///
/// It listens as soon as it has proved that no process of an earlier supervisor is left, so
/// [`connect`] may have to be tried for a while. The child is given back so that the daemon can
/// reap it, should it leave first.
pub fn launch(exe: &Path, data_dir: &Path, node_id: NodeId) -> Result<Child, Error> {
    let data_dir = std::path::absolute(data_dir)
        .map_err(|source| Error::Open { path: data_dir.to_owned(), source })?;
    let log = open_log(&data_dir.join(LOG))?;
    let mut command = Command::new(exe);
    command.arg(COMMAND).arg("--dir").arg(&data_dir).arg("--node-id").arg(node_id.to_string());
    detach(&mut command);
    command.stderr(log);
    command.spawn().map_err(|source| Error::Launch { exe: exe.to_owned(), source })
}

/// Makes `command` start as a supervisor must: alone, with nothing of ours.
pub fn detach(command: &mut Command) {
    command.env_clear().current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    // SAFETY: between fork and exec the closure makes two raw system calls and touches no memory
    // that another thread may hold locked.
    unsafe {
        command.pre_exec(|| {
            libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            if libc::setsid() < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
        });
    }
}

fn open_log(path: &Path) -> Result<File, Error> {
    let fail = |source| Error::Open { path: path.to_owned(), source };
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(path).map_err(fail)?;
    if log.metadata().map_err(fail)?.len() > LOG_BYTES_MAX {
        log.set_len(0).map_err(fail)?;
    }
    Ok(log)
}

/// Connects to the supervisor of this data directory; the socket does not block.
///
/// As a supervisor dies, a child that has not yet executed its program may hold its socket for a
/// moment. So whoever is connected and hung up on before the first answer connects again.
pub fn connect(data_dir: &Path) -> Result<UnixStream, Error> {
    let fail = |source| Error::Connect { data_dir: data_dir.to_owned(), source };
    let (_dir, path) = socket_path(data_dir).map_err(fail)?;
    let stream = UnixStream::connect(path).map_err(fail)?;
    stream.set_nonblocking(true).map_err(fail)?;
    Ok(stream)
}

/// A short name of the socket, valid while the directory is held open: a Unix socket's path may
/// have 108 bytes at most, a data directory's may be longer.
pub(crate) fn socket_path(data_dir: &Path) -> io::Result<(File, PathBuf)> {
    let dir = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(data_dir)?;
    let path = PathBuf::from(format!("/proc/self/fd/{}/{SOCKET}", dir.as_raw_fd()));
    Ok((dir, path))
}
