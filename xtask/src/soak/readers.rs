//! Those who look: at lists, at single runs, at output, and one who reads too slowly.

use std::io::Read as _;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::tally::Tally;
use crate::node::Caller;

/// One thread for each.
pub(super) const READERS: [fn(&Caller, &Tally, &AtomicBool); 2] = [look, read_slowly];

const PAUSE: Duration = Duration::from_millis(300);
/// What the slow reader takes, and how often: 20 KiB a second.
const SIP_BYTES: usize = 1 << 10;
const SIP_PAUSE: Duration = Duration::from_millis(50);
/// How long it reads one run, which then still has more to say.
const READING: Duration = Duration::from_secs(30);

fn look(caller: &Caller, tally: &Tally, over: &AtomicBool) {
    let looks: [&[&str]; 5] = [
        &["ps", "--json"],
        &["ps", "--all", "--json", "-n", "200"],
        &["status", "last", "--json"],
        &["logs", "last"],
        &["node", "ls", "--json"],
    ];
    for arguments in looks.iter().cycle() {
        if over.load(Ordering::Relaxed) {
            return;
        }
        match caller.ask(arguments) {
            Ok(_) => _ = tally.reads.fetch_add(1, Ordering::Relaxed),
            Err(error) => tally.complain(&error),
        }
        std::thread::sleep(PAUSE);
    }
}

fn read_slowly(caller: &Caller, tally: &Tally, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        match sip(caller, over) {
            Ok(()) => _ = tally.reads.fetch_add(1, Ordering::Relaxed),
            Err(error) => tally.complain(&error),
        }
        std::thread::sleep(PAUSE);
    }
}

/// Runs something that says much, reads a little of it, and leaves.
fn sip(caller: &Caller, over: &AtomicBool) -> Result<()> {
    let much = "i=0; while [ $i -lt 40 ]; do yes 0123456789 | head -c 100000; i=$((i+1)); done";
    let mut client = caller.client(&["run", "--", "sh", "-c", much]);
    let mut client = client.stdout(Stdio::piped()).spawn().context("starting a slow reader")?;
    let mut stdout = client.stdout.take().context("a slow reader without a pipe")?;
    let start = Instant::now();
    let mut sip = [0; SIP_BYTES];
    while start.elapsed() < READING && !over.load(Ordering::Relaxed) {
        if stdout.read(&mut sip).unwrap_or(0) == 0 {
            break;
        }
        std::thread::sleep(SIP_PAUSE);
    }
    // It leaves as a closed terminal would.
    let _ = client.kill();
    client.wait().context("waiting for a slow reader").map(drop)
}
