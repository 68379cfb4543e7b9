//! Instants and spans for people and programs; always UTC, for a cluster has many zones.

use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use model::instant::for_people_ms;
pub(crate) use model::instant::parse_ms as parse_utc_ms;

/// Unix time in milliseconds.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

/// How long ago, in one unit: `now`, `12s`, `5m`, `3h`, `2d`.
pub(crate) fn ago(now_ms: u64, then_ms: u64) -> String {
    match now_ms.saturating_sub(then_ms) / 1000 {
        0 => "now".to_owned(),
        s @ 1..60 => format!("{s}s"),
        s @ 60..3_600 => format!("{}m", s / 60),
        s @ 3_600..86_400 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit() {
        let ages = [0, 1, 59, 60, 3_599, 7_200, 200_000].map(|s| ago(s * 1000, 0));
        assert_eq!(ages, ["now", "1s", "59s", "1m", "59m", "2h", "2d"]);
    }
}
