//! How people point at runs, tasks, elements and attempts: `812`, `812/crunch[3,7-9]#2`, `last`.

use std::fmt;

use uuid::Uuid;

use crate::ids::{Element, RunId};
use crate::ranges::RangeSet;

/// What is pointed at, before anybody has looked it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selector {
    /// The run.
    pub run: RunSelector,
    /// One task of it; all where `None`.
    pub task: Option<TaskSelector>,
    /// Some indices; all where `None`.
    pub indices: Option<RangeSet>,
    /// One attempt of each; all where `None`.
    pub attempt: Option<u32>,
}

/// How the run is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunSelector {
    /// By its number.
    Id(RunId),
    /// The latest one of the caller.
    Last,
    /// The latest one of the job of this name.
    Name(String),
}

/// How the task is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskSelector {
    /// By its name in the job.
    Name(String),
    /// By its position in the job; only a UUID says it so.
    Position(u32),
}

/// A text that points at nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no id: expected a run number (`812`), a task (`812/crunch`), elements (`812/crunch[3,7-9]`), an attempt (`812#2`), `last`, a job's name, or an element's UUID"
)]
pub struct NotASelector(pub String);

impl Selector {
    /// All of one run.
    pub fn run(run: RunId) -> Selector {
        Selector { run: RunSelector::Id(run), task: None, indices: None, attempt: None }
    }

    /// Reads a selector.
    pub fn parse(text: &str) -> Result<Selector, NotASelector> {
        parse(text).ok_or_else(|| NotASelector(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Selector> {
    let (rest, attempt) = match text.split_once('#') {
        Some((rest, number)) => (rest, Some(number.parse().ok().filter(|n| *n > 0)?)),
        None => (text, None),
    };
    if let Ok(uuid) = rest.parse::<Uuid>() {
        let element = Element::from_uuid(uuid)?;
        return Some(Selector {
            run: RunSelector::Id(element.run),
            task: Some(TaskSelector::Position(element.task)),
            indices: Some(RangeSet::from_iter([element.index])),
            attempt,
        });
    }
    let (rest, indices) = match rest.strip_suffix(']') {
        Some(rest) => {
            let (rest, list) = rest.split_once('[')?;
            (rest, Some(parse_indices(list)?))
        }
        None => (rest, None),
    };
    let (run, task) = match rest.split_once('/') {
        Some((run, task)) => (run, Some(TaskSelector::Name(name(task)?))),
        None => (rest, None),
    };
    let run = match run {
        "last" => RunSelector::Last,
        number if number.starts_with(|c: char| c.is_ascii_digit()) => {
            RunSelector::Id(RunId(number.parse().ok()?))
        }
        other => RunSelector::Name(name(other)?),
    };
    Some(Selector { run, task, indices, attempt })
}

fn name(text: &str) -> Option<String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (!text.is_empty() && text.chars().all(plain)).then(|| text.to_owned())
}

fn parse_indices(list: &str) -> Option<RangeSet> {
    let mut set = RangeSet::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        if first > last {
            return None;
        }
        set.insert_range(first..=last);
    }
    Some(set)
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.run {
            RunSelector::Id(run) => write!(f, "{run}")?,
            RunSelector::Last => write!(f, "last")?,
            RunSelector::Name(name) => write!(f, "{name}")?,
        }
        match &self.task {
            Some(TaskSelector::Name(name)) => write!(f, "/{name}")?,
            Some(TaskSelector::Position(position)) => write!(f, "/{position}")?,
            None => {}
        }
        if let Some(indices) = &self.indices {
            write!(f, "[{indices}]")?;
        }
        match self.attempt {
            Some(attempt) => write!(f, "#{attempt}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selector_is_read_and_written_alike() {
        for text in [
            "812",
            "812/crunch",
            "812/crunch[3,7-9]",
            "812/crunch[3]#2",
            "last",
            "nightly#1",
            "7[1-5]",
        ] {
            assert_eq!(Selector::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_elements_uuid_selects_it() {
        let element = Element { run: RunId(812), task: 1, index: 37 };
        let selector = Selector::parse(&element.uuid().to_string()).unwrap();
        assert_eq!(selector.to_string(), "812/1[37]");
        let selector = Selector::parse(&format!("{}#2", element.uuid())).unwrap();
        assert_eq!(selector.attempt, Some(2));
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "812/", "812[", "812[9-3]", "812#0", "8x12", "a b", "812/x[]"] {
            assert!(Selector::parse(text).is_err(), "{text}");
        }
    }
}
