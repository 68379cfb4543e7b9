//! The chores of this repository, as `cargo xtask <chore>`.
//!
//! A chore lives here and not in a shell script when it is a promise to the reader of the code: the house rules,
//! the count of the tests, the figures of the benchmarks.
//! Nothing of the house is linked in, so that `tidy` builds in seconds and works while a crate does not compile.

mod bench;
mod chaos;
mod mutants;
mod node;
mod package;
mod proc;
mod soak;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <chore>

  tidy                      check the house rules
  test [-- FILTER…]         build the binary, run every test, end with a count
  bench [--pairs N] [--scale SHARE] [--binary PATH] [WORK…]
                            build in release and print the table of speeds; all works by default:
                            idle, array, latency; submit, durable, crowd, chain, noop, history,
                            shapes, queued (of scale: 0.01 of each count is a rehearsal)
  chaos [--minutes N] [--seed S]
                            six nodes in network namespaces, killed, cut off, paused and restarted;
                            10 minutes and a seed of the moment unless told otherwise; needs root
  mutants [--seeds N] [NAME…]
                            break a rule at a time and have the simulation find it
  package [--profile NAME] [--out DIR] [binary] [deb] [image]
                            what people install, into `target/package`; the image needs a Docker Engine
  soak [--minutes N] [--disk-mib N] [--binary PATH]
                            work, kill and look for 30 minutes on a small disk of 512 MiB, and judge
";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let rest = args.get(1..).unwrap_or_default();
    let done = match args.first().map(String::as_str) {
        Some("tidy") => tidy::run(),
        Some("test") => test::run(rest),
        Some("bench") => bench::run(rest),
        Some("package") => package::run(rest),
        Some("soak") => soak::run(rest),
        Some("chaos") => chaos::run(rest),
        Some("mutants") => mutants::run(rest),
        Some("__bare-spawn") => bench::bare_spawn_child(rest),
        Some("help" | "-h" | "--help") => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
