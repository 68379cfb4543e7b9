//! `windlass help`: a command in full, or a topic, from the same pages that are read on the web.

use clap::Command;
use clap_complete::{ArgValueCandidates, CompletionCandidate};

use crate::failure::Failure;
use crate::show::{out, page};

/// Text that is read on a terminal is no wider.
const WIDTH: usize = 80;

/// A page that `help` knows by a word.
struct Topic {
    name: &'static str,
    about: &'static str,
    page: &'static str,
}

/// The names of all topics.
#[cfg(test)]
pub(crate) fn topic_names() -> impl Iterator<Item = &'static str> {
    TOPICS.iter().map(|topic| topic.name)
}

macro_rules! topic {
    ($name:literal, $about:literal, $page:literal) => {
        Topic {
            name: $name,
            about: $about,
            page: include_str!(concat!("../../../../docs/", $page)),
        }
    };
}

const TOPICS: &[Topic] = &[
    topic!("selectors", "how runs, elements and attempts are named", "reference/selectors.md"),
    topic!("states", "what becomes of a task, and why", "concepts/states.md"),
    topic!("placement", "which node a task runs on", "concepts/placement.md"),
    topic!("output", "where a task's output goes, and how it is shown", "reference/output.md"),
    topic!("environment", "what a task finds", "reference/environment.md"),
    topic!("tokens", "who may do what, and what is defended", "concepts/security.md"),
    topic!("configuration", "what can be set, and where", "reference/configuration.md"),
    topic!("rest", "all of it for programs, over HTTP and JSON", "reference/rest.md"),
    topic!("exit-codes", "what `windlass` exits with", "reference/exit-codes.md"),
    topic!("json", "what `--json` prints", "reference/json.md"),
];

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A command (`run`, `node ls`) or a topic (`selectors`)
    #[arg(value_name = "WORD", add = ArgValueCandidates::new(candidates))]
    words: Vec<String>,
}

/// `root` is the whole command line.
pub(crate) fn execute(args: &Args, mut root: Command) -> Result<u8, Failure> {
    root.build();
    if args.words.is_empty() {
        let help = root.render_help();
        out::data(format!("{help}\n{}", topics()))?;
        return Ok(0);
    }
    if let [word] = args.words.as_slice()
        && let Some(topic) = TOPICS.iter().find(|topic| topic.name == word)
    {
        out::data(page::text(topic.page, WIDTH))?;
        return Ok(0);
    }
    let mut command = &mut root;
    for word in &args.words {
        command = command.find_subcommand_mut(word).ok_or_else(|| {
            Failure::usage(format!("`{}` is no command and no topic", args.words.join(" ")))
                .hint("`windlass help` lists both")
        })?;
    }
    out::data(command.render_long_help().to_string())?;
    Ok(0)
}

fn candidates() -> Vec<CompletionCandidate> {
    TOPICS.iter().map(|topic| CompletionCandidate::new(topic.name)).collect()
}

fn topics() -> String {
    let width = TOPICS.iter().map(|topic| topic.name.len()).max().unwrap_or(0);
    let lines = TOPICS.iter().map(|topic| format!("  {:<width$}  {}\n", topic.name, topic.about));
    format!("Topics, each with `windlass help TOPIC`:\n{}", lines.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_fits_the_screen() {
        for topic in TOPICS {
            for line in page::text(topic.page, WIDTH).lines() {
                // Code is left as it is, and a word that is long cannot be folded.
                let whole =
                    line.starts_with("  ") || line.split_whitespace().any(|word| word.len() > 40);
                assert!(whole || line.chars().count() <= WIDTH, "{}: {line}", topic.name);
            }
        }
    }
}
