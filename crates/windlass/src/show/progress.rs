//! How far a long wait has come: a bar on stderr, where a terminal looks on.
//!
//! It is drawn a few times a second at most, and leaves nothing behind.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Frames a second at most, so that a slow line is not filled with bars.
const FRAMES: u8 = 4;
/// How often the time beside a bar moves where nothing else does.
const TICK: Duration = Duration::from_secs(1);

/// A bar, once there is something to show.
pub(crate) struct Progress {
    terminal: bool,
    /// A bar that comes again after a question goes on from here.
    begun: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        Progress { terminal: std::io::stderr().is_terminal(), begun: Instant::now(), bar: None }
    }

    /// Whether anybody would see it.
    pub(crate) fn is_seen(&self) -> bool {
        self.terminal
    }

    /// Shows `3 of 100 ended`; one of one is a matter of time alone.
    pub(crate) fn update(&mut self, what: &str, done: u64, total: u64) {
        let Some(bar) = self.bar(counted(what, total)) else { return };
        bar.set_length(total);
        bar.set_position(done);
    }

    /// Shows how many bytes of how many, where that is known.
    pub(crate) fn bytes(&mut self, what: &str, done: u64, total: Option<u64>) {
        let Some(bar) = self.bar(sized(what, total)) else { return };
        if let Some(total) = total {
            bar.set_length(total);
        }
        bar.set_position(done);
    }

    /// Writes something else to the terminal, with the bar out of the way.
    pub(crate) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Leaves the line empty again.
    pub(crate) fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn bar(&mut self, template: String) -> Option<&ProgressBar> {
        if !self.terminal {
            return None;
        }
        Some(self.bar.get_or_insert_with(|| {
            let target = ProgressDrawTarget::stderr_with_hz(FRAMES);
            let bar = ProgressBar::with_draw_target(None, target);
            let bar = bar.with_elapsed(self.begun.elapsed());
            bar.set_style(style(&template));
            bar.enable_steady_tick(TICK);
            bar
        }))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn counted(what: &str, total: u64) -> String {
    match total {
        0 | 1 => "waiting, {elapsed}".to_owned(),
        _ => format!("{{bar:24}} {{pos}} of {{len}} {what}, {{elapsed}}"),
    }
}

fn sized(what: &str, total: Option<u64>) -> String {
    match total {
        Some(_) => format!("{{bar:24}} {{binary_bytes}} of {{binary_total_bytes}} {what}"),
        None => format!("{{binary_bytes}} {what}, {{elapsed}}"),
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template)
        .expect("the templates above are right")
        .progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_can_be_read() {
        for template in
            [counted("ended", 1), counted("ended", 7), sized("sent", None), sized("sent", Some(9))]
        {
            style(&template);
        }
    }

    #[test]
    fn without_a_terminal_there_is_no_bar() {
        let mut progress = Progress { terminal: false, begun: Instant::now(), bar: None };
        progress.update("ended", 1, 2);
        progress.bytes("sent", 1, None);
        assert!(progress.bar.is_none());
    }
}
