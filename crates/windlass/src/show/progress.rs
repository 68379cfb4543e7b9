//! How far a long wait has come: a bar on stderr, where a terminal looks on.
//!
//! It is drawn a few times a second at most, and leaves nothing behind.

mod line;

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use line::BarLine;

/// Between two frames, so that a slow line is not filled with bars.
const FRAME: Duration = Duration::from_millis(250);
/// How often the time beside a bar moves where nothing else does.
const TICK: Duration = Duration::from_secs(1);

/// A bar, once there is something to show.
pub(crate) struct Progress {
    terminal: bool,
    /// A bar that comes again after a question goes on from here.
    begun: Instant,
    bar: Option<ProgressBar>,
    drawn: Option<Instant>,
}

impl Progress {
    pub(crate) fn new() -> Progress {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Progress::on(std::io::stderr().is_terminal() && !dumb)
    }

    fn on(terminal: bool) -> Progress {
        Progress { terminal, begun: Instant::now(), bar: None, drawn: None }
    }

    /// Whether anybody would see it.
    pub(crate) fn is_seen(&self) -> bool {
        self.terminal
    }

    /// Shows `3 of 100 ended`; one of one is a matter of time alone.
    pub(crate) fn update(&mut self, what: &str, done: u64, total: u64) {
        self.draw(counted(what, total), done, Some(total));
    }

    /// Shows how many bytes of how many, where that is known.
    pub(crate) fn bytes(&mut self, what: &str, done: u64, total: Option<u64>) {
        self.draw(sized(what, total), done, total);
    }

    /// Writes something else to the terminal, with the bar out of the way.
    pub(crate) fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Leaves the line empty again; whether there was anything on it.
    pub(crate) fn clear(&mut self) -> bool {
        self.drawn = None;
        let bar = self.bar.take();
        bar.inspect(ProgressBar::finish_and_clear).is_some()
    }

    /// What comes too soon after a frame is shown with the next one, or when the time moves.
    fn draw(&mut self, template: String, done: u64, total: Option<u64>) {
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= FRAME);
        let Some(bar) = self.bar(template) else { return };
        // Beside a steady tick this draws nothing; what follows does.
        bar.set_position(done);
        if !due {
            return;
        }
        match total {
            Some(total) => bar.set_length(total),
            None => bar.unset_length(),
        }
        self.drawn = Some(Instant::now());
    }

    fn bar(&mut self, template: String) -> Option<&ProgressBar> {
        if !self.terminal {
            return None;
        }
        Some(self.bar.get_or_insert_with(|| {
            let target = ProgressDrawTarget::term_like(Box::new(BarLine::default()));
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
        let mut progress = Progress::on(false);
        progress.update("ended", 1, 2);
        progress.bytes("sent", 1, None);
        assert!(progress.bar.is_none() && !progress.clear());
    }
}
