//! Curves of letters, for people: what rises is seen sooner than it is read.

use std::fmt::Write as _;

use super::samples::{Column, Samples};

const WIDTH_MAX: usize = 72;
const HEIGHT: usize = 8;

/// The curves that matter, one below the other.
pub(super) fn all(samples: &Samples) -> String {
    let columns = [
        Column::DaemonMib,
        Column::SupervisorMib,
        Column::JournalMib,
        Column::HistoryMib,
        Column::OutputMib,
    ];
    columns.map(|column| curve(column.name(), &samples.of(column, 0.0, 1.0))).join("\n")
}

/// One curve from zero up to the highest point.
fn curve(name: &str, points: &[(f64, f64)]) -> String {
    let length = points.last().map_or(1.0, |point| point.0).max(1.0);
    let most = points.iter().map(|point| point.1).fold(f64::MIN_POSITIVE, f64::max);
    // No wider than there are points: a curve with gaps is hard to see.
    let width = points.len().clamp(1, WIDTH_MAX);
    let mut highest = vec![None::<f64>; width];
    for (at, figure) in points {
        let column = ((at / length * width as f64) as usize).min(width - 1);
        highest[column] = Some(highest[column].map_or(*figure, |other| other.max(*figure)));
    }
    let level = |figure: f64| ((figure / most * HEIGHT as f64).ceil() as usize).min(HEIGHT);
    let mut text = format!("{name}, up to {most:.1}, over {length:.0} s\n");
    for row in (1..=HEIGHT).rev() {
        let mark = |figure: &Option<f64>| match figure.map(level) {
            Some(height) if height == row => '*',
            Some(height) if height > row => '.',
            _ => ' ',
        };
        let line: String = highest.iter().map(mark).collect();
        writeln!(text, "  |{}", line.trim_end()).expect("text grows without fail");
    }
    writeln!(text, "  +{}", "-".repeat(width)).expect("text grows without fail");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rising_line_rises() {
        let points: Vec<_> = (0..WIDTH_MAX).map(|x| (x as f64, x as f64)).collect();
        let text = curve("memory", &points);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), HEIGHT + 2);
        assert!(lines[1].ends_with('*') && lines[1].len() > lines[HEIGHT].find('*').unwrap());
        assert!(curve("nothing", &[]).contains("nothing"));
    }
}
