//! Many seeds: each in a process of its own, as many at once as there are processors. All say what they came to.

use std::ops::RangeInclusive;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

/// Runs them all, prints what each came to, and ends with a count.
pub(crate) fn run(seeds: RangeInclusive<u64>) -> ExitCode {
    let Ok(program) = std::env::current_exe() else {
        eprintln!("error: this program does not find itself, so it cannot start one for each seed");
        return ExitCode::FAILURE;
    };
    let at_once = thread::available_parallelism().map_or(1, |count| count.get());
    let next = AtomicU64::new(*seeds.start());
    let failed = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..at_once {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::SeqCst);
                    if seed > *seeds.end() {
                        return;
                    }
                    let seed = seed.to_string();
                    let output = Command::new(&program).args(["--seed", &seed]).output();
                    match output {
                        Ok(output) if output.status.success() => {
                            print!("{}", String::from_utf8_lossy(&output.stdout));
                        }
                        Ok(output) => {
                            failed.fetch_add(1, Ordering::SeqCst);
                            eprint!("{}", String::from_utf8_lossy(&output.stderr));
                        }
                        Err(error) => {
                            failed.fetch_add(1, Ordering::SeqCst);
                            eprintln!("error: seed {seed} could not be run: {error}");
                        }
                    }
                }
            });
        }
    });
    let (count, failed) = (seeds.end() - seeds.start() + 1, failed.into_inner());
    println!("{count} seeds, {failed} failed");
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
