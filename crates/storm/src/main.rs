//! Whole control nodes on real journals, in a network and on disks that a seed makes fail.
//!
//! The journal (`journal::raft`), the control reactor and the machine are the real ones, three or five of each, in one
//! thread, on simulated time and a simulated network. Hosts are cut off, paused, crash and lose what was not synced,
//! while clients submit, cancel and ask; what they were answered must be linearizable, and nothing acknowledged lost.
//! One seed gives the whole run, and one process runs one seed: see `chance`.
//!
//! Beside it, `sim` tries the workers' side on a modelled journal. What only the real node has (its transport, its
//! disk, its processes) is tried with the real binary.

mod chance;
mod client;
mod clock;
mod disk;
mod history;
mod host;
mod many;
mod order;
mod shared;
mod trace;
mod weather;
mod wire;
mod world;

use std::process::ExitCode;

use world::Summary;

const USAGE: &str = "usage: storm (--seed N | --seeds A-B) [--trace]

  --seed N     run the world of this seed
  --seeds A-B  run the worlds of all these seeds, each in a process of its own
  --trace      print a line for each event";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        ["--seed", seed] => with_number(seed, |seed| one(seed, false)),
        ["--seed", seed, "--trace"] => with_number(seed, |seed| one(seed, true)),
        ["--seeds", range] => match range.split_once('-') {
            Some((first, last)) => {
                with_number(first, |first| with_number(last, |last| many::run(first..=last)))
            }
            None => usage(),
        },
        _ => usage(),
    }
}

fn with_number(word: &str, run: impl FnOnce(u64) -> ExitCode) -> ExitCode {
    word.parse().map_or_else(|_| usage(), run)
}

fn usage() -> ExitCode {
    eprintln!("{USAGE}");
    ExitCode::from(2)
}

fn one(seed: u64, prints: bool) -> ExitCode {
    if prints {
        // On a thread of its own, which ends: each map that a thread makes changes the keys of its next one, so that
        // a world which is watched would not be the same.
        let init = std::thread::spawn(print_log).join();
        init.expect("nothing else has taken the log");
    }
    match world::run(seed, prints) {
        Ok(Summary { hosts, counts, tally, trace: (trace, lines) }) => {
            let shared::Counts { messages, leaders, snapshots, strikes, crashes } = counts;
            println!(
                "seed {seed}: {hosts} hosts, {tally}; {strikes} strikes, {crashes} crashes, {leaders} leaders, {snapshots} snapshots, {messages} messages; trace {trace:016x} of {lines} lines"
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!(
                "seed {seed}: {error:#}\nhint: `cargo run -p storm -- --seed {seed} --trace` shows how"
            );
            ExitCode::FAILURE
        }
    }
}

/// Prints what the nodes log, as far as `RUST_LOG` wants it.
fn print_log() {
    let filter = tracing_subscriber::EnvFilter::builder();
    let filter =
        filter.with_default_directive(tracing_subscriber::filter::LevelFilter::WARN.into());
    tracing_subscriber::fmt().with_env_filter(filter.from_env_lossy()).without_time().init();
}
