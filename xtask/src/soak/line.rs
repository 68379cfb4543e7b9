//! The straight line through points that has the least squares of errors.

/// `y = at_start + slope · x`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    slope: f64,
    mean: (f64, f64),
}

impl Line {
    /// The line through the points; flat where there are too few to tell.
    pub(super) fn through(points: &[(f64, f64)]) -> Line {
        let count = points.len().max(1) as f64;
        let sum = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
        let mean = (sum(|p| p.0), sum(|p| p.1));
        let spread: f64 = points.iter().map(|p| (p.0 - mean.0).powi(2)).sum();
        let common: f64 = points.iter().map(|p| (p.0 - mean.0) * (p.1 - mean.1)).sum();
        Line { slope: if spread > 0.0 { common / spread } else { 0.0 }, mean }
    }

    /// How much it rises over that much of `x`.
    pub(super) fn rise(&self, over: f64) -> f64 {
        self.slope * over
    }

    /// Its height in the middle of the points.
    pub(super) fn middle(&self) -> f64 {
        self.mean.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_through_its_points() {
        let points: Vec<_> = (0..10).map(|x| (f64::from(x), 3.0 + 2.0 * f64::from(x))).collect();
        let line = Line::through(&points);
        assert!((line.rise(1.0) - 2.0).abs() < 1e-9 && (line.middle() - 12.0).abs() < 1e-9);
        assert_eq!(Line::through(&[]).rise(5.0), 0.0);
        assert_eq!(Line::through(&[(1.0, 4.0)]).middle(), 4.0);
    }
}
