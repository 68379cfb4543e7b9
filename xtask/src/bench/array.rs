//! Many short tasks: an array of `/bin/true`, durable and with its output captured.

use std::path::Path;

use anyhow::Result;

use super::pairs::{self, Contender};
use super::table::Row;
use super::{bare, run_well};
use crate::node::Node;

const COUNT: u32 = 10_000;

/// What Windlass has to reach of each contender's pace; none where it is only shown beside.
const CONTAINED_MIN: Option<f64> = Some(0.85);
const PLAIN_MIN: Option<f64> = Some(0.60);

/// Runs the array in turn with the bare loops.
pub(super) fn rows(node: &Node, bare_loop: Option<&Path>, rounds: usize) -> Result<Vec<Row>> {
    let range = format!("1-{COUNT}");
    let submit = || node.run(&["run", "--array", &range, "--", "/bin/true"]);
    let mut contenders = vec![Contender::new("windlass", submit)];
    let mut targets = Vec::new();
    if let Some(program) = bare_loop {
        let run = move || {
            run_well(
                &mut bare::contained(program, COUNT),
                "the bare loop with pipes and containment",
            )
        };
        contenders.push(Contender::new("loop, same pipes and containment", run));
        targets.push(CONTAINED_MIN);
    }
    let plain = || run_well(&mut bare::plain(COUNT)?, "the plain loop");
    contenders.push(Contender::new("plain loop, 2 threads", plain));
    contenders.push(Contender::new("xargs -P2", || run_well(&mut bare::xargs(COUNT), "xargs")));
    targets.extend([PLAIN_MIN, None]);

    let seconds = pairs::in_turn(rounds, &mut contenders)?;
    let others = contenders[1..].iter().zip(&seconds[1..]).zip(targets);
    Ok(others
        .map(|((other, theirs), target)| row(&seconds[0], &other.name, theirs, target))
        .collect())
}

fn row(ours: &[f64], name: &str, theirs: &[f64], least: Option<f64>) -> Row {
    let ratio = pairs::ratio(ours, theirs);
    let middle = pairs::median(ours);
    let target = least.map(|least| format!("at least {least:.2}")).unwrap_or_default();
    let shown = format!("{} ({:.0}/s)", pairs::show(middle), f64::from(COUNT) / middle);
    let row = Row::new(format!("{COUNT} × /bin/true"), shown)
        .beside(format!("{} ({name})", pairs::show(pairs::median(theirs))))
        .target(target, least.map(|least| ratio >= least));
    Row { ratio: Some(ratio), ..row }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_compares_the_pace() {
        let row = row(&[2.0, 2.0, 2.0], "loop", &[1.0, 1.3, 1.2], PLAIN_MIN);
        assert_eq!((row.ratio, row.met), (Some(0.6), Some(true)));
        assert_eq!(
            (row.windlass.as_str(), row.beside.as_str()),
            ("2.00 s (5000/s)", "1.20 s (loop)")
        );
    }
}
