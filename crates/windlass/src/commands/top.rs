//! `windlass top`: a live screen of runs, nodes and the queue, and a task's output.
//!
//! What is shown is a function of a state, and the state a function of what came in; both are plain
//! code that a test can run. Around them: a task that asks the node, a thread that reads keys, and
//! the terminal.

mod asking;
mod keys;
mod lines;
mod render;
mod screen;
mod state;

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::client::{Client, Target};
use crate::failure::Failure;
use crate::show::time;
use asking::Asking;
use screen::Screen;
use state::{Effect, Input, State};

/// Between two frames: a line may be slow.
const FRAME: Duration = Duration::from_millis(200);
/// Between two looks at the node.
const LOOK: Duration = Duration::from_secs(1);
/// Inputs on their way; whoever brings more waits.
const INPUTS_MAX: usize = 64;

const KEYS: &str = "\
Keys: up and down (also j and k) select, enter opens a run, l shows output, c
cancels after a question, / filters, esc goes back, ? helps, q leaves.

It asks the node once a second and sends the terminal only what has changed,
so that it can be used over a slow line.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = KEYS)]
pub(crate) struct Args {}

pub(crate) async fn execute(_: Args, target: Target) -> Result<u8, Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::usage("`top` needs a terminal")
            .hint("`windlass ps --all` and `windlass node ls` say the same once"));
    }
    if let Some(kind) = cannot_draw(std::env::var_os("TERM").as_deref()) {
        return Err(Failure::usage(format!("`top` cannot draw on a terminal {kind}"))
            .hint("set TERM to what it is, such as `xterm`; `windlass ps --all` and `windlass node ls` say the same once"));
    }
    let client = Client::connect(&target).await?;
    let signals = Signals::watch()?;
    let screen = Screen::open()?;
    let told = Top::new(client, screen).run(signals).await;
    // The screen is put back before anything is said.
    told.map_err(|error| Failure::new(format!("cannot draw on the terminal: {error}")))
}

/// What a terminal is called that cannot move its cursor, as one within an editor.
fn cannot_draw(term: Option<&OsStr>) -> Option<&'static str> {
    match term {
        None => Some("of which TERM says nothing"),
        Some(term) if term.is_empty() => Some("of which TERM says nothing"),
        Some(term) if term == "dumb" => Some("of the kind `dumb`"),
        Some(_) => None,
    }
}

/// All that lives while the screen is open.
struct Top {
    state: State,
    screen: Screen,
    asking: Asking,
    inputs: mpsc::Receiver<Input>,
}

impl Top {
    fn new(client: Client, screen: Screen) -> Top {
        let (sender, inputs) = mpsc::channel(INPUTS_MAX);
        keys::read(sender.clone());
        let state = State::new(client.addr.clone());
        Top { state, screen, asking: Asking::new(client, sender), inputs }
    }

    /// Until somebody leaves; what the process exits with.
    async fn run(mut self, mut signals: Signals) -> std::io::Result<u8> {
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut next_frame = Instant::now();
        let mut stale = true;
        loop {
            tokio::select! {
                input = self.inputs.recv() => {
                    let Some(input) = input else { return Ok(0) };
                    stale = true;
                    for effect in self.state.handle(input) {
                        if effect == Effect::Quit {
                            return Ok(0);
                        }
                        self.asking.perform(effect);
                    }
                }
                _ = looks.tick() => {
                    stale = true;
                    self.state.handle(Input::Now(time::now_ms()));
                    self.asking.look(self.state.opened());
                }
                () = tokio::time::sleep_until(next_frame), if stale => {
                    stale = false;
                    self.screen.draw(&self.state)?;
                    next_frame = Instant::now() + FRAME;
                }
                code = signals.code() => return Ok(code),
            }
        }
    }
}

/// What asks the process to end; without a handler the terminal would stay as it is.
struct Signals {
    term: Signal,
    hangup: Signal,
    interrupt: Signal,
}

impl Signals {
    fn watch() -> Result<Signals, Failure> {
        let watch = |kind| {
            signal(kind).map_err(|error| Failure::new(format!("cannot watch for signals: {error}")))
        };
        Ok(Signals {
            term: watch(SignalKind::terminate())?,
            hangup: watch(SignalKind::hangup())?,
            interrupt: watch(SignalKind::interrupt())?,
        })
    }

    /// Waits for one; what the process then exits with.
    async fn code(&mut self) -> u8 {
        tokio::select! {
            _ = self.term.recv() => 143,
            _ = self.hangup.recv() => 129,
            _ = self.interrupt.recv() => crate::failure::exit::INTERRUPTED,
        }
    }
}
