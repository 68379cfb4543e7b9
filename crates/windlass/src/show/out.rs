//! Writes data to stdout, and everything else to stderr.
//!
//! A reader that has left is no error: `windlass ps | head -1` ends quietly.

use std::io::{self, Write};

use crate::failure::Failure;

/// Writes data; a reader that has left ends the process with success.
pub(crate) fn data(text: impl AsRef<[u8]>) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => Err(Failure::new(format!("cannot write to stdout: {error}"))),
    }
}

/// Writes what a program that goes on has to say first. Nobody may be there to read it.
pub(crate) fn greeting(text: &str) {
    let mut stdout = io::stdout().lock();
    let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
}

/// Writes a line of data.
pub(crate) fn line(text: impl AsRef<str>) -> Result<(), Failure> {
    data(format!("{}\n", text.as_ref()))
}

/// Writes a JSON value as one document.
pub(crate) fn json(value: &impl serde::Serialize) -> Result<(), Failure> {
    line(serde_json::to_string_pretty(value).expect("what is shown has texts for keys"))
}

/// Writes a JSON value as one line of many.
pub(crate) fn json_line(value: &impl serde::Serialize) -> Result<(), Failure> {
    line(serde_json::to_string(value).expect("what is shown has texts for keys"))
}

/// Tells the person something that is not data. Nobody may be listening, so it cannot fail.
pub(crate) fn note(text: impl AsRef<str>) {
    let _ = writeln!(io::stderr().lock(), "windlass: {}", text.as_ref());
}

/// Says what went wrong.
pub(crate) fn failure(failure: &Failure) {
    let _ = writeln!(io::stderr().lock(), "{failure}");
}
