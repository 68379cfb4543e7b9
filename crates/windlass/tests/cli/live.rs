//! `windlass top` in a real terminal: it shows what the node does, and leaves the terminal as it was.

use std::time::Duration;

use rustix::process::Signal;

use crate::node::Home;
use crate::terminal::Terminal;

/// What takes over the terminal, and what gives it back.
const OTHER_SCREEN: &str = "\x1b[?1049h";
const OWN_SCREEN: &str = "\x1b[?1049l";

#[test]
fn top_shows_a_run_and_its_output_and_leaves_the_terminal_as_it_was() {
    let node = Home::new().up();
    node.windlass(&["run", "--name", "nightly", "--", "sh", "-c", "echo from; echo the task"]);
    let mut top = Terminal::start(&node.command(&["top"]));
    top.until_shown("nightly", 1);
    assert!(top.shown().starts_with(OTHER_SCREEN) || top.shown().contains(OTHER_SCREEN));
    top.press("\r");
    top.until_shown("1/main", 1);
    top.press("l");
    top.until_shown("the task", 1);
    // The node is asked each second; where its answer is the same nothing is drawn.
    top.until_quiet(Duration::from_millis(2_500));
    top.press("q");
    let (code, shown) = top.ended();
    assert_eq!(code, Some(0), "{shown:?}");
    assert!(shown.contains(OWN_SCREEN), "{shown:?}");
}

#[test]
fn top_cancels_after_a_question() {
    let node = Home::new().up();
    node.windlass(&["run", "-d", "--name", "nap", "--", "sleep", "600"]);
    let mut top = Terminal::start(&node.command(&["top"]));
    top.until_shown("nap", 1);
    top.press("cy");
    node.until(&["status", "1", "--json"], |status| status["run"]["state"] == "canceled");
    top.press("\x03");
    assert_eq!(top.ended().0, Some(0));
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let node = Home::new().up();
    let top = Terminal::start(&node.command(&["top"]));
    top.until_shown("no runs yet", 1);
    top.signal(Signal::TERM);
    let (code, shown) = top.ended();
    assert_eq!(code, Some(143), "{shown:?}");
    assert!(shown.contains(OWN_SCREEN), "{shown:?}");
}

#[test]
fn without_a_terminal_it_is_said_what_to_do() {
    let node = Home::new().up();
    check!(node, ["top"], @r"
    exit code: 2
    --- stderr ---
    error: `top` needs a terminal
    hint: `windlass ps --all` and `windlass node ls` say the same once
    ");
    let (code, shown) = Terminal::dumb(&node.command(&["top"])).ended();
    assert_eq!(code, Some(2), "{shown:?}");
    assert!(shown.contains("`top` cannot draw on a terminal of the kind `dumb`"), "{shown:?}");
    assert!(!shown.contains(OTHER_SCREEN), "{shown:?}");
}
