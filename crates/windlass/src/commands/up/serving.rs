//! Wires a node together and keeps it going until it is told to end.
//!
//! ```text
//!  bind ──> node::start ──> token ──> pointer, ready file ──> serve ──> SIGTERM, Ctrl-C: tasks go on
//!   │            │                                              ├─────> down: tasks have ended
//!   busy: who    refused: why                                   └─────> the node failed: exit 1
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use model::Resources;
use node::{Config, Keeping, Node, NoopWorkers, Place, Stopped};
use sd_notify::NotifyState;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Args;
use super::listening::{Api, Listening, advertised_host};
use super::ready::Ready;
use super::traces::{self, Traces};
use crate::failure::{Failure, chain};
use crate::process::Process;
use crate::show::out;

/// Threads of the daemon's runtime; heartbeats and commits need little, tasks run elsewhere.
const THREADS: usize = 2;
/// What the node may take to close its files.
const CLOSE: Duration = Duration::from_secs(10);
/// From the end of the last task until its supervisor must have left.
const SUPERVISOR_EXIT: Duration = Duration::from_secs(10);
/// What a blocking thread, reading output say, may still take at the end.
const RUNTIME_EXIT: Duration = Duration::from_secs(1);

/// Why the node is to end.
enum End {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM, SIGHUP.
    Signal,
    /// The node stopped by itself.
    Stopped(Stopped),
    /// Nobody could reach it any more.
    Unserved(Failure),
}

pub(super) fn serve(
    args: Args,
    place: Place,
    listening: Listening,
    data_dir: PathBuf,
) -> Result<u8, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start: {error}")))?;
    let result = runtime.block_on(live(args, place, listening, data_dir));
    runtime.shutdown_timeout(RUNTIME_EXIT);
    result
}

async fn live(
    args: Args,
    place: Place,
    listening: Listening,
    data_dir: PathBuf,
) -> Result<u8, Failure> {
    if let Some(path) = &args.ready_file {
        // One from an earlier start would tell whoever waits for it the wrong thing.
        let _ = std::fs::remove_file(path);
    }
    // From here on a signal is no sudden end.
    let mut signals = Signals::new()?;
    let (addr, advertised) = (listening.addr, advertised_host(&place));
    let collector = traces::collector(&args);
    let mut config = config(&args, place, data_dir, collector.is_some())?;
    config.api_address = listening.told(&config.place);
    let mut node = tokio::select! {
        node = node::start(config) => node.map_err(|error| start_failed(&error))?,
        // A start may take long, behind a slow disk or what an earlier supervisor has left.
        _ = signals.next() => return Ok(0),
    };
    let traces = Traces::start(&mut node, collector);
    let mut api = Api::open(&node, listening, advertised, args.redirect)?;
    announce(&args, &node, addr, api.speaks_tls())?;
    tell_systemd(&[NotifyState::Ready]);
    let info = node.info();
    tracing::info!(node = %info.node, name = info.name, %addr, version = info.version, "the node serves");

    let end = tokio::select! {
        end = signals.next() => end,
        why = node.stopped() => End::Stopped(why),
        failure = api.failed() => End::Unserved(failure),
    };
    tell_systemd(&[NotifyState::Stopping]);
    let interrupted = matches!(end, End::Interrupt);
    let tasks = node.running();
    tracing::info!(tasks, down = matches!(end, End::Stopped(Stopped::Down)), "the node goes down");
    api.close().await;
    let supervisor = Process::open(node.supervisor_pid());
    let result = match end {
        End::Interrupt | End::Signal => {
            close(node, &mut signals).await;
            if interrupted {
                farewell(tasks);
            }
            Ok(0)
        }
        End::Stopped(Stopped::Closed) => Ok(0),
        End::Stopped(Stopped::Down) => {
            close(node, &mut signals).await;
            // Whoever waits for this process may then remove the directory.
            if let Some(supervisor) = supervisor {
                supervisor.gone_within(SUPERVISOR_EXIT);
            }
            Ok(0)
        }
        End::Stopped(Stopped::Failed(why)) => {
            Err(Failure::new(format!("the node cannot go on: {why}"))
                .hint("its tasks go on; `windlass up` adopts them once the cause is gone"))
        }
        End::Unserved(failure) => {
            close(node, &mut signals).await;
            Err(failure)
        }
    };
    traces.end().await;
    result
}

/// Where systemd started the node it hears how far it is; elsewhere nobody does.
fn tell_systemd(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be told");
    }
}

/// Ends the node in order. What it has acknowledged is on disk already, so it may be cut short.
async fn close(node: Node, signals: &mut Signals) {
    tokio::select! {
        () = node.close() => {}
        _ = signals.next() => tracing::warn!("ended by a second signal"),
        () = tokio::time::sleep(CLOSE) => tracing::warn!("the node took too long to end"),
    }
}

fn config(args: &Args, place: Place, data_dir: PathBuf, traced: bool) -> Result<Config, Failure> {
    let exe = std::env::current_exe()
        .map_err(|error| Failure::new(format!("cannot find this binary again: {error}")))?;
    let capacity =
        Resources { cpu_milli: args.cpus.unwrap_or(0), memory_bytes: args.memory.unwrap_or(0) };
    Ok(Config {
        data_dir,
        name: args.name.clone().unwrap_or_else(machine_name),
        labels: args.labels.clone(),
        capacity,
        exe,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        keeping: keeping(args),
        place,
        api_address: String::new(),
        noop: NoopWorkers { count: args.noop_workers, slots: args.noop_slots },
        traced: traced.then_some(args.otlp_sample),
        lease_ms: args.lease.unwrap_or(model::LEASE_MS_DEFAULT),
    })
}

fn keeping(args: &Args) -> Keeping {
    let usual = Keeping::default();
    Keeping {
        checkpoint_bytes: args.checkpoint_size.unwrap_or(usual.checkpoint_bytes),
        output_bytes: args.output_disk.unwrap_or(usual.output_bytes),
        retention: args.retention(),
        namespaces: args.namespaces(),
        history_bytes: args.history_disk.unwrap_or(usual.history_bytes),
    }
}

pub(super) fn machine_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn announce(args: &Args, node: &Node, addr: SocketAddr, tls: bool) -> Result<(), Failure> {
    let info = node.info();
    let ready = Ready {
        api: addr,
        tls,
        peer: node.peer_address(),
        cluster: info.cluster.to_string(),
        roles: info.roles.to_string(),
        controls: info.roles.control,
        data_dir: info.data_dir.clone(),
        node_id: info.node.to_string(),
        node_name: info.name.clone(),
        supervisor_pid: node.supervisor_pid(),
    };
    if let Some(path) = &args.ready_file {
        ready.write(path)?;
    }
    out::greeting(&ready.text());
    Ok(())
}

/// Ctrl-C in a terminal: the person may not know that tasks outlive the node.
fn farewell(tasks: u64) {
    let (tasks, them) = match tasks {
        0 => return,
        1 => ("1 task goes on".to_owned(), "it"),
        n => (format!("{n} tasks go on"), "them"),
    };
    out::note(format!(
        "{tasks} without the node; `windlass up` on the same directory adopts {them}, and `windlass down` after that ends {them}"
    ));
}

pub(super) fn start_failed(error: &node::StartError) -> Failure {
    let text = error.to_string();
    let (what, hint) = text.split_once("\nhint: ").unwrap_or((&text, ""));
    let source = std::error::Error::source(error).map(chain);
    let message = match source {
        Some(source) if !what.ends_with(&source) => format!("{what}: {source}"),
        _ => what.to_owned(),
    };
    let failure = Failure::new(message);
    if hint.is_empty() { failure } else { failure.hint(hint) }
}

/// The signals that end a node.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    /// A limit on the size of files is an error of the write then, not a sudden end.
    _file_size: Signal,
}

impl Signals {
    fn new() -> Result<Signals, Failure> {
        let watch = |kind| {
            signal(kind).map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))
        };
        Ok(Signals {
            interrupt: watch(SignalKind::interrupt())?,
            terminate: watch(SignalKind::terminate())?,
            hangup: watch(SignalKind::hangup())?,
            _file_size: watch(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    async fn next(&mut self) -> End {
        tokio::select! {
            _ = self.interrupt.recv() => End::Interrupt,
            _ = self.terminate.recv() => End::Signal,
            _ = self.hangup.recv() => End::Signal,
        }
    }
}
