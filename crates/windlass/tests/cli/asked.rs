//! What a person at a terminal sees and is asked, which no script does: Ctrl-C, bars, colors.

use crate::node::{Home, Node};
use crate::terminal::{CTRL_C, Terminal};

const QUESTION: &str = "cancel the run (c), leave it running (d), go on waiting (w)? ";
/// Ends once the file `go` is there.
const UNTIL_GO: &str = "while [ ! -e go ]; do sleep 0.05; done; exit 7";

fn start(node: &Node, args: &[&str]) -> Terminal {
    Terminal::start(&node.command(args))
}

/// A run in a terminal that is asked about.
fn interrupted(node: &Node, args: &[&str]) -> Terminal {
    let mut terminal = start(node, args);
    terminal.until_shown("begun", 1);
    terminal.press(CTRL_C);
    terminal.until_shown(QUESTION, 1);
    terminal
}

#[test]
fn ctrl_c_asks_what_is_meant() {
    let node = Home::new().up();
    let sleep = ["run", "--", "sh", "-c", "echo begun; exec sleep 600"];

    let mut leave = interrupted(&node, &sleep);
    leave.press("perhaps\n");
    leave.until_shown(QUESTION, 2);
    leave.press("d\n");
    let (code, shown) = leave.ended();
    assert_eq!(code, Some(130), "{shown}");
    assert!(shown.contains("left run 1; follow it with `windlass logs -f 1`"), "{shown}");
    node.until(&["status", "1", "--json"], |status| status["run"]["state"] == "running");

    let mut cancel = interrupted(&node, &sleep);
    cancel.press("c\n");
    let (code, shown) = cancel.ended();
    assert_eq!(code, Some(143), "{shown}");
    assert!(shown.contains("canceling run 2"), "{shown}");

    let mut twice = interrupted(&node, &sleep);
    twice.press(CTRL_C);
    let (code, shown) = twice.ended();
    assert_eq!(code, Some(143), "{shown}");
    assert_eq!(node.windlass(&["status", "3", "--json"]).json()["run"]["state"], "canceled");

    let wait = ["run", "--", "sh", "-c", &format!("echo begun; {UNTIL_GO}")];
    let mut wait = interrupted(&node, &wait);
    wait.press("w\n");
    std::fs::write(node.home().path().join("go"), "").unwrap();
    let (code, shown) = wait.ended();
    assert_eq!(code, Some(7), "{shown}");
}

#[test]
fn the_question_comes_in_place_of_the_bar() {
    let node = Home::new().up();
    let script = format!("[ $WINDLASS_INDEX -gt 2 ] || exit 0; {UNTIL_GO}");
    let mut run = start(&node, &["run", "--array", "1-4", "--", "sh", "-c", &script]);
    run.until_shown("2 of 4 ended", 1);
    run.press(CTRL_C);
    run.until_shown(QUESTION, 1);
    run.press("c\n");
    let (code, shown) = run.ended();
    assert_eq!(code, Some(143), "{shown}");
    // A line filled to its end would take `^C` to the next, and what clears the bar with it.
    assert!(!shown.contains(&" ".repeat(30)), "{shown:?}");
    assert!(shown.contains(&format!("\r\x1b[K{QUESTION}")), "{shown:?}");
}

#[test]
fn bars_are_for_terminals() {
    let node = Home::new().up();
    let script = format!("[ $WINDLASS_INDEX -gt 2 ] || exit 0; {UNTIL_GO}");
    let array = ["run", "--array", "1-4", "--", "sh", "-c", &script];
    let run = start(&node, &array);
    run.until_shown("2 of 4 ended", 1);
    let wait = start(&node, &["wait", "1"]);
    wait.until_shown("2 of 4 ended", 1);
    let dumb = Terminal::dumb(&node.command(&["wait", "1"]));
    std::fs::write(node.home().path().join("go"), "").unwrap();
    assert_eq!(run.ended().0, Some(7));
    assert_eq!(wait.ended().0, Some(7));
    let (code, shown) = dumb.ended();
    assert!(code == Some(7) && !shown.contains("of 4 ended"), "{shown:?}");
    // The file is there by now, and no terminal looks on.
    let shown = node.windlass(&array);
    assert!(!shown.to_string().contains("of 4 ended"), "{shown}");
}

#[test]
fn states_are_colored_on_a_terminal_alone() {
    let node = Home::new().up();
    node.windlass(&["run", "--", "false"]);
    for list in [&["ps", "--all"][..], &["status", "1"]] {
        let red = "\x1b[31mfailed\x1b[0m";
        let shown = |args: &[&str]| start(&node, &[list, args].concat()).ended().1;
        assert!(shown(&[]).contains(red), "{list:?}");
        assert!(!shown(&["--color", "never"]).contains('\x1b'), "{list:?}");
        let mut command = node.command(list);
        command.env("NO_COLOR", "1");
        assert!(!Terminal::start(&command).ended().1.contains('\x1b'), "{list:?}");
        assert!(!node.windlass(list).stdout().contains('\x1b'), "{list:?}");
        let forced = node.windlass(&[list, &["--color", "always"]].concat());
        assert!(forced.stdout().contains(red), "{list:?}");
    }
    assert!(start(&node, &["node", "ls"]).ended().1.contains("\x1b[32mready\x1b[0m"));
}
