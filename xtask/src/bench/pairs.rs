//! Running in turn, and the middle of what was seen.
//!
//! A machine gets warm, and others work on it: what runs in turn meets the same weather.

use std::time::{Duration, Instant};

use anyhow::Result;

/// One of those who run in turn.
pub(super) struct Contender<'a> {
    pub(super) name: String,
    pub(super) run: Box<dyn FnMut() -> Result<()> + 'a>,
}

impl<'a> Contender<'a> {
    pub(super) fn new(name: impl Into<String>, run: impl FnMut() -> Result<()> + 'a) -> Self {
        Self { name: name.into(), run: Box::new(run) }
    }
}

/// Runs all contenders in turn, as many rounds as asked; gives the seconds of each contender, round by round.
pub(super) fn in_turn(rounds: usize, contenders: &mut [Contender<'_>]) -> Result<Vec<Vec<f64>>> {
    let mut seconds = vec![Vec::with_capacity(rounds); contenders.len()];
    for _ in 0..rounds {
        for (contender, seconds) in contenders.iter_mut().zip(&mut seconds) {
            let start = Instant::now();
            (contender.run)()?;
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    Ok(seconds)
}

/// The middle of the ratios, round by round. Above 1: the first is faster.
pub(super) fn ratio(first: &[f64], other: &[f64]) -> f64 {
    let ratios: Vec<f64> = first.iter().zip(other).map(|(first, other)| other / first).collect();
    median(&ratios)
}

pub(super) fn median(figures: &[f64]) -> f64 {
    let sorted = sorted(figures);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The smallest figure that at least this share of all figures does not exceed.
pub(super) fn percentile(figures: &[f64], share: f64) -> f64 {
    let sorted = sorted(figures);
    let rank = (sorted.len() as f64 * share).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

/// Seconds for people.
pub(super) fn show(seconds: f64) -> String {
    let duration = Duration::from_secs_f64(seconds.max(0.0));
    if duration < Duration::from_secs(1) {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

fn sorted(figures: &[f64]) -> Vec<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn contenders_run_in_turn() {
        let order = RefCell::new(String::new());
        let say = |word: &'static str| {
            let order = &order;
            Contender::new(word, move || {
                order.borrow_mut().push_str(word);
                Ok(())
            })
        };
        let seconds = in_turn(3, &mut [say("a"), say("b")]).unwrap();
        assert_eq!(*order.borrow(), "ababab");
        assert_eq!(seconds.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3]);
    }

    #[test]
    fn the_middle_is_the_middle() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(ratio(&[2.0, 4.0, 1.0], &[1.0, 1.0, 9.0]), 0.5);
    }

    #[test]
    fn percentiles_are_figures_that_were_seen() {
        let figures: Vec<f64> = (1..=300).map(f64::from).collect();
        assert_eq!(percentile(&figures, 0.50), 150.0);
        assert_eq!(percentile(&figures, 0.99), 297.0);
        assert_eq!(percentile(&figures[..1], 0.99), 1.0);
    }

    #[test]
    fn seconds_are_shown_for_people() {
        assert_eq!(show(0.0123), "12.30 ms");
        assert_eq!(show(2.5), "2.50 s");
    }
}
