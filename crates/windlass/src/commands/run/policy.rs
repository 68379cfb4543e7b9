//! Which node an element gets, what becomes of it when it fails, waits or takes too long, and how
//! long its run is kept: the flags of `run` that say so.

use model::job::{Conditions, Keep, MaxFailed, Retention, Retries};
use model::{Placement, TaskSpec, Warn, WhenFull, text};

#[derive(clap::Args, Debug)]
pub(super) struct PolicyArgs {
    /// Stop an attempt that runs longer: `90s`, `1h30m`
    #[arg(long, value_name = "TIME", value_parser = text::parse_duration_ms)]
    #[arg(allow_negative_numbers = true)]
    timeout: Option<u64>,
    /// From SIGTERM to SIGKILL when it is stopped (30s)
    #[arg(long, value_name = "TIME", value_parser = text::parse_duration_ms)]
    #[arg(allow_negative_numbers = true)]
    grace: Option<u64>,
    /// Send SIGNAL so long before `--timeout` ends it: `USR1:30s`
    #[arg(long, value_name = "SIGNAL:TIME", value_parser = warn, requires = "timeout")]
    #[arg(hide_short_help = true)]
    warn: Option<Warn>,
    /// Give an element up that waits longer for its first node
    #[arg(long, value_name = "TIME", value_parser = text::parse_duration_ms)]
    #[arg(allow_negative_numbers = true, hide_short_help = true)]
    pending_timeout: Option<u64>,
    /// Give an attempt up whose program takes longer to start
    #[arg(long, value_name = "TIME", value_parser = text::parse_duration_ms)]
    #[arg(allow_negative_numbers = true, hide_short_help = true)]
    start_timeout: Option<u64>,
    /// End an element that takes longer, from its submission with all attempts
    #[arg(long, value_name = "TIME", value_parser = text::parse_duration_ms)]
    #[arg(allow_negative_numbers = true, hide_short_help = true)]
    total_timeout: Option<u64>,
    /// Try an element that failed up to N more times
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1000))]
    retries: Option<u32>,
    /// Wait so long between tries: BASE[,FACTOR[,MAX[,JITTER%]]] (10s,2,5m,25%)
    #[arg(long, value_name = "BASE,…", value_parser = backoff, requires = "retries")]
    #[arg(hide_short_help = true)]
    retry_backoff: Option<Backoff>,
    /// Try again only after these: `75,SIGKILL,timeout` (also `exit`, `signal`, `start`)
    #[arg(long, value_name = "LIST", value_parser = Conditions::parse, requires = "retries")]
    #[arg(hide_short_help = true)]
    retry_on: Option<Conditions>,
    /// Never try again after these, whatever `--retry-on` says
    #[arg(long, value_name = "LIST", value_parser = Conditions::parse, requires = "retries")]
    #[arg(hide_short_help = true)]
    no_retry_on: Option<Conditions>,
    /// End the rest once more elements than N, or N% of them, have failed
    #[arg(long, value_name = "N|N%", value_parser = MaxFailed::parse)]
    #[arg(allow_negative_numbers = true)]
    max_failed: Option<MaxFailed>,
    /// How often an element may lose its node before it ends (5)
    #[arg(long, value_name = "N", allow_negative_numbers = true, hide_short_help = true)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=1000))]
    losses_max: Option<u32>,
    /// Choose nodes by `pull` (default), `spread[,headroom=25%]`, `pack`, `round_robin` or `random`
    #[arg(long, value_name = "POLICY", value_parser = Placement::parse, hide_short_help = true)]
    placement: Option<Placement>,
    /// When no node has room: `wait` (default), or `fail`, which ends it as `dead`
    #[arg(long, value_name = "WHAT", default_value = "wait", hide_default_value = true)]
    #[arg(hide_possible_values = true, hide_short_help = true)]
    when_full: WhenFullArg,
    /// Keep the run in history for DAYS, or as one of the latest RUNS of its name: `30,1000`
    #[arg(long, value_name = "DAYS,RUNS", value_parser = keep, hide_short_help = true)]
    keep: Option<Keep>,
    /// As `--keep`, where it does not succeed
    #[arg(long, value_name = "DAYS,RUNS", value_parser = keep, requires = "keep")]
    #[arg(hide_short_help = true)]
    keep_failed: Option<Keep>,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum WhenFullArg {
    Wait,
    Fail,
}

impl PolicyArgs {
    pub(super) fn fill(&self, task: &mut TaskSpec) {
        task.timeout_ms = self.timeout.unwrap_or(0);
        task.grace_ms = self.grace.unwrap_or(task.grace_ms);
        task.warn = self.warn;
        task.pending_timeout_ms = self.pending_timeout.unwrap_or(0);
        task.start_timeout_ms = self.start_timeout.unwrap_or(0);
        task.total_timeout_ms = self.total_timeout.unwrap_or(0);
        task.max_failed = self.max_failed;
        task.losses_max = self.losses_max.unwrap_or(task.losses_max);
        task.placement = Placement {
            when_full: match self.when_full {
                WhenFullArg::Wait => WhenFull::Wait,
                WhenFullArg::Fail => WhenFull::Fail,
            },
            ..self.placement.unwrap_or_default()
        };
        let backoff = self.retry_backoff.unwrap_or_default();
        task.retries = Retries {
            attempts: self.retries.unwrap_or(0),
            base_ms: backoff.base_ms,
            factor_milli: backoff.factor_milli,
            max_ms: backoff.max_ms,
            jitter_percent: backoff.jitter_percent,
            on: self.retry_on.clone().unwrap_or_default(),
            not_on: self.no_retry_on.clone().unwrap_or_default(),
        };
    }

    pub(super) fn retention(&self) -> Option<Retention> {
        let success = self.keep?;
        Some(Retention { success, failure: self.keep_failed.unwrap_or(success) })
    }
}

/// The times of [`Retries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Backoff {
    base_ms: u64,
    factor_milli: u32,
    max_ms: u64,
    jitter_percent: u32,
}

impl Default for Backoff {
    fn default() -> Backoff {
        let Retries { base_ms, factor_milli, max_ms, jitter_percent, .. } = Retries::default();
        Backoff { base_ms, factor_milli, max_ms, jitter_percent }
    }
}

/// Reads `10s`, `10s,2`, `10s,1.5,5m` or `10s,2,5m,0%`.
fn backoff(text: &str) -> Result<Backoff, String> {
    let mut backoff = Backoff::default();
    let mut parts = text.split(',').map(str::trim);
    let time = |part: &str| text::parse_duration_ms(part).map_err(|error| error.to_string());
    backoff.base_ms = time(parts.next().unwrap_or_default())?;
    // A first wait beyond the longest would never be had.
    backoff.max_ms = backoff.max_ms.max(backoff.base_ms);
    if let Some(part) = parts.next() {
        let milli = text::parse_cpus(part).ok().and_then(|milli| u32::try_from(milli).ok());
        backoff.factor_milli =
            milli.ok_or_else(|| format!("`{part}` is no factor such as `2` or `1.5`"))?;
    }
    if let Some(part) = parts.next() {
        backoff.max_ms = time(part)?;
    }
    if let Some(part) = parts.next() {
        let percent = part.strip_suffix('%').and_then(|number| number.parse().ok());
        backoff.jitter_percent = percent
            .filter(|percent| *percent <= 100)
            .ok_or_else(|| format!("`{part}` is no share such as `25%`"))?;
    }
    match parts.next() {
        None => Ok(backoff),
        Some(_) => Err("give at most BASE,FACTOR,MAX,JITTER% such as `10s,2,5m,25%`".to_owned()),
    }
}

/// Reads `USR1:30s`.
fn warn(text: &str) -> Result<Warn, String> {
    let fault = || format!("`{text}` is no warning: give SIGNAL:TIME such as `USR1:30s`");
    let (signal, before) = text.split_once(':').ok_or_else(fault)?;
    let number = signal.parse().ok().filter(|number| (1..=64).contains(number));
    let signal = number.or_else(|| text::parse_signal(signal)).ok_or_else(fault)?;
    let before_ms = text::parse_duration_ms(before).map_err(|error| error.to_string())?;
    Ok(Warn { signal: signal.into(), before_ms })
}

/// Reads `30,1000`.
pub(crate) fn keep(text: &str) -> Result<Keep, String> {
    let fault = || format!("`{text}` is not DAYS,RUNS such as `30,1000`");
    let (days, runs) = text.split_once(',').ok_or_else(fault)?;
    let number = |text: &str| text.trim().parse().map_err(|_| fault());
    Ok(Keep { days: number(days)?, runs: number(runs)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_read_from_the_front() {
        let usual = Backoff::default();
        let check = |text: &str, expected: Option<Backoff>| {
            assert_eq!(backoff(text).ok(), expected, "{text}");
        };
        check("1s", Some(Backoff { base_ms: 1_000, ..usual }));
        check("10m", Some(Backoff { base_ms: 600_000, max_ms: 600_000, ..usual }));
        check("1s,1.5", Some(Backoff { base_ms: 1_000, factor_milli: 1_500, ..usual }));
        let whole = Backoff { base_ms: 0, factor_milli: 3_000, max_ms: 2_000, jitter_percent: 0 };
        check("0s, 3, 2s, 0%", Some(whole));
        for bad in ["", "x", "1s,x", "1s,2,x", "1s,2,3s,101%", "1s,2,3s,5", "1s,2,3s,5%,6"] {
            check(bad, None);
        }
    }

    #[test]
    fn a_warning_names_a_signal() {
        assert_eq!(warn("USR1:30s"), Ok(Warn { signal: 10, before_ms: 30_000 }));
        assert_eq!(warn("SIGINT:500ms"), Ok(Warn { signal: 2, before_ms: 500 }));
        assert_eq!(warn("12:1s").map(|warn| warn.signal), Ok(12));
        for bad in ["USR1", "USR9:1s", "0:1s", "65:1s", "USR1:x"] {
            assert!(warn(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_kept_is_days_and_runs() {
        assert_eq!(keep("7, 10"), Ok(Keep { days: 7, runs: 10 }));
        assert!(keep("7").is_err() && keep("a,b").is_err());
    }
}
