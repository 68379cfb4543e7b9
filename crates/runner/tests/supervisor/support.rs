//! One node: a supervisor process in a directory of its own, and a daemon's end of the socket.

use std::collections::HashMap;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use model::{Attempt, Element, NodeId, Outcome, Resources, RunId, StopCause, TaskSpec};
use proto::supervisor::{
    Forget, FromSupervisor, Greeting, Hello, Item, Shutdown, Start, Started, Stop, ToSupervisor,
    from_supervisor::Kind as Said, to_supervisor::Kind as Ask,
};
use runner::client::{self, Decoder};
use runner::containment::{Kind, bases};
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_runner-test-supervisor");

/// Which signal the kernel sends to who holds a lease.
const F_SETSIG: i32 = 10;

/// Keeps everybody from opening a file: the kernel asks for the lease back first, and waits until
/// this is dropped, though for no longer than its `lease-break-time` of 45 s.
pub(crate) struct Lease(File);

impl Lease {
    /// A lease on a file that is open nowhere else; `None` where its file system has no leases.
    pub(crate) fn new(file: File) -> Option<Lease> {
        // SAFETY: plain system calls. The signal by which the kernel asks is one that is ignored.
        let leased = unsafe {
            libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG);
            libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK)
        };
        if leased != 0 {
            eprintln!("no leases on this file system: {}", std::io::Error::last_os_error());
        }
        (leased == 0).then_some(Lease(file))
    }

    /// Whether somebody waits to open the file.
    pub(crate) fn is_asked_for(&self) -> bool {
        // SAFETY: a plain system call.
        let lease = unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_GETLEASE) };
        lease != libc::F_WRLCK
    }
}

/// A program whose execution hangs until this is dropped.
pub(crate) struct Hanging {
    path: String,
    pub(crate) lease: Lease,
}

impl Hanging {
    pub(crate) fn new(node: &Node, name: &str) -> Option<Hanging> {
        let path = node.path(name);
        std::fs::write(&path, "#!/bin/sh\nexit 3\n").unwrap();
        std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let lease = Lease::new(File::options().write(true).open(&path).unwrap())?;
        Some(Hanging { path: path.display().to_string(), lease })
    }

    pub(crate) fn task(&self) -> TaskSpec {
        task(&[&self.path])
    }
}

/// Waits for a condition; says what it was if it never came.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Whether there is such a process that has not ended.
pub(crate) fn lives(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

pub(crate) fn attempt(index: u32) -> Attempt {
    Attempt { element: Element { run: RunId(7), task: 0, index }, number: 1 }
}

pub(crate) fn task(command: &[&str]) -> TaskSpec {
    let mut task = TaskSpec::new(command.iter().map(|word| (*word).to_owned()).collect());
    task.resources = Resources { cpu_milli: 1000, memory_bytes: 0 };
    task
}

pub(crate) fn shell(script: &str) -> TaskSpec {
    task(&["/bin/sh", "-c", script])
}

pub(crate) struct Node {
    pub(crate) dir: TempDir,
    pub(crate) id: NodeId,
    pub(crate) kind: Option<Kind>,
    pub(crate) supervisor: Child,
    pub(crate) hello: Hello,
    stream: UnixStream,
    decoder: Decoder,
    seq: u64,
    epoch: u64,
    pub(crate) started: HashMap<Attempt, Started>,
    pub(crate) ended: HashMap<Attempt, Outcome>,
    pub(crate) said: Vec<Said>,
    /// What nobody asked for must not be left when the test is over.
    pub(crate) strict: bool,
}

pub(crate) fn greeting(cpu_milli: u64) -> Ask {
    let capacity = Resources { cpu_milli, memory_bytes: 1 << 40 };
    Ask::Greeting(Greeting { version: proto::SUPERVISOR_VERSION, capacity: Some(capacity.into()) })
}

fn launch(dir: &Path, id: NodeId, kind: Option<Kind>) -> Child {
    let mut command = Command::new(BINARY);
    command.arg(client::COMMAND).arg("--dir").arg(dir).arg("--node-id").arg(id.to_string());
    if let Some(kind) = kind {
        command.arg("--containment").arg(kind.to_string());
    }
    client::detach(&mut command);
    command
        .stderr(std::fs::File::options().append(true).create(true).open(dir.join("log")).unwrap());
    command.spawn().unwrap()
}

fn connect(dir: &Path) -> UnixStream {
    let mut stream = None;
    until("the supervisor listens", || {
        stream = client::connect(dir).ok();
        stream.is_some()
    });
    let stream = stream.unwrap();
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
    stream
}

impl Node {
    /// A node with the best containment and room for four.
    pub(crate) fn new() -> Node {
        Node::with(None, 4000)
    }

    pub(crate) fn with(kind: Option<Kind>, cpu_milli: u64) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let id = NodeId(uuid::Uuid::new_v4());
        let supervisor = launch(dir.path(), id, kind);
        let stream = connect(dir.path());
        let mut node = Node {
            dir,
            id,
            kind,
            supervisor,
            hello: Hello::default(),
            stream,
            decoder: Decoder::new(),
            seq: 1,
            epoch: 1,
            started: HashMap::new(),
            ended: HashMap::new(),
            said: Vec::new(),
            strict: true,
        };
        node.ask(greeting(cpu_milli));
        node.hear_until("hello", |node| node.hello.version != 0);
        node
    }

    /// The daemon is gone; another comes.
    pub(crate) fn reconnect(&mut self, cpu_milli: u64) {
        // A child on its way to its program keeps a dead supervisor's socket open for a moment,
        // so one may connect to nobody.
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "nobody answers:\n{}", self.log());
            self.stream = connect(self.dir.path());
            self.decoder = Decoder::new();
            self.started.clear();
            self.ended.clear();
            self.said.clear();
            self.hello = Hello::default();
            let greeting = client::encode(&ToSupervisor { kind: Some(greeting(cpu_milli)) });
            let _ = self.stream.write_all(&greeting);
            while self.hello.version == 0 && Instant::now() < deadline && self.hear() {}
            if self.hello.version != 0 {
                return;
            }
        }
    }

    /// The supervisor is dead; another is launched.
    pub(crate) fn launch_again(&mut self) {
        self.supervisor = launch(self.dir.path(), self.id, self.kind);
    }

    /// The daemon is gone.
    pub(crate) fn hang_up(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Both).unwrap();
    }

    pub(crate) fn ask(&mut self, kind: Ask) {
        let frame = client::encode(&ToSupervisor { kind: Some(kind) });
        self.stream.write_all(&frame).unwrap();
    }

    /// Says several things in one breath.
    pub(crate) fn ask_all(&mut self, kinds: impl IntoIterator<Item = Ask>) {
        let frames = kinds.into_iter().map(|kind| ToSupervisor { kind: Some(kind) });
        let frames: Vec<u8> = frames.flat_map(|kind| client::encode(&kind)).collect();
        self.stream.write_all(&frames).unwrap();
    }

    /// The path of a file that a task can write.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn start_message(&mut self, spec: &TaskSpec, indices: &[u32]) -> Start {
        let seq = self.seq;
        self.seq += indices.len() as u64;
        Start {
            epoch: self.epoch,
            seq,
            run: 7,
            task: 0,
            items: indices
                .iter()
                .map(|index| Item { index: *index, attempt: 1, text: None })
                .collect(),
            fence: 99,
            spec: Some(spec.into()),
            env: Vec::new(),
            run_as: String::new(),
        }
    }

    pub(crate) fn start(&mut self, spec: &TaskSpec, indices: &[u32]) {
        let start = self.start_message(spec, indices);
        self.ask(Ask::Start(start));
    }

    /// Starts one and waits for its process.
    pub(crate) fn started(&mut self, spec: &TaskSpec, index: u32) -> u32 {
        self.start(spec, &[index]);
        self.hear_until("it is started", |node| node.started.contains_key(&attempt(index)));
        self.started[&attempt(index)].pid
    }

    pub(crate) fn stop(&mut self, index: u32, cause: StopCause) {
        let cause = proto::job::StopCause::from(Some(cause)) as i32;
        self.ask(Ask::Stop(Stop { attempts: vec![attempt(index).into()], cause }));
    }

    pub(crate) fn forget(&mut self, indices: &[u32]) {
        let attempts = indices.iter().map(|index| attempt(*index).into()).collect();
        self.ask(Ask::Forget(Forget { attempts }));
    }

    #[track_caller]
    pub(crate) fn end(&mut self, index: u32) -> Outcome {
        let attempt = attempt(index);
        self.hear_until("it has ended", |node| node.ended.contains_key(&attempt));
        self.ended[&attempt].clone()
    }

    /// Starts one and waits for its end.
    #[track_caller]
    pub(crate) fn run(&mut self, spec: &TaskSpec, index: u32) -> Outcome {
        self.start(spec, &[index]);
        self.end(index)
    }

    /// Takes in what the supervisor says until a condition holds.
    #[track_caller]
    pub(crate) fn hear_until(&mut self, what: &str, condition: impl Fn(&Node) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            if Instant::now() > deadline {
                panic!("never: {what}; log:\n{}", self.log());
            }
            assert!(
                self.hear(),
                "the supervisor hung up while waiting for: {what}\n{}",
                self.log()
            );
        }
    }

    /// Takes in what is there; whether the connection still stands.
    pub(crate) fn hear(&mut self) -> bool {
        let mut buffer = [0; 65536];
        match self.stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(length) => self.decoder.push(&buffer[..length]),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return false,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return true;
            }
        }
        while let Some(FromSupervisor { kind }) = self.decoder.next_message().unwrap() {
            let said = kind.unwrap();
            match said.clone() {
                Said::Hello(hello) => self.hello = hello,
                Said::Started(started) => {
                    self.started.insert(started.attempt.unwrap().into(), started);
                }
                Said::Ended(ended) => {
                    let outcome = ended.outcome.unwrap().try_into().unwrap();
                    self.ended.insert(ended.attempt.unwrap().into(), outcome);
                }
                Said::Output(_) | Said::Condition(_) | Said::Lease(_) => {}
            }
            self.said.push(said);
        }
        true
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// The directory of the node's cgroups.
    pub(crate) fn base(&self) -> Option<PathBuf> {
        let wanted: Kind = self.hello.containment.parse().unwrap();
        bases(self.id).into_iter().find(|(kind, _)| *kind == wanted).map(|(_, base)| base)
    }

    /// Ends it as `down` does; fails if anything is left.
    fn shut_down(&mut self) {
        self.ask(Ask::Shutdown(Shutdown {}));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let known: Vec<u32> = self.ended.keys().map(|attempt| attempt.element.index).collect();
            // The supervisor may be gone already.
            let attempts = known.iter().map(|index| attempt(*index).into()).collect();
            let forget = Ask::Forget(Forget { attempts });
            let _ = self.stream.write_all(&client::encode(&ToSupervisor { kind: Some(forget) }));
            if !self.hear() {
                break;
            }
            assert!(Instant::now() < deadline, "it does not leave:\n{}", self.log());
        }
        let status = self.supervisor.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.log());
        for (_, base) in bases(self.id) {
            assert!(!base.exists(), "`{}` is left", base.display());
        }
        let mark = format!("WINDLASS_NODE_ID={}", self.id);
        let left: Vec<u32> = marked(&mark);
        assert!(left.is_empty(), "processes {left:?} are left");
    }
}

/// The living processes with this variable.
pub(crate) fn marked(mark: &str) -> Vec<u32> {
    let pids = std::fs::read_dir("/proc").unwrap();
    let pids = pids.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let env = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        env.split(|byte| *byte == 0).any(|variable| variable == mark.as_bytes())
    };
    pids.filter(has).filter(|pid| lives(*pid)).collect()
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.strict && !std::thread::panicking() {
            self.shut_down();
        } else {
            // A supervisor that is told to kills all and leaves.
            let shutdown = client::encode(&ToSupervisor { kind: Some(Ask::Shutdown(Shutdown {})) });
            let _ = self.stream.write_all(&shutdown);
            let _ = self.stream.shutdown(std::net::Shutdown::Both);
        }
    }
}
