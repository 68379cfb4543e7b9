//! The daemon's log: to stderr, quiet unless asked.
//!
//! What is logged names runs, nodes and indices, and never what a task was given.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::failure::Failure;

/// How a line of the log looks.
#[derive(clap::ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// The library below the journal tells of each of its own steps, which nobody asks for unless by its name.
const QUIET: &str = "openraft=off";

/// Starts logging; `verbose` is how often `-v` was given, which `directives` overrule.
pub(super) fn start(verbose: u8, directives: Option<&str>, format: Format) -> Result<(), Failure> {
    let usual = match verbose {
        0 => "warn",
        1 => "info",
        2 => {
            "info,api=debug,history=debug,journal=debug,machine=debug,node=debug,reactor=debug,runner=debug,windlass=debug"
        }
        _ => "trace",
    };
    let filter = filter(directives.unwrap_or(usual))?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let discreet = filter_fn(|metadata| !tells_secrets(metadata));
    match format {
        Format::Text => {
            let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(colour).finish().with(discreet).init();
        }
        Format::Json => {
            let lines = lines.json().flatten_event(true);
            let lines = lines.with_current_span(false).with_span_list(false);
            lines.finish().with(discreet).init();
        }
    }
    Ok(())
}

fn filter(directives: &str) -> Result<EnvFilter, Failure> {
    // Of two for one module the latter holds.
    EnvFilter::try_new(format!("{QUIET},{directives}")).map_err(|error| {
        Failure::usage(format!("`{directives}` is no log filter: {error}")).hint(
            "write a level or directives: `--log info,journal=debug`, or the same in WINDLASS_LOG",
        )
    })
}

/// Libraries that, below `info`, log all that goes through them: headers with the token, and the
/// journal's records with the environment of tasks.
const TALKATIVE: [&str; 2] = ["h2", "openraft"];

fn tells_secrets(metadata: &tracing::Metadata<'_>) -> bool {
    let of = metadata.target().split("::").next();
    *metadata.level() > tracing::Level::INFO && of.is_some_and(|of| TALKATIVE.contains(&of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_below_the_journal_is_heard_by_its_name_alone() {
        let text = |directives| filter(directives).ok().unwrap().to_string();
        for of_others in ["info", "info,journal=debug", "trace"] {
            assert!(text(of_others).contains("openraft=off"), "{of_others}");
        }
        let named = text("info,openraft=warn");
        assert!(named.contains("openraft=warn") && !named.contains("openraft=off"), "{named}");
        assert!(filter("journal=loud").is_err_and(|failure| failure.hint.is_some()));
    }
}
