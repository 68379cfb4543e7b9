//! Which runs and elements a caller wants.

use model::TaskState;
use node::Refused;
use node::query::RunFilter;
use proto::api;

use crate::refusal::invalid;

/// Labels of one filter; a job has no more.
const LABELS_MAX: usize = model::job::limits::LABELS_MAX;
/// States of one filter, each named once or several times.
const STATES_MAX: usize = 100;
/// Bytes of a filter in words; the rest is left out.
const WORDS_BYTES_MAX: usize = 1_000;

/// Which runs.
pub(crate) fn runs(filter: api::RunFilter) -> Result<RunFilter, Refused> {
    let text = |text: String| (!text.is_empty()).then_some(text);
    let time = |ms: u64| (ms > 0).then_some(ms);
    if filter.labels.len() > LABELS_MAX {
        return Err(invalid(format!("labels: at most {LABELS_MAX} are allowed")));
    }
    Ok(RunFilter {
        states: states(&filter.states)?.into_iter().collect(),
        name: text(filter.name),
        owner: text(filter.owner),
        labels: filter.labels.into_iter().map(|label| (label.name, label.value)).collect(),
        since_ms: time(filter.since_ms),
        until_ms: time(filter.until_ms),
        ended_before_ms: time(filter.ended_before_ms),
        exit_code: filter.exit_code,
        ..RunFilter::default()
    })
}

/// Which runs, in words, for the audit.
pub(crate) fn words(filter: &api::RunFilter) -> String {
    let list =
        |name: &str, all: &[String]| (!all.is_empty()).then(|| format!("{name} {}", all.join(",")));
    let text = |name: &str, one: &String| (!one.is_empty()).then(|| format!("{name} {one}"));
    let time = |name: &str, ms: u64| (ms > 0).then(|| format!("{name} {ms} ms"));
    let labels: Vec<String> =
        filter.labels.iter().map(|label| format!("{}={}", label.name, label.value)).collect();
    let words = [
        list("in state", &filter.states),
        text("named", &filter.name),
        text("of owner", &filter.owner),
        list("with labels", &labels),
        time("alive since", filter.since_ms),
        time("submitted until", filter.until_ms),
        time("ended before", filter.ended_before_ms),
        filter.exit_code.map(|code| format!("with exit code {code}")),
    ];
    let words: Vec<String> = words.into_iter().flatten().collect();
    let mut words = if words.is_empty() { "all".to_owned() } else { words.join(", ") };
    words.truncate(words.floor_char_boundary(WORDS_BYTES_MAX));
    words
}

/// Which states.
pub(crate) fn states(names: &[String]) -> Result<Vec<TaskState>, Refused> {
    if names.len() > STATES_MAX {
        return Err(invalid(format!("states: at most {STATES_MAX} are allowed")));
    }
    let state = |name: &String| {
        name.parse().map_err(|()| invalid(format!("states: `{name}` is no state such as `failed`")))
    };
    names.iter().map(state).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_wants_all() {
        assert_eq!(runs(api::RunFilter::default()).unwrap(), RunFilter::default());
        let unknown = api::RunFilter { states: vec!["asleep".into()], ..Default::default() };
        assert!(runs(unknown).is_err_and(|refused| refused.to_string().contains("asleep")));
    }
}
