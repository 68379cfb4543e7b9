//! A node under mixed work for a long time, on a small disk, killed and started again and again.
//!
//! It ends with a verdict: memory is flat, no file grows without bound, and whatever was acknowledged has ended
//! or was purged. Tests find what goes wrong at once; this finds what goes wrong a little each time.
//!
//! ```text
//!  submitters ──┐                      ┌── sampler: every 5 s, what the kernel says
//!  readers ─────┼──> node on its disk <┤
//!  slow reader ─┘                      └── damage: kill -9, start again; now and then the supervisor
//! ```
//!
//! In the middle third nothing is killed: a process that leaks would be forgiven by each of its deaths.

mod curve;
mod damage;
mod disk;
mod line;
mod options;
mod readers;
mod samples;
mod tally;
mod verdict;
mod work;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::node::Node;
use crate::workspace;
use damage::Damage;
use disk::Disk;
use options::Options;
use samples::Samples;
use tally::Tally;

/// Between two samples.
const SAMPLE: Duration = Duration::from_secs(5);
/// How long what was submitted may take to end once nothing more comes.
const DRAIN: &str = "5m";

/// Runs the soak and prints its curve and its verdict.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let options = Options::parse(args)?;
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build()?,
    };
    let place = workspace::target_directory()?.join(format!("soak-{}", std::process::id()));
    let disk = Disk::make(&place, options.disk_mib)?;
    println!("{} minutes on {}", options.minutes, disk.what());
    let up = options::limits(&binary, options.disk_mib)?;
    println!("windlass up {}", up.join(" "));
    let up: Vec<&str> = up.iter().map(String::as_str).collect();
    let mut node = Node::start(&binary, disk.directory(), &up)?;

    let tally = Tally::default();
    let mut samples = Samples::default();
    let soaked = soak(&mut node, &options, &tally, &mut samples);
    println!("\n{}", samples.table());
    println!("{}", curve::all(&samples));
    println!("{tally}");
    // What goes wrong from here on is part of the verdict.
    let mut verdict = verdict::of(&samples, options.minutes);
    let told = format!("{} minutes", options.minutes);
    verdict.check("the soak", soaked.map(|()| told));
    verdict.check("the daemon", tally.nobody_died());
    verdict.check("what was acknowledged", all_ended(&node, &tally));
    verdict.check("the node", node.stop().map(|()| "ends as a person would end it".to_owned()));
    drop(node);
    disk.remove()?;
    print!("{verdict}");
    Ok(if verdict.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Works, reads, damages and samples until the time is over.
fn soak(node: &mut Node, options: &Options, tally: &Tally, samples: &mut Samples) -> Result<()> {
    let over = AtomicBool::new(false);
    let caller = node.caller();
    let start = Instant::now();
    let length = Duration::from_secs(options.minutes * 60);
    std::thread::scope(|scope| {
        // Whatever way this is left: the threads must see the end.
        let _end = SetOnDrop(&over);
        for number in 0..work::SUBMITTERS {
            let (caller, over) = (caller.clone(), &over);
            scope.spawn(move || work::submit(&caller, number, tally, over));
        }
        for read in readers::READERS {
            let (caller, over) = (caller.clone(), &over);
            scope.spawn(move || read(&caller, tally, over));
        }
        let mut damage = Damage::new(length);
        while start.elapsed() < length {
            let next = Instant::now() + SAMPLE;
            damage.step(node, start.elapsed(), tally)?;
            samples.take(node, start.elapsed(), tally)?;
            eprint!("\r{}", samples.last_line());
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        eprintln!();
        Ok(())
    })
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether all that was acknowledged has ended, and is told of or was purged.
fn all_ended(node: &Node, tally: &Tally) -> Result<String> {
    node.load(&["drain", "--limit", DRAIN])?;
    let found = tally.look_up(&node.caller())?;
    Ok(format!("{found}, and nothing is left to do"))
}

fn build() -> Result<PathBuf> {
    let built = workspace::cargo().args(["build", "--release", "--package", "windlass"]).status();
    if !built.context("starting `cargo build`")?.success() {
        anyhow::bail!("`cargo build --release` failed");
    }
    Ok(workspace::target_directory()?.join("release/windlass"))
}
