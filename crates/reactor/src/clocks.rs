//! Whether a node's wall clock can be trusted with the cluster's time: what the voters' clocks say
//! together.
//!
//! Each voter stamps the entries of the journal while it leads, and deadlines, expiries and schedules
//! follow from the stamps. One clock among three can be told to be wrong; of two nobody knows which.

/// So far may a clock be from the median of the voters', in milliseconds.
pub const OFF_MAX_MS: u64 = 5_000;
/// Of fewer clocks none can be told to be wrong.
const CLOCKS_MIN: usize = 3;

/// The median of clocks, each told by how far it is ahead of one and the same; `None`: they are too
/// few. Of an even number, it lies between the two in the middle.
pub fn median_ms(ahead_ms: &[i64]) -> Option<i64> {
    if ahead_ms.len() < CLOCKS_MIN {
        return None;
    }
    let mut sorted = ahead_ms.to_vec();
    sorted.sort_unstable();
    let upper = sorted[sorted.len() / 2];
    let lower = sorted[(sorted.len() - 1) / 2];
    Some(lower.midpoint(upper))
}

/// Whether a clock that is so far ahead of the median, or behind it, is wrong.
pub fn is_wrong(ahead_ms: i64) -> bool {
    ahead_ms.unsigned_abs() > OFF_MAX_MS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_wrong_clock_moves_the_median_by_nothing() {
        for wrong in [-3_600_000, 3_600_000, i64::MAX] {
            assert_eq!(median_ms(&[0, 20, wrong]).map(|ms| (0..=20).contains(&ms)), Some(true));
        }
        let from_the_wrong_one = median_ms(&[0, -60_000, -60_010]).unwrap();
        assert!(is_wrong(-from_the_wrong_one));
        assert!(!is_wrong(5_000) && is_wrong(5_001) && is_wrong(-5_001));
    }

    #[test]
    fn of_two_clocks_none_is_wrong() {
        assert_eq!(median_ms(&[0, 60_000]), None);
        assert_eq!(median_ms(&[]), None);
        assert_eq!(median_ms(&[0, 10, 20, 30]), Some(15));
    }
}
