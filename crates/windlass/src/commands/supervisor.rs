//! The hidden start of this binary as a node's supervisor. It must come before any runtime.

use std::process::ExitCode;

pub(crate) fn main() -> ExitCode {
    ExitCode::FAILURE
}
