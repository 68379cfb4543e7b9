//! The last lines of a task's output, as they come.

use std::collections::{BTreeMap, VecDeque};

use proto::api::OutputChunk;

use crate::show::table::{cut, plain};

/// Lines that are kept; what is older is read with `windlass logs`.
const LINES_MAX: usize = 2_000;
/// Characters of a line that are kept.
const LINE_MAX: usize = 1_000;
/// Unfinished lines at one time; of more the oldest element's is shown as it is.
const OPEN_MAX: usize = 256;

/// Lines, oldest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Lines {
    whole: VecDeque<String>,
    /// By task, index, attempt and stream.
    open: BTreeMap<(u32, u32, u32, u32), String>,
}

impl Lines {
    pub(super) fn add(&mut self, chunk: &OutputChunk) {
        let key = (chunk.task, chunk.index, chunk.attempt, chunk.stream);
        let prefix = match (chunk.many, chunk.task_name.as_str()) {
            (false, _) => String::new(),
            (true, "" | "main") => format!("[{}] ", chunk.index),
            (true, task) => format!("[{task} {}] ", chunk.index),
        };
        for piece in String::from_utf8_lossy(&chunk.data).split_inclusive('\n') {
            let line = self.open.entry(key).or_insert_with(|| prefix.clone());
            line.push_str(piece);
            if piece.ends_with('\n') || line.len() > LINE_MAX {
                self.close(key);
            }
        }
        if self.open.len() > OPEN_MAX
            && let Some(key) = self.open.keys().next().copied()
        {
            self.close(key);
        }
    }

    fn close(&mut self, key: (u32, u32, u32, u32)) {
        let line = self.open.remove(&key).unwrap_or_default();
        self.whole.push_back(plain(cut(line.trim_end_matches(['\n', '\r']), LINE_MAX).as_str()));
        if self.whole.len() > LINES_MAX {
            self.whole.pop_front();
        }
    }

    pub(super) fn len(&self) -> usize {
        self.whole.len() + self.open.len()
    }

    /// `height` lines, of which the last is `back` lines before the end.
    pub(super) fn window(&self, height: usize, back: usize) -> Vec<String> {
        let end = self.len().saturating_sub(back);
        let all = self.whole.iter().cloned().chain(self.open.values().map(|line| plain(line)));
        all.take(end).skip(end.saturating_sub(height)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(index: u32, data: &str) -> OutputChunk {
        OutputChunk { index, data: data.into(), many: index > 0, ..Default::default() }
    }

    #[test]
    fn lines_are_put_together_and_cannot_steer_the_terminal() {
        let mut lines = Lines::default();
        lines.add(&chunk(1, "a\nb"));
        lines.add(&chunk(2, "x\x1b[2J\n"));
        lines.add(&chunk(1, "c\n"));
        lines.add(&chunk(2, "open"));
        assert_eq!(lines.window(9, 0), ["[1] a", "[2] x [2J", "[1] bc", "[2] open"]);
        assert_eq!(lines.window(2, 1), ["[2] x [2J", "[1] bc"]);
    }

    #[test]
    fn old_lines_go() {
        let mut lines = Lines::default();
        lines.add(&chunk(0, &"x\n".repeat(LINES_MAX + 7)));
        assert_eq!(lines.len(), LINES_MAX);
        lines.add(&chunk(0, &"y".repeat(LINE_MAX * 3)));
        assert!(lines.window(1, 0)[0].chars().count() <= LINE_MAX);
    }
}
