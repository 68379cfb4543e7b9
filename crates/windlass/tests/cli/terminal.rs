//! A person at a terminal: a pseudo terminal with a command before it, what it shows, and keys.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// Longer than any test takes, however slow the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const CTRL_C: &str = "\x03";

/// A terminal in which a command runs.
pub(crate) struct Terminal {
    child: Child,
    keyboard: File,
    screen: Arc<Screen>,
}

/// What was shown, and whether nothing more can come.
#[derive(Default)]
struct Screen {
    shown: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Screen {
    /// Waits until it is as wanted; all that was shown.
    fn until(&self, what: &str, wanted: impl Fn(&str, bool) -> bool) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let shown = self.shown.lock().unwrap();
        let still = |state: &mut (Vec<u8>, bool)| !wanted(&text(&state.0), state.1);
        let (shown, late) = self.changed.wait_timeout_while(shown, PATIENCE, still).unwrap();
        assert!(!late.timed_out(), "still not {what}: {:?}", text(&shown.0));
        text(&shown.0)
    }

    fn change(&self, change: impl FnOnce(&mut (Vec<u8>, bool))) {
        change(&mut self.shown.lock().unwrap());
        self.changed.notify_all();
    }
}

impl Terminal {
    /// Starts `command` in a terminal of 80 columns and 24 rows, which is its session's own.
    pub(crate) fn start(command: &Command) -> Terminal {
        Terminal::start_as("xterm-256color", command)
    }

    /// The same in a terminal that can only add lines.
    pub(crate) fn dumb(command: &Command) -> Terminal {
        Terminal::start_as("dumb", command)
    }

    fn start_as(term: &str, command: &Command) -> Terminal {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&master, size).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let slave = || File::options().read(true).write(true).open(&name).unwrap();
        // `setsid --ctty` makes it the controlling terminal, so that Ctrl-C is a signal.
        let mut inside = Command::new("setsid");
        inside.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
        for (name, value) in command.get_envs() {
            inside.env(name, value.unwrap_or_default());
        }
        inside.env("TERM", term).current_dir(command.get_current_dir().unwrap());
        let child = inside.stdin(slave()).stdout(slave()).stderr(slave()).spawn().unwrap();
        let keyboard = File::from(master.try_clone().unwrap());
        Terminal { child, keyboard, screen: watch(master) }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// Presses keys, again and again until `text` is shown.
    pub(crate) fn press_until_shown(&mut self, keys: &str, text: &str) {
        let begun = Instant::now();
        while !self.shown().contains(text) {
            assert!(begun.elapsed() < PATIENCE, "still not {text}: {:?}", self.shown());
            self.press(keys);
            let shown = self.screen.shown.lock().unwrap();
            let still =
                |state: &mut (Vec<u8>, bool)| !String::from_utf8_lossy(&state.0).contains(text);
            drop(self.screen.changed.wait_timeout_while(shown, Duration::from_secs(2), still));
        }
    }

    /// All that was shown so far.
    pub(crate) fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.shown.lock().unwrap().0).into_owned()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), signal).unwrap();
    }

    /// Waits until `text` was shown so many times.
    pub(crate) fn until_shown(&self, text: &str, times: usize) {
        self.screen.until(text, |shown, _| shown.matches(text).count() >= times);
    }

    /// Waits until nothing was shown for so long.
    pub(crate) fn until_quiet(&self, quiet: Duration) {
        let begun = Instant::now();
        let mut shown = self.screen.shown.lock().unwrap();
        loop {
            let length = shown.0.len();
            let still = |state: &mut (Vec<u8>, bool)| state.0.len() == length;
            let (later, timeout) =
                self.screen.changed.wait_timeout_while(shown, quiet, still).unwrap();
            if timeout.timed_out() {
                return;
            }
            shown = later;
            let text = String::from_utf8_lossy(&shown.0[length..]);
            assert!(begun.elapsed() < PATIENCE, "it goes on drawing: {text:?}");
        }
    }

    /// Waits for the end; the exit code, and all that was shown.
    pub(crate) fn ended(mut self) -> (Option<i32>, String) {
        let shown = self.screen.until("the end", |_, ended| ended);
        (self.child.wait().unwrap().code(), shown)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Takes what is shown off the terminal as it comes: a full one would stop the command.
fn watch(master: OwnedFd) -> Arc<Screen> {
    let screen = Arc::new(Screen::default());
    let seen = Arc::clone(&screen);
    std::thread::spawn(move || {
        let mut master = File::from(master);
        let mut piece = [0; 4096];
        // An error is the end: nobody has the other side open any more.
        while let Ok(length @ 1..) = master.read(&mut piece) {
            seen.change(|(shown, _)| shown.extend_from_slice(&piece[..length]));
        }
        seen.change(|(_, ended)| *ended = true);
    });
    screen
}
