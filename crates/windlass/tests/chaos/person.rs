//! A person who runs one command after the other at any control node's machine, and need not know
//! what goes wrong meanwhile.

use crate::chance::Chance;
use crate::clients::any;
use crate::machine::Machine;
use crate::output::Outputs;

/// Windlass itself could not go on: no node, or no leader, answered for as long as a command bears.
const OWN_FAILURE: i32 = 125;
/// Less than what is copied to the control nodes at the end of an attempt.
const LINES_MAX: u64 = 4_000;

/// What a person has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) ended: usize,
    pub(crate) given_up: usize,
    /// Commands of whose output something could not be shown, as a mark said.
    pub(crate) marked: usize,
}

/// Runs a command that writes, sleeps and ends with a code, and checks all that is shown of it.
pub(crate) fn run_something(controls: &[&Machine], chance: &mut Chance, seen: &mut Seen) {
    let (half, code) = (chance.from(1, LINES_MAX / 2), chance.from(0, 4) as i32);
    let (seconds, lines) = (chance.from(0, 4), half * 2);
    let rest = half + 1;
    let script = format!("seq 1 {half}; sleep {seconds}; seq {rest} {lines}; exit {code}");
    let control = any(controls, chance);
    let mut run = control.windlass(&["run", "--json", "--losses-max", "1000", "--cpus", "0.5"]);
    run.command.args(["--", "sh", "-c", &script]);
    let shown = run.output().unwrap();
    let told = || {
        let (stdout, stderr) = (text(&shown.stdout), text(&shown.stderr));
        format!("`{script}` on {} ends with {}: {stderr}{stdout}", control.name, shown.status)
    };
    let exit = shown.status.code().unwrap_or_default();
    if exit == OWN_FAILURE {
        let is_told_an_end = text(&shown.stdout).contains(r#"{"event":"ended""#);
        let says_why = text(&shown.stderr).lines().any(|line| line.starts_with("error: "));
        assert!(!is_told_an_end && says_why, "{}", told());
        seen.given_up += 1;
        return;
    }
    assert_eq!(exit, code, "{}", told());
    seen.ended += 1;
    let output = Outputs::read(&shown.stdout);
    if !output.marks.is_empty() {
        // Its node was away when it was read. Once everything has healed nothing is missing.
        seen.marked += 1;
        return;
    }
    assert!(output.gaps.is_empty(), "something is missing without a word: {}", told());
    let whole: String = (1..=lines).map(|line| format!("{line}\n")).collect();
    let last = output.bytes.keys().next_back().copied();
    for (attempt, [stdout, stderr]) in &output.bytes {
        let right = match Some(*attempt) == last {
            true => *stdout == whole.as_bytes(),
            false => whole.as_bytes().starts_with(stdout),
        };
        assert!(right && stderr.is_empty(), "{attempt:?}: {}", told());
    }
    assert!(last.is_some(), "{}", told());
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
