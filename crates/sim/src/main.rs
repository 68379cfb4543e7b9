//! Runs worlds by their seeds: one to look at, or many to count.

use std::process::ExitCode;

use sim::{Options, Summary};

const USAGE: &str = "usage: sim (--seed N | --seeds A-B) [--steps N] [--trace] [--once]

  --seed N     run the world of this seed
  --seeds A-B  run the worlds of all these seeds and print a count
  --steps N    length of the hostile phase (default 1500)
  --trace      print a line for each event
  --once       run each world once, without comparing it to itself";

struct Arguments {
    first: u64,
    last: u64,
    steps: u64,
    trace: bool,
    once: bool,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(arguments) = parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if run(&arguments) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn parse(words: &[String]) -> Option<Arguments> {
    let mut seeds = None;
    let (mut steps, mut trace, mut once) = (Options::STEPS, false, false);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match word.as_str() {
            "--seed" => {
                let seed = words.next()?.parse().ok()?;
                seeds = Some((seed, seed));
            }
            "--seeds" => {
                let (first, last) = words.next()?.split_once('-')?;
                seeds = Some((first.parse().ok()?, last.parse().ok()?));
            }
            "--steps" => steps = words.next()?.parse().ok()?,
            "--trace" => trace = true,
            "--once" => once = true,
            _ => return None,
        }
    }
    let (first, last) = seeds.filter(|(first, last)| first <= last)?;
    Some(Arguments { first, last, steps, trace, once })
}

fn run(arguments: &Arguments) -> bool {
    let mut total = Summary::default();
    let mut failed = 0u64;
    for seed in arguments.first..=arguments.last {
        let options = Options { seed, steps: arguments.steps, trace: arguments.trace };
        let result = if arguments.once { sim::run(options) } else { sim::run_twice(options) };
        match result {
            Ok(one) => total = add(total, one),
            Err(failure) => {
                failed += 1;
                eprintln!("{failure}");
            }
        }
    }
    let seeds = arguments.last - arguments.first + 1;
    let Summary { trace, steps, entries, runs, elements, processes, crashes, lost, .. } = total;
    let Summary { restores, recoveries, .. } = total;
    println!(
        "{seeds} seeds, {failed} failed: {steps} steps, {entries} entries, {runs} runs, {elements} elements, {processes} processes, {crashes} crashes, {lost} nodes lost, {restores} restores, {recoveries} recoveries; trace {trace:016x}"
    );
    failed == 0
}

fn add(a: Summary, b: Summary) -> Summary {
    Summary {
        trace: a.trace.rotate_left(1) ^ b.trace,
        steps: a.steps + b.steps,
        entries: a.entries + b.entries,
        runs: a.runs + b.runs,
        elements: a.elements + b.elements,
        processes: a.processes + b.processes,
        crashes: a.crashes + b.crashes,
        lost: a.lost + b.lost,
        restores: a.restores + b.restores,
        recoveries: a.recoveries + b.recoveries,
    }
}
