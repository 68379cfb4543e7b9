//! The line on stderr that a bar is drawn on.
//!
//! The cursor must stay behind the last character of the bar, and not at the right edge, to which
//! indicatif would fill the line with blanks: there the `^C` that a terminal shows for Ctrl-C goes
//! to the next line, and what clears the bar clears that line instead.

use std::io::{self, Write};
use std::sync::Mutex;

use indicatif::TermLike;

/// Where the terminal does not say how large it is.
const COLUMNS: u16 = 80;
const ROWS: u16 = 24;
/// Clears from the cursor to the end of its line.
const CLEAR: &str = "\x1b[K";

/// Collects a frame and writes it at once.
#[derive(Debug, Default)]
pub(super) struct BarLine {
    frame: Mutex<Vec<u8>>,
}

impl BarLine {
    fn add(&self, text: &str) -> io::Result<()> {
        let mut frame = self.frame.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        frame.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn take(&self) -> Vec<u8> {
        let mut frame = self.frame.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        std::mem::take(&mut *frame)
    }

    /// An escape that moves the cursor; 0 would mean 1 to a terminal.
    fn steps(&self, n: usize, direction: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.add(&format!("\x1b[{n}{direction}")) }
    }
}

impl TermLike for BarLine {
    fn width(&self) -> u16 {
        size().map_or(COLUMNS, |(columns, _)| columns)
    }

    fn height(&self) -> u16 {
        size().map_or(ROWS, |(_, rows)| rows)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.steps(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.steps(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.steps(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.steps(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.add(text)?;
        self.add("\r\n")
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        // Blanks alone are the filling.
        if !text.is_empty() && text.bytes().all(|byte| byte == b' ') {
            return self.add(CLEAR);
        }
        self.add(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.add("\r")?;
        self.add(CLEAR)
    }

    fn flush(&self) -> io::Result<()> {
        let frame = self.take();
        let mut stderr = io::stderr().lock();
        stderr.write_all(&frame)?;
        stderr.flush()
    }
}

/// Columns and rows of the terminal.
fn size() -> Option<(u16, u16)> {
    let size = rustix::termios::tcgetwinsize(io::stderr()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cursor_stays_behind_the_bar() {
        let line = BarLine::default();
        line.move_cursor_up(0).unwrap();
        line.write_str("\r").unwrap();
        line.write_str("=>  1 of 9").unwrap();
        line.write_str("      ").unwrap();
        assert_eq!(String::from_utf8(line.take()).unwrap(), "\r=>  1 of 9\x1b[K");
        line.clear_line().unwrap();
        assert_eq!(String::from_utf8(line.take()).unwrap(), "\r\x1b[K");
    }
}
