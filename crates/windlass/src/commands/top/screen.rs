//! The terminal: taken over, drawn on where something changed, and put back however we leave.

use std::io;

use ratatui::DefaultTerminal;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::render;
use super::state::State;
use crate::failure::Failure;
use crate::show::color;

/// The other screen of the terminal, until it is dropped; a panic puts the terminal back too.
pub(super) struct Screen {
    terminal: DefaultTerminal,
    shown: Option<Buffer>,
    colored: bool,
}

impl Screen {
    pub(super) fn open() -> Result<Screen, Failure> {
        let terminal = ratatui::try_init()
            .map_err(|error| Failure::new(format!("cannot use the terminal: {error}")))?;
        Ok(Screen { terminal, shown: None, colored: color::on_stdout() })
    }

    /// Draws what has changed; nothing is sent where nothing has.
    pub(super) fn draw(&mut self, state: &State) -> io::Result<()> {
        let area = Rect::from((ratatui::layout::Position::ORIGIN, self.terminal.size()?));
        let wanted = picture(state, area, self.colored);
        if self.shown.as_ref() == Some(&wanted) {
            return Ok(());
        }
        self.terminal.draw(|frame| {
            let area = frame.area();
            let picture = if area == wanted.area {
                wanted.clone()
            } else {
                picture(state, area, self.colored)
            };
            frame.buffer_mut().merge(&picture);
        })?;
        self.shown = Some(wanted);
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// The whole screen as it should be.
fn picture(state: &State, area: Rect, colored: bool) -> Buffer {
    let mut buffer = Buffer::empty(area);
    render::render(state, area, &mut buffer);
    if !colored {
        for cell in &mut buffer.content {
            cell.fg = ratatui::style::Color::Reset;
        }
    }
    buffer
}
