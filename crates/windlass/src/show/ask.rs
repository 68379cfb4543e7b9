//! Asks a person whether to go on.

use std::io::{BufRead, IsTerminal, Write};

use crate::failure::Failure;

/// Whether somebody is there to answer.
pub(crate) fn is_possible() -> bool {
    std::io::stdin().is_terminal()
}

/// Whether the answer is yes; anything else is no.
pub(crate) fn whether(question: &str) -> Result<bool, Failure> {
    let failed = |error| Failure::new(format!("cannot ask: {error}"));
    let mut stderr = std::io::stderr().lock();
    write!(stderr, "{question} [y/N] ").map_err(failed)?;
    stderr.flush().map_err(failed)?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
