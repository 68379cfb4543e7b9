//! The terminal: taken over, drawn on where something changed, and put back however we leave.

use std::io;

use ratatui::DefaultTerminal;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::render;
use super::state::State;
use crate::failure::Failure;
use crate::show::color;

/// What a process of Rust exits with after a panic.
const PANICKED: i32 = 101;

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
        end_with_any_panic();
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

/// A panic gives the terminal back wherever it is: also in the thread of keys or in what asks the
/// node, beside which the rest would go on and draw over what is not ours any more.
fn end_with_any_panic() {
    let told = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        told(panic);
        std::process::exit(PANICKED);
    }));
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

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::process::Command;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

    use super::*;

    /// Set where this test is the process in the terminal.
    const INSIDE: &str = "WINDLASS_TEST_PANIC";
    const OWN_SCREEN: &str = "\x1b[?1049l";

    /// The test starts itself in a terminal of its own, for a panic and its hook are the process's.
    #[test]
    fn a_panic_gives_the_terminal_back() {
        if std::env::var_os(INSIDE).is_some() {
            let mut screen = Screen::open().expect("a terminal is there");
            screen.draw(&State::new("127.0.0.1:1".into())).unwrap();
            // The test's own thread would be ended by its panic alone.
            let beside = std::thread::spawn(|| panic!("on purpose"));
            drop(beside.join());
            loop {
                std::thread::park();
            }
        }
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = || File::options().read(true).write(true).open(&name).unwrap();
        // It stays open here, so that its modes can be looked at when the process has ended.
        let own = slave();
        let cooked = LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        assert!(tcgetattr(&own).unwrap().local_modes.contains(cooked));

        let this = format!("{}::a_panic_gives_the_terminal_back", module_path!());
        let (_, this) = this.split_once("::").unwrap();
        let mut command = Command::new("setsid");
        command.arg("--ctty").arg(std::env::current_exe().unwrap());
        command.args(["--exact", this, "--nocapture"]).env(INSIDE, "1").env("TERM", "xterm");
        let mut inside = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
        // It holds the terminal open.
        drop(command);
        let shown = std::thread::spawn(move || {
            let (mut master, mut shown, mut piece) = (File::from(master), Vec::new(), [0; 4096]);
            while let Ok(length @ 1..) = master.read(&mut piece) {
                shown.extend_from_slice(&piece[..length]);
            }
            String::from_utf8_lossy(&shown).into_owned()
        });
        assert_eq!(inside.wait().unwrap().code(), Some(PANICKED));
        let modes = tcgetattr(&own).unwrap().local_modes;
        drop(own);
        let shown = shown.join().unwrap();
        assert!(modes.contains(cooked), "{modes:?} {shown:?}");
        let back = shown.find(OWN_SCREEN).unwrap_or_else(|| panic!("not given back: {shown:?}"));
        assert!(shown[..back].contains("windlass top"), "{shown:?}");
        // What went wrong is on the screen that stays.
        assert!(shown[back..].contains("on purpose"), "{shown:?}");
    }
}
