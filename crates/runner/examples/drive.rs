//! Measures a supervisor alone: `drive EMPTY-DIR COUNT PLACES` runs `/bin/true` so often, so many
//! at once, for a daemon that does nothing but ask and hear, and prints the seconds it took. With
//! `noop` behind that the tasks are no processes.

use std::io::{Read, Write};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
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
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().expect("a number");
    match args[..] {
        [client::COMMAND, "--dir", dir, "--node-id", id] => supervise(&Args {
            data_dir: dir.into(),
            node_id: id.parse().expect("a UUID"),
            containment: None,
        }),
        [dir, count, places] | [dir, count, places, "noop"] => {
            let noop = args.len() > 3;
            let took = drive(Path::new(dir), number(count), number(places), noop);
            println!("{:.6}", took.expect("the supervisor works").as_secs_f64());
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: drive EMPTY-DIR COUNT PLACES [noop]");
            ExitCode::from(2)
        }
    }
}

/// How long a supervisor takes, for a daemon that forgets at once what it hears of.
fn drive(dir: &Path, count: u32, places: u32, noop: bool) -> std::io::Result<Duration> {
    let id = model::NodeId(uuid::Uuid::new_v4());
    let exe = std::env::current_exe()?;
    let mut supervisor = client::launch(&exe, dir, id).map_err(std::io::Error::other)?;
    let mut stream = loop {
        match client::connect(dir) {
            Ok(stream) => break stream,
            Err(_) if supervisor.try_wait()?.is_none() => thread::sleep(Duration::from_millis(2)),
            Err(error) => return Err(std::io::Error::other(error)),
        }
    };
    stream.set_nonblocking(false)?;
    let capacity = Resources { cpu_milli: 1000 * u64::from(places), memory_bytes: 0 };
    let version = proto::SUPERVISOR_VERSION;
    let ask = |kind| encode(&ToSupervisor { kind: Some(kind) });
    stream.write_all(&ask(Ask::Greeting(Greeting { version, capacity: Some(capacity.into()) })))?;
    let begin = Instant::now();
    let items = (0..count).map(|index| Item { index, attempt: 1, text: None }).collect();
    let mut spec = TaskSpec::new(vec!["/bin/true".into()]);
    spec.runner = if noop { model::Runner::Noop } else { model::Runner::Process };
    let spec = Some((&spec).into());
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
