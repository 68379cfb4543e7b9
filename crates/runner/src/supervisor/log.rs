//! Words for the log file, written by a thread of their own.
//!
//! The kernel thread must never wait for a disk, and standard error is a file on it. What does not
//! fit the queue is dropped: the log explains, it proves nothing.

use std::io::Write;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::clock;

const LINES_MAX: usize = 256;
/// How long a leaving supervisor waits for its last words.
const FINISH_WAIT: Duration = Duration::from_secs(1);

enum Line {
    Text(String),
    Finish(SyncSender<()>),
}

static QUEUE: OnceLock<SyncSender<Line>> = OnceLock::new();

/// Starts the thread. Without it nothing is logged.
pub(super) fn start() -> std::io::Result<()> {
    let (sender, receiver) = sync_channel(LINES_MAX);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&receiver))?;
    let _ = QUEUE.set(sender);
    Ok(())
}

fn write(lines: &Receiver<Line>) {
    for line in lines {
        match line {
            Line::Text(text) => {
                let _ = std::io::stderr().write_all(text.as_bytes());
            }
            Line::Finish(done) => {
                let _ = done.send(());
            }
        }
    }
}

/// Logs one line.
pub(super) fn line(text: std::fmt::Arguments<'_>) {
    let Some(queue) = QUEUE.get() else { return };
    let now = clock::unix_us();
    let (secs, micros) = (now / 1_000_000, now % 1_000_000);
    let pid = std::process::id();
    let _ = queue.try_send(Line::Text(format!("{secs}.{micros:06} supervisor {pid}: {text}\n")));
}

/// Waits, not for long, until what was logged is written.
pub(super) fn finish() {
    let Some(queue) = QUEUE.get() else { return };
    let (sender, receiver) = sync_channel(1);
    if queue.try_send(Line::Finish(sender)).is_ok() {
        let _ = receiver.recv_timeout(FINISH_WAIT);
    }
}
