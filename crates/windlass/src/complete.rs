//! What a shell is given to complete a line: ids and names of the cluster.
//!
//! A key was pressed and somebody waits: where the node does not answer at once there is nothing,
//! and nothing is ever said.

use std::collections::BTreeSet;
use std::time::Duration;

use clap::{Command, Parser};
use clap_complete::{CompleteEnv, CompletionCandidate};
use proto::api::{ListNodesRequest, ListRunsRequest, ListTokensRequest, RunSummary};

use crate::client::{Client, Target};

/// Set by the script that `windlass completions` prints.
pub(crate) const VARIABLE: &str = "WINDLASS_COMPLETE";
/// Set by that script too: which word of the line is to be completed.
const INDEX: &str = "_CLAP_COMPLETE_INDEX";
/// For connecting and asking together.
const TIME: Duration = Duration::from_millis(500);
/// More would not be read.
const RUNS_MAX: u32 = 50;

/// Answers the shell and ends the process, if it is the shell that asks.
pub(crate) fn answer(line: impl Fn() -> Command) {
    if std::env::var_os(VARIABLE).is_some() {
        let words: Vec<_> = std::env::args().collect();
        let index = std::env::var(INDEX).ok().and_then(|index| index.parse().ok());
        let is_empty = at_empty_word(&words, index);
        // What is hidden is offered only where there is nothing else.
        let line = || if is_empty { without_flags(line()) } else { line() };
        CompleteEnv::with_factory(line).var(VARIABLE).complete();
    }
}

/// Whether nothing of the word to complete is there yet: then ids are wanted, not flags. A shell
/// that does not say which word it is means the last.
fn at_empty_word(words: &[String], index: Option<usize>) -> bool {
    let line = words.iter().skip_while(|word| *word != "--").skip(1);
    let line: Vec<&String> = line.collect();
    let at = index.unwrap_or(line.len().saturating_sub(1));
    line.get(at).is_none_or(|word| word.is_empty())
}

fn without_flags(line: Command) -> Command {
    let names: Vec<_> = line.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let line = line.mut_args(|arg| if arg.is_positional() { arg } else { arg.hide(true) });
    // Help and the version are made later, and cannot be hidden.
    let line = line.disable_help_flag(true).disable_version_flag(true);
    names.into_iter().fold(line, |line, name| line.mut_subcommand(name, without_flags))
}

/// Runs: numbers with what they are, and names.
pub(crate) fn runs() -> Vec<CompletionCandidate> {
    let runs = latest().unwrap_or_default();
    let numbers = runs.iter().map(|run| candidate(run.run.to_string(), told(run)));
    let mut names: Vec<_> = runs.iter().map(|run| run.name.clone()).collect();
    names.retain(|name| !name.is_empty());
    names.sort();
    names.dedup();
    let named = names.into_iter().map(|name| candidate(name, "the latest run of the name".into()));
    let last = (!runs.is_empty()).then(|| candidate("last".into(), "the latest run".into()));
    numbers.chain(named).chain(last).collect()
}

/// Names that runs have.
pub(crate) fn names() -> Vec<CompletionCandidate> {
    let numbers = |candidate: &CompletionCandidate| {
        let value = candidate.get_value().to_string_lossy();
        value == "last" || value.bytes().all(|byte| byte.is_ascii_digit())
    };
    runs().into_iter().filter(|candidate| !numbers(candidate)).collect()
}

/// Labels that runs have, as `KEY=VALUE`.
pub(crate) fn labels() -> Vec<CompletionCandidate> {
    let runs = latest().unwrap_or_default();
    let labels = runs.iter().flat_map(|run| &run.labels);
    once_each(labels.map(|label| format!("{}={}", label.name, label.value)))
}

/// Owners that runs have.
pub(crate) fn owners() -> Vec<CompletionCandidate> {
    once_each(latest().unwrap_or_default().into_iter().map(|run| run.owner))
}

fn once_each(values: impl Iterator<Item = String>) -> Vec<CompletionCandidate> {
    let values: BTreeSet<String> = values.filter(|value| !value.is_empty()).collect();
    values.into_iter().map(CompletionCandidate::new).collect()
}

/// States of a task.
pub(crate) fn states() -> Vec<CompletionCandidate> {
    model::TaskState::ALL.iter().map(|state| CompletionCandidate::new(state.to_string())).collect()
}

fn candidate(value: String, help: String) -> CompletionCandidate {
    CompletionCandidate::new(value).help(Some(help.into()))
}

fn told(run: &RunSummary) -> String {
    let name = if run.name.is_empty() { &run.command } else { &run.name };
    crate::show::table::cut(&format!("{}: {name}", run.state), 60)
}

/// Names of nodes.
pub(crate) fn nodes() -> Vec<CompletionCandidate> {
    let nodes = asked(async |client: &mut Client| {
        Some(client.rpc.list_nodes(ListNodesRequest {}).await.ok()?.into_inner().nodes)
    });
    nodes.unwrap_or_default().into_iter().map(|node| candidate(node.name, node.state)).collect()
}

/// Names of tokens, where the caller may see them.
pub(crate) fn tokens() -> Vec<CompletionCandidate> {
    let tokens = asked(async |client: &mut Client| {
        Some(client.rpc.list_tokens(ListTokensRequest {}).await.ok()?.into_inner().tokens)
    });
    tokens.unwrap_or_default().into_iter().map(|token| candidate(token.name, token.role)).collect()
}

/// Roles that a token can have.
pub(crate) fn roles() -> Vec<CompletionCandidate> {
    model::Role::ALL.iter().map(|role| CompletionCandidate::new(role.name())).collect()
}

fn latest() -> Option<Vec<RunSummary>> {
    asked(async |client: &mut Client| {
        let request = ListRunsRequest { all: true, limit: RUNS_MAX, ..Default::default() };
        Some(client.rpc.list_runs(request).await.ok()?.into_inner().runs)
    })
}

/// What the node says, if it says it in time.
fn asked<T>(ask: impl AsyncFnOnce(&mut Client) -> Option<T>) -> Option<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
    let work = async {
        let mut client = Client::connect(&target()?).await.ok()?;
        ask(&mut client).await
    };
    let found = runtime.block_on(async { tokio::time::timeout(TIME, work).await.ok()? });
    runtime.shutdown_background();
    found
}

/// The node that the line names so far, else that of the environment.
fn target() -> Option<Target> {
    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        target: Target,
    }
    let words: Vec<_> = std::env::args().skip_while(|word| word != "--").skip(1).collect();
    let mut flags = own_flags(&words);
    for (variable, flag, short) in
        [("WINDLASS_NODE", "--node", "-N"), ("WINDLASS_CA", "--ca", "--ca")]
    {
        if let Ok(value) = std::env::var(variable)
            && !value.is_empty()
            && !flags.iter().any(|word| word == short || word.starts_with(flag))
        {
            flags.push(format!("{flag}={value}"));
        }
    }
    Some(Line::try_parse_from(flags).ok()?.target)
}

/// Only the flags that name a node and its token, from a line that may not be whole.
fn own_flags(words: &[String]) -> Vec<String> {
    let mut found = vec!["windlass".to_owned()];
    for pair in words.windows(2) {
        if matches!(pair[0].as_str(), "-N" | "--node" | "--token-file" | "--ca") {
            found.extend_from_slice(pair);
        }
    }
    let joined = |word: &&String| {
        ["--node=", "--token-file=", "--ca="].iter().any(|flag| word.starts_with(flag))
    };
    found.extend(words.iter().filter(joined).cloned());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_wait_until_something_is_there() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(at_empty_word(&words("windlass -- windlass status "), None));
        assert!(at_empty_word(&words("windlass -- windlass status"), Some(2)));
        assert!(!at_empty_word(&words("windlass -- windlass status -"), Some(2)));
        assert!(at_empty_word(&words("windlass -- windlass  status"), Some(1)));
        assert!(!at_empty_word(&words("windlass -- windlass st"), None));
    }

    #[test]
    fn the_node_of_an_unfinished_line_is_found() {
        let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(own_flags(&words("windlass -N a:1 cancel ")), ["windlass", "-N", "a:1"]);
        assert_eq!(own_flags(&words("windlass ps --node=a:1")), ["windlass", "--node=a:1"]);
        assert_eq!(own_flags(&words("windlass ps -N")), ["windlass"]);
    }
}
