//! Which runs are meant: the flags that `ps` and `purge` share.

use proto::api::RunFilter;
use proto::job::Variable;

use crate::show::time;

#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "Which runs")]
pub(crate) struct FilterArgs {
    /// In one of these states: `failed,timed_out`
    #[arg(long = "state", value_name = "STATES", value_delimiter = ',', value_parser = state)]
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::states))]
    states: Vec<String>,
    /// Of the job NAME
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::names))]
    name: String,
    /// Of the owner NAME
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::owners))]
    owner: String,
    /// With this label, and all others that are given
    #[arg(long = "label", value_name = "KEY=VALUE", value_parser = label)]
    #[arg(add = clap_complete::ArgValueCandidates::new(crate::complete::labels))]
    labels: Vec<(String, String)>,
    /// That lived since then: `2h`, `2026-11-20`, `2026-11-20T16:50`, in UTC
    #[arg(long, value_name = "WHEN", value_parser = when)]
    since: Option<u64>,
    /// Submitted by then
    #[arg(long, value_name = "WHEN", value_parser = when)]
    until: Option<u64>,
    /// Ended with this code
    #[arg(long, value_name = "N", value_parser = exit_code, allow_negative_numbers = true)]
    exit_code: Option<i32>,
}

impl FilterArgs {
    /// Whether it wants every run.
    pub(crate) fn is_empty(&self) -> bool {
        self.filter() == RunFilter::default()
    }

    /// Whether only runs that have ended can be meant, or times they may have ended in.
    pub(crate) fn looks_back(&self) -> bool {
        let ended = |state: &String| state.parse::<model::TaskState>().is_ok_and(|s| s.is_final());
        self.states.iter().any(ended)
            || self.exit_code.is_some()
            || self.since.is_some()
            || self.until.is_some()
    }

    pub(crate) fn filter(&self) -> RunFilter {
        let labels = self.labels.iter();
        RunFilter {
            states: self.states.clone(),
            name: self.name.clone(),
            owner: self.owner.clone(),
            labels: labels
                .map(|(name, value)| Variable { name: name.clone(), value: value.clone() })
                .collect(),
            since_ms: self.since.unwrap_or(0),
            until_ms: self.until.unwrap_or(0),
            exit_code: self.exit_code,
            ended_before_ms: 0,
        }
    }
}

/// The name of a state.
pub(crate) fn state(text: &str) -> Result<String, String> {
    let known = text.parse::<model::TaskState>();
    known.map(|state| state.name().to_owned()).map_err(|()| {
        format!(
            "`{text}` is no state: queued, scheduled, running, stopping, unknown, succeeded, failed, timed_out, canceled, lost or dead"
        )
    })
}

/// A label, written KEY=VALUE.
pub(crate) fn label(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a label is written KEY=VALUE".to_owned()),
    }
}

/// A time, or how long ago it was.
pub(crate) fn when(text: &str) -> Result<u64, String> {
    if let Some(ms) = time::parse_utc_ms(text) {
        return Ok(ms);
    }
    match model::text::parse_duration_ms(text) {
        Ok(age) => Ok(time::now_ms().saturating_sub(age).max(1)),
        Err(_) => Err(format!(
            "`{text}` is no time: give how long ago (`90s`, `2h`, `30d`) or when in UTC (`2026-11-20`, `2026-11-20T16:50`)"
        )),
    }
}

fn exit_code(text: &str) -> Result<i32, String> {
    text.parse().map_err(|_| format!("`{text}` is no exit code such as `0` or `137`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_given_in_two_ways() {
        assert_eq!(when("1970-01-02"), Ok(86_400_000));
        let ago = time::now_ms() - when("30d").unwrap();
        assert!((30 * 86_400_000..30 * 86_400_000 + 60_000).contains(&ago), "{ago}");
        for bad in ["", "yesterday", "2026-13-01", "2026-11-20 16:50", "-1d"] {
            assert!(when(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn looking_back_needs_history() {
        let states = |names: &[&str]| FilterArgs {
            states: names.iter().map(|name| (*name).to_owned()).collect(),
            ..FilterArgs::default()
        };
        assert!(!states(&["running", "queued"]).looks_back() && states(&["failed"]).looks_back());
        assert!(FilterArgs::default().is_empty() && !states(&["failed"]).is_empty());
    }
}
