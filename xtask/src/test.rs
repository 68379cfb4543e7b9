//! Runs every test of the workspace and ends with a count.
//!
//! Built by plain `cargo test`, and not run by something that would have to be installed first: a fresh clone needs
//! cargo alone.
//! What the tests need beyond that is installed here, under the target directory.

pub(crate) mod debian;
mod fuzz;
mod lanes;
mod python;
mod summary;

use std::io::{BufRead as _, BufReader, PipeReader};
use std::process::{Child, Command, ExitCode, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

/// How long output is waited for once cargo has ended.
const DRAIN: Duration = Duration::from_secs(5);
/// How often a silent cargo is asked whether it has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Builds the binary, runs the tests that match `args`, and prints the count.
pub(crate) fn run(args: &[String]) -> Result<ExitCode> {
    let filter = filter(args)?;
    // With the binary itself, so that a test which starts it never meets an old one.
    let binaries = lanes::build()?;
    // Those tests that need what is missing fail and say so; the others are not to blame.
    for (what, done) in [("Python", python::install()), ("programs", debian::install_missing())] {
        if let Err(error) = done {
            eprintln!("warning: what the tests need is not all there, {what}: {error:#}");
        }
    }
    let summary = lanes::run(&binaries, filter)?;
    print!("{summary}");
    Ok(if summary.is_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn filter(args: &[String]) -> Result<&[String]> {
    match args.split_first() {
        None => Ok(args),
        Some((first, rest)) if first == "--" => Ok(rest),
        Some((first, _)) => bail!("`{first}` is not understood: a filter stands behind `--`"),
    }
}

/// Runs a command, and tells each line of what it says.
fn run_streamed(mut command: Command, each: impl FnMut(&str)) -> Result<ExitStatus> {
    // One pipe for both streams keeps a failure beside the test that it is of.
    let (reader, writer) = std::io::pipe().context("making a pipe for the tests' output")?;
    command.stdout(writer.try_clone().context("sharing the pipe")?).stderr(writer);
    let mut child = command.spawn().context("starting it")?;
    // The command holds the writing ends: while it lives the pipe would never end.
    drop(command);
    stream(&mut child, reader, DRAIN, each)
}

/// Hands on each line until cargo has ended and the pipe is empty.
///
/// The end of the pipe is not waited for without limit: a process that a test left behind would hold it open.
fn stream(
    child: &mut Child,
    reader: PipeReader,
    drain: Duration,
    mut each: impl FnMut(&str),
) -> Result<ExitStatus> {
    let lines = read_in_background(reader);
    let mut ended = None;
    loop {
        match lines.recv_timeout(if ended.is_some() { drain } else { LOOK_AGAIN }) {
            Ok(line) => each(&line),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) if ended.is_some() => {
                eprintln!(
                    "warning: a process that the tests left behind still holds their output open"
                );
                break;
            }
            Err(RecvTimeoutError::Timeout) => {
                ended = child.try_wait().context("waiting for the tests")?
            }
        }
    }
    match ended {
        Some(status) => Ok(status),
        None => child.wait().context("waiting for the tests"),
    }
}

/// A thread that ends with the pipe, or with this process.
fn read_in_background(reader: PipeReader) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(reader).split(b'\n').map_while(Result::ok) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(50);

    #[test]
    fn a_filter_stands_behind_two_dashes() {
        let args = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert!(filter(&args(&[])).unwrap().is_empty());
        assert_eq!(filter(&args(&["--", "name"])).unwrap(), ["name"]);
        assert!(filter(&args(&["name"])).is_err());
    }

    #[test]
    fn the_last_lines_arrive_though_a_process_left_behind_holds_the_pipe() {
        let (reader, writer) = std::io::pipe().unwrap();
        let held = writer.try_clone().unwrap();
        let mut command = std::process::Command::new("sh");
        command.args(["-c", "echo one; echo two; exit 3"]).stdout(writer);
        let mut child = command.spawn().unwrap();
        let mut seen = Vec::new();
        let status = stream(&mut child, reader, SHORT, |line| seen.push(line.to_owned())).unwrap();
        drop(held);
        assert_eq!((seen, status.code()), (vec!["one".to_owned(), "two".to_owned()], Some(3)));
    }
}
