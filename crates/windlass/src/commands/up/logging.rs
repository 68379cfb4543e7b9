//! The daemon's log: to stderr, quiet unless asked.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Overrides `-v`: directives such as `info,journal=debug`.
const VARIABLE: &str = "WINDLASS_LOG";

/// Starts logging; `verbose` is how often `-v` was given.
pub(super) fn start(verbose: u8) -> Result<(), Failure> {
    let default = match verbose {
        0 => "warn",
        1 => "info,openraft=warn",
        2 => {
            "info,api=debug,history=debug,journal=debug,machine=debug,node=debug,reactor=debug,runner=debug,windlass=debug"
        }
        _ => "trace",
    };
    let directives = std::env::var(VARIABLE).unwrap_or_else(|_| default.to_owned());
    let filter = EnvFilter::try_new(&directives).map_err(|error| {
        Failure::usage(format!("`{directives}` in {VARIABLE} is no log filter: {error}"))
            .hint(format!("write a level or directives: `{VARIABLE}=info,journal=debug`"))
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .init();
    Ok(())
}
