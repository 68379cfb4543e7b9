//! What a supervisor does before its loop: it becomes alone, proves that nothing of an earlier one
//! is left, and only then lets itself be found.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use model::slots::Slots;
use model::{NodeId, Resources, SupervisorId};
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::held::Seen;
use super::kernel::Kernel;
use super::poll::{Poll, Timers};
use super::running::Places;
use super::starting::Starting;
use super::{Args, lock, log, serve};
use crate::client::socket_path;
use crate::containment::predecessor::{self, Predecessor};
use crate::containment::{self, Containment, Kind, lower_oom_score};
use crate::output::{Config, Writer};
use crate::spawn::Spawner;
use crate::user::User;

/// Held as long as a supervisor lives, and by its children until they execute.
const LOCK: &str = "supervisor.lock";
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Linux numbers its signals from 1 to this.
const SIGNALS: i32 = 64;
/// Descriptors of the supervisor itself.
const OWN_FILES: u64 = 64;
/// Descriptors of a running attempt: two pipes, and three of its cgroup.
const FILES_PER_ATTEMPT: u64 = 6;

/// A supervisor could not start, or go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("cannot {what} `{}`", path.display())]
    Path { what: &'static str, path: PathBuf, source: io::Error },
    #[error("another supervisor holds `{}`", .0.display())]
    Locked(PathBuf),
    #[error(transparent)]
    Containment(#[from] containment::Error),
    #[error("cannot prepare this process")]
    Process(#[source] io::Error),
    #[error("the loop cannot go on")]
    Loop(#[source] io::Error),
}

/// Everything up to the loop.
pub(super) fn prepare(args: &Args) -> Result<(Kernel, Vec<Spawner>), Error> {
    let data_dir = &args.data_dir;
    let path = |what| move |source| Error::Path { what, path: data_dir.clone(), source };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(data_dir);
    made.map_err(path("make the directory"))?;
    lock::take(&data_dir.join(LOCK))?;
    clean(data_dir, args.node_id);
    let reset_oom = lower_oom_score();
    let own_user = User::own();
    let spawners = (0..serve::THREADS).map(|_| Spawner::new(reset_oom));
    let mut spawners: Vec<Spawner> = spawners.collect::<Result<_, _>>().map_err(Error::Process)?;
    let running_max = raise_files().map_err(Error::Process)?;
    let containment = contain(args, &mut spawners[0])?;
    predecessor::record(data_dir, containment.kind(), containment.base())
        .map_err(path("record the cgroups in"))?;
    let config = Config { dir: data_dir.join("output"), ..Config::default() };
    let writer = Writer::start(config).map_err(path("write output in"))?;
    let poll = Poll::new().map_err(Error::Process)?;
    let (listener, socket) = listen(data_dir).map_err(path("listen in"))?;
    log::line(format_args!("serves `{}`, containment {}", data_dir.display(), containment.kind()));
    let kernel = Kernel {
        node_id: args.node_id,
        supervisor_id: SupervisorId(uuid::Uuid::new_v4()),
        own_user,
        socket,
        listener,
        poll,
        link: None,
        links: 0,
        writer,
        starting: Starting::default(),
        threads: 0,
        threads_max: serve::THREADS_MAX,
        more_noops: false,
        young: VecDeque::new(),
        containment: Some(containment),
        slots: Slots::new(Resources::default()),
        held: HashMap::new(),
        seen: Seen::default(),
        lease: Default::default(),
        waiters: Default::default(),
        running: Places::default(),
        running_max,
        by_pid: HashMap::new(),
        timers: Timers::default(),
        unsaid: BTreeSet::new(),
        nudge_at: None,
        degraded: String::new(),
        down: false,
        again: Vec::new(),
        over: false,
        buffer: vec![0; 64 << 10],
        leave_at: None,
        sweep_at: None,
        own_wake: None,
    };
    Ok((kernel, spawners))
}

/// Signals blocked and at their defaults, which is what children start from; orphans come to us;
/// nothing inherited gets any further.
pub(super) fn own_the_process() -> io::Result<()> {
    // SAFETY: plain system calls on values of our own; there is no other thread that relies on
    // handlers, and a blocked signal is never delivered.
    unsafe {
        let mut all = std::mem::zeroed::<libc::sigset_t>();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_SETMASK, &all, std::ptr::null_mut());
        // The C library keeps two signals to itself and would refuse to touch them. The kernel's
        // own structure is four words at most; all zeros is the default action.
        let default = [0_u64; 4];
        let nothing: *mut u64 = std::ptr::null_mut();
        for signal in 1..=SIGNALS {
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), nothing, 8);
        }
        libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
        if libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    rustix::process::umask(Mode::from_raw_mode(0o077));
    Ok(())
}

pub(super) fn keep_open(file: File) {
    std::mem::forget(file);
}

/// Kills what an earlier supervisor left, until it is proved gone, however long that takes.
fn clean(data_dir: &Path, node_id: NodeId) {
    let predecessor = Predecessor::read(data_dir, node_id);
    let mut said = String::new();
    let mut clean = 0;
    loop {
        let left = match predecessor.kill() {
            Ok(left) if left.is_empty() => {
                clean += 1;
                if clean >= predecessor.looks() {
                    return;
                }
                std::thread::sleep(LOOK_AGAIN);
                continue;
            }
            Ok(left) => format!("processes {left:?}"),
            Err(error) => format!("what is left cannot be listed: {error}"),
        };
        clean = 0;
        if left != said {
            log::line(format_args!("degraded: an earlier supervisor's tasks are not gone: {left}"));
            said = left;
        }
        std::thread::sleep(LOOK_AGAIN);
    }
}

/// The wanted containment, or the best there is.
fn contain(args: &Args, spawner: &mut Spawner) -> Result<Containment, Error> {
    if let Some(kind) = args.containment {
        return Ok(Containment::open(kind, args.node_id, spawner)?);
    }
    for kind in [Kind::V2, Kind::V1] {
        match Containment::open(kind, args.node_id, spawner) {
            Ok(containment) => return Ok(containment),
            Err(error) => {
                let source = std::error::Error::source(&error);
                let why = source.map(|source| format!(": {source}")).unwrap_or_default();
                log::line(format_args!("{error}{why}"));
            }
        }
    }
    Ok(Containment::open(Kind::Weak, args.node_id, spawner)?)
}

/// Raises the soft limit of open files to the hard one; how many attempts can run with it.
fn raise_files() -> io::Result<usize> {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised)?;
    // No limit at all is more than anybody starts.
    let files = limit.maximum.unwrap_or(1 << 20);
    let most = (files.saturating_sub(OWN_FILES) / FILES_PER_ATTEMPT).max(1);
    Ok(usize::try_from(most).unwrap_or(usize::MAX).min(1 << 20))
}

/// Lets daemons connect. The directory is the owner's alone, and so is the socket.
fn listen(data_dir: &Path) -> io::Result<(UnixListener, PathBuf)> {
    let (dir, path) = socket_path(data_dir)?;
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(&path)?;
    listener.set_nonblocking(true)?;
    // The path goes through the directory's descriptor, which stays open for it.
    keep_open(dir);
    Ok((listener, path))
}
