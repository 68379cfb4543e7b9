//! What the kernel and the node said, every few seconds.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;

use super::tally::Tally;
use crate::node::Node;
use crate::proc;

/// Rows of the table; more than that many samples are thinned out.
const ROWS_MAX: usize = 36;

/// One column of figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Column {
    DaemonMib,
    SupervisorMib,
    DaemonFiles,
    SupervisorFiles,
    Threads,
    JournalMib,
    HistoryMib,
    OutputMib,
    OtherMib,
    Submitted,
    Left,
    Refused,
}

impl Column {
    pub(super) const ALL: [Column; 12] = {
        use Column::*;
        [
            DaemonMib,
            SupervisorMib,
            DaemonFiles,
            SupervisorFiles,
            Threads,
            JournalMib,
            HistoryMib,
            OutputMib,
            OtherMib,
            Submitted,
            Left,
            Refused,
        ]
    };

    pub(super) fn name(self) -> &'static str {
        match self {
            Column::DaemonMib => "daemon MiB",
            Column::SupervisorMib => "supervisor MiB",
            Column::DaemonFiles => "daemon fds",
            Column::SupervisorFiles => "supervisor fds",
            Column::Threads => "threads",
            Column::JournalMib => "journal MiB",
            Column::HistoryMib => "history MiB",
            Column::OutputMib => "output MiB",
            Column::OtherMib => "other MiB",
            Column::Submitted => "submitted",
            Column::Left => "left",
            Column::Refused => "refused",
        }
    }

    /// Whether whole numbers say enough.
    fn is_count(self) -> bool {
        !self.name().ends_with("MiB")
    }
}

/// All samples, with the second each was taken at.
#[derive(Default)]
pub(super) struct Samples {
    rows: Vec<(f64, [f64; Column::ALL.len()])>,
}

impl Samples {
    /// Takes one. What cannot be read at the moment, for a process is just gone, is no figure.
    pub(super) fn take(&mut self, node: &Node, at: Duration, tally: &Tally) -> Result<()> {
        let [daemon, _] = node.pids();
        let supervisor = supervisor(node);
        let of_supervisor =
            |read: &dyn Fn(u32) -> Result<f64>| supervisor.and_then(|pid| read(pid).ok());
        let files = |pid| proc::open_files(pid).map(|count| count as f64);
        let left = match node.load(&["drain", "--limit", "0s"]) {
            Ok(found) => {
                found["running"].as_f64().zip(found["queued"].as_f64()).map(|(r, q)| r + q)
            }
            Err(error) => {
                tally.complain(&error);
                None
            }
        };
        let bytes = |part: &str| proc::file_bytes(&node.data().join(part)).1 as f64;
        let parts = ["journal", "history", "output"].map(bytes);
        let other = (bytes("") - parts.iter().sum::<f64>()).max(0.0);
        let figure = |column| match column {
            Column::DaemonMib => proc::resident_mib(&[daemon]).ok(),
            Column::SupervisorMib => of_supervisor(&|pid| proc::resident_mib(&[pid])),
            Column::DaemonFiles => files(daemon).ok(),
            Column::SupervisorFiles => of_supervisor(&files),
            Column::Threads => proc::threads(daemon).ok(),
            Column::JournalMib => Some(mib(parts[0])),
            Column::HistoryMib => Some(mib(parts[1])),
            Column::OutputMib => Some(mib(parts[2])),
            Column::OtherMib => Some(mib(other)),
            Column::Submitted => Some(tally.submitted() as f64),
            Column::Left => left,
            Column::Refused => Some(tally.refused.load(Ordering::Relaxed) as f64),
        };
        let figures = Column::ALL.map(|column| figure(column).unwrap_or(f64::NAN));
        self.rows.push((at.as_secs_f64(), figures));
        Ok(())
    }

    /// The figures of a column between two shares of the time, with their seconds.
    pub(super) fn of(&self, column: Column, from: f64, to: f64) -> Vec<(f64, f64)> {
        let length = self.rows.last().map_or(0.0, |row| row.0);
        let inside = |at: f64| at >= from * length && at <= to * length;
        let position = Column::ALL.iter().position(|other| *other == column);
        let position = position.expect("every column is among all");
        let figures = self.rows.iter().map(|(at, figures)| (*at, figures[position]));
        figures.filter(|(at, figure)| inside(*at) && figure.is_finite()).collect()
    }

    /// The newest sample in one line.
    pub(super) fn last_line(&self) -> String {
        let Some((at, figures)) = self.rows.last() else { return String::new() };
        let cells = Column::ALL.iter().zip(figures);
        let cells =
            cells.map(|(column, figure)| format!("{} {}", column.name(), show(*column, *figure)));
        format!("{at:.0} s: {}", cells.collect::<Vec<_>>().join(", "))
    }

    /// All of them, thinned out, for people.
    pub(super) fn table(&self) -> String {
        let names = Column::ALL.map(Column::name);
        let mut lines = vec![format!("| {:>6} | {} |", "second", names.join(" | "))];
        let rule = names.map(|name| "-".repeat(name.len()));
        lines.push(format!("| {} | {} |", "-".repeat(6), rule.join(" | ")));
        let step = self.rows.len().div_ceil(ROWS_MAX).max(1);
        for (at, figures) in self.rows.iter().step_by(step) {
            let cells = Column::ALL.iter().zip(figures);
            let cells = cells.map(|(column, figure)| {
                format!("{:>1$}", show(*column, *figure), column.name().len())
            });
            lines.push(format!("| {at:>6.0} | {} |", cells.collect::<Vec<_>>().join(" | ")));
        }
        lines.join("\n")
    }
}

/// The supervisor of the node's data directory; after its death it is another process.
pub(super) fn supervisor(node: &Node) -> Option<u32> {
    let data = node.data();
    proc::find(&["__supervisor", &data.to_string_lossy()])
}

fn show(column: Column, figure: f64) -> String {
    match figure {
        none if none.is_nan() => "–".to_owned(),
        count if column.is_count() => format!("{count:.0}"),
        mib => format!("{mib:.1}"),
    }
}

fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

#[cfg(test)]
impl Samples {
    /// Made up for a test: one column from a function of the second, all others zero.
    pub(super) fn made_up(seconds: u32, column: Column, figure: impl Fn(f64) -> f64) -> Samples {
        let row = |second: u32| {
            let at = f64::from(second);
            (at, Column::ALL.map(|other| if other == column { figure(at) } else { 0.0 }))
        };
        Samples { rows: (0..=seconds).map(row).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_time_is_a_part_of_the_samples() {
        let samples = Samples::made_up(90, Column::DaemonMib, |at| at);
        let middle = samples.of(Column::DaemonMib, 1.0 / 3.0, 2.0 / 3.0);
        assert_eq!((middle[0], middle.len()), ((30.0, 30.0), 31));
        assert!(samples.of(Column::Left, 0.0, 1.0).iter().all(|(_, figure)| *figure == 0.0));
    }

    #[test]
    fn a_missing_figure_is_a_dash() {
        let samples = Samples::made_up(2, Column::SupervisorMib, |_| f64::NAN);
        assert!(samples.table().contains("–") && samples.last_line().contains("supervisor MiB –"));
        assert!(samples.of(Column::SupervisorMib, 0.0, 1.0).is_empty());
    }
}
