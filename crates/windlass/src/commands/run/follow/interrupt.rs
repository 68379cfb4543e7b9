//! What Ctrl-C means: asked where somebody is there to answer.
//!
//! A line is read and not a key: the terminal stays as it is, so nothing has to be put back however
//! this process ends.

use std::io::{IsTerminal, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::stdio;
use tokio::signal::unix::Signal;
use tokio::sync::mpsc::{self, Receiver};

/// What the person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Cancel,
    Leave,
    Wait,
}

const QUESTION: &str = "cancel the run (c), leave it running (d), go on waiting (w)? ";

/// Whether somebody at a terminal can be asked. A job in the background must not read from it.
pub(super) fn somebody_is_there() -> bool {
    let foreground = || rustix::termios::tcgetpgrp(stdio::stdin()).ok();
    std::io::stdin().is_terminal()
        && std::io::stderr().is_terminal()
        && foreground() == Some(rustix::process::getpgrp())
}

/// Asks until there is an answer; Ctrl-C within the question cancels, and the end of the input
/// leaves things as they are.
pub(super) async fn ask(interrupts: &mut Signal, line_is_empty: bool) -> Answer {
    // What a terminal shows for Ctrl-C, `^C`, went with the bar or stays on a line of its own.
    say(&format!("{}{QUESTION}", if line_is_empty { "" } else { "\n" }));
    let mut lines = lines();
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            _ = interrupts.recv() => {
                say("\n");
                return Answer::Cancel;
            }
        };
        match line.as_deref().map(meant) {
            Some(Some(answer)) => return answer,
            Some(None) => say(QUESTION),
            None => {
                say("\n");
                return Answer::Wait;
            }
        }
    }
}

/// The lines of the terminal, until its end or until nobody wants them: what is typed after that
/// belongs to whoever reads next.
fn lines() -> Receiver<String> {
    let (sender, lines) = mpsc::channel(1);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            if !is_readable() {
                continue;
            }
            let mut line = [0; 256];
            // A terminal that is readable has a line, or has ended.
            let Ok(length @ 1..) = rustix::io::read(stdio::stdin(), &mut line) else { return };
            let line = String::from_utf8_lossy(&line[..length]).into_owned();
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Whether a read would not wait, within a moment.
fn is_readable() -> bool {
    let moment = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
    let stdin = stdio::stdin();
    let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
    poll(&mut fds, Some(&moment)).is_ok_and(|ready| ready > 0)
}

fn meant(line: &str) -> Option<Answer> {
    match line.trim().to_lowercase().as_str() {
        "c" | "cancel" => Some(Answer::Cancel),
        "d" | "leave" | "detach" => Some(Answer::Leave),
        "w" | "wait" => Some(Answer::Wait),
        _ => None,
    }
}

fn say(text: &str) {
    let mut stderr = std::io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_letter_or_a_word() {
        assert_eq!(meant("c\n"), Some(Answer::Cancel));
        assert_eq!(meant(" D \n"), Some(Answer::Leave));
        assert_eq!(meant("wait\n"), Some(Answer::Wait));
        assert_eq!(meant("\n"), None);
        assert_eq!(meant("yes\n"), None);
    }
}
