//! A supervisor as a process of its own, for the tests: what the real binary does for its hidden
//! command. Beside it, what it is measured against: the bare loop, a plain loop, and a daemon that
//! does nothing but ask and hear.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use model::{Resources, TaskSpec};
use proto::supervisor::{
    Forget, Greeting, Item, Shutdown, Start, ToSupervisor, from_supervisor::Kind as Said,
    to_supervisor::Kind as Ask,
};
use runner::client::{self, Decoder, encode};
use runner::supervisor::{Args, main as supervise};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = args.iter().position(|arg| arg == name)?;
        args.get(at + 1).cloned()
    };
    let number = |name: &str| value(name).map_or(0, |text| text.parse().expect("a number"));
    let took = match args.first().map(String::as_str) {
        Some(client::COMMAND) => {
            return supervise(&Args {
                data_dir: value("--dir").expect("--dir").into(),
                node_id: value("--node-id").expect("--node-id").parse().expect("a UUID"),
                containment: value("--containment").map(|kind| kind.parse().expect("a kind")),
            });
        }
        Some("bare") => {
            runner::bare::run(number("--count"), number("--threads")).expect("the loop runs")
        }
        Some("plain") => plain(number("--count"), number("--threads")),
        Some("drive") => {
            let dir: PathBuf = value("--dir").expect("--dir").into();
            drive(dir, number("--count"), number("--threads")).expect("the supervisor works")
        }
        _ => return ExitCode::FAILURE,
    };
    println!("{:.6}", took.as_secs_f64());
    ExitCode::SUCCESS
}

/// `/bin/true` again and again, without pipes or containment.
fn plain(count: u32, threads: u32) -> Duration {
    let begin = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                for _ in 0..count / threads {
                    let mut command = Command::new("/bin/true");
                    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
                    command.status().expect("it runs");
                }
            });
        }
    });
    begin.elapsed()
}

/// A supervisor of its own does the same, for a daemon that forgets at once what it hears of.
fn drive(dir: PathBuf, count: u32, threads: u32) -> std::io::Result<Duration> {
    let id = model::NodeId(uuid::Uuid::new_v4());
    let exe = std::env::current_exe()?;
    let mut supervisor = client::launch(&exe, &dir, id).map_err(std::io::Error::other)?;
    let mut stream = loop {
        match client::connect(&dir) {
            Ok(stream) => break stream,
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    stream.set_nonblocking(false)?;
    let capacity = Resources { cpu_milli: 1000 * u64::from(threads), memory_bytes: 0 };
    let version = proto::SUPERVISOR_VERSION;
    let ask = |kind| encode(&ToSupervisor { kind: Some(kind) });
    stream.write_all(&ask(Ask::Greeting(Greeting { version, capacity: Some(capacity.into()) })))?;
    let begin = Instant::now();
    let items = (0..count).map(|index| Item { index, attempt: 1 }).collect();
    let spec = Some((&TaskSpec::new(vec!["/bin/true".into()])).into());
    stream.write_all(&ask(Ask::Start(Start {
        epoch: 1,
        seq: 1,
        run: 1,
        items,
        spec,
        ..Start::default()
    })))?;
    let (mut decoder, mut ended, mut buffer) = (Decoder::new(), 0, vec![0; 65536]);
    while ended < count {
        let length = stream.read(&mut buffer)?;
        decoder.push(&buffer[..length]);
        let mut attempts = Vec::new();
        while let Some(message) = decoder.next_message().map_err(std::io::Error::other)? {
            if let Some(Said::Ended(ended)) = message.kind {
                attempts.extend(ended.attempt);
            }
        }
        ended += attempts.len() as u32;
        stream.write_all(&ask(Ask::Forget(Forget { attempts })))?;
    }
    let took = begin.elapsed();
    stream.write_all(&ask(Ask::Shutdown(Shutdown {})))?;
    supervisor.wait()?;
    Ok(took)
}
