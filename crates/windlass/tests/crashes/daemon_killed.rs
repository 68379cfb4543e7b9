//! The daemon is killed at any moment: nothing acknowledged is lost, and its tasks never notice.

use std::collections::BTreeMap;

use proto::api::{ElementStatus, OutputChunk};
use proto::job::outcome::Ending;

use crate::chance::Chance;
use crate::ground::{self, Ground, Line};
use crate::load::{Accepted, End, Kinds, Load};
use crate::node::Home;
use crate::patience::pass;
use crate::victim::Victim;

const KILLS: usize = 200;
const SUBMITTERS: usize = 3;
/// A task that sleeps is done this much later at most, however busy the machine.
const LATE_S: f64 = 60.0;

#[test]
fn two_hundred_kills_of_the_daemon_lose_nothing() {
    let mut chance = Chance::new();
    let ground = Ground::new();
    let mut victim = Victim::new();
    let supervisor = victim.supervisor();
    let load = Load::new(&ground, Kinds::All);
    let commands = load.during(&mut victim, SUBMITTERS, &mut chance, |victim, chance| {
        for _ in 0..KILLS {
            live_a_while(victim, chance);
            victim.kill();
            victim.start();
        }
        victim.ready();
    });
    assert_eq!(victim.supervisor(), supervisor, "the supervisor has lived all the time");

    let caller = victim.caller();
    caller.until_all_ended();
    let accepted = load.accepted.into_inner().unwrap();
    let mut truth = ground.truth();
    for run in &accepted {
        let shown = caller.run(run.run);
        assert_eq!(shown.elements.len(), run.indices.len(), "{run:?}");
        let mut output = outputs(&caller.output(run.run));
        for element in &shown.elements {
            let lines = truth.remove(&(run.run, element.index)).unwrap_or_default();
            check_element(run, element, &lines);
            let written = output.remove(&element.index).unwrap_or_default();
            check_output(run, element, &lines, written);
        }
        assert!(output.is_empty(), "output of nobody: {output:?}");
        check_exit(run, caller.end(run.run).exit_code);
    }
    assert!(truth.is_empty(), "nobody submitted what ran: {truth:?}");
    let elements: usize = accepted.iter().map(|run| run.indices.len()).sum();
    println!("{} runs with {elements} elements, {commands} commands", accepted.len());
    assert!(commands >= 5, "a person has seen {commands} commands end");
    assert!(accepted.len() >= KILLS / 2, "too little load to prove anything");
    victim.down();
}

#[test]
fn a_node_that_dies_while_it_comes_to_be_starts_again() {
    const NODES: usize = 10;
    const KILLS: usize = 4;
    let mut chance = Chance::new();
    for _ in 0..NODES {
        let mut victim = Victim::unborn(Home::new());
        for _ in 0..KILLS {
            victim.start();
            pass(chance.ms(0, 120));
            victim.kill();
        }
        victim.start();
        victim.born();
        let caller = victim.caller();
        let run = caller.submit(&ground::job(&["sh", "-c", "exit 3"]), "");
        assert_eq!(caller.end(run).exit_code, 3);
        victim.down();
    }
}

/// Some daemons die before they serve, most under load.
fn live_a_while(victim: &mut Victim, chance: &mut Chance) {
    match chance.from(0, 4) {
        0 => pass(chance.ms(0, 40)),
        1 => pass(chance.ms(40, 200)),
        _ => {
            victim.ready();
            pass(chance.ms(0, 250));
        }
    }
}

/// It ended once, as it must, and what Windlass tells is what happened.
fn check_element(run: &Accepted, element: &ElementStatus, lines: &[Line]) {
    let told = format!("{run:?}\n{element:#?}\n{lines:#?}");
    let (state, code) = run.end.of(element.index);
    assert_eq!(element.state, state.to_string(), "{told}");
    if run.end == End::Canceled && element.attempts.is_empty() {
        assert!(lines.is_empty(), "it was canceled before it started, and ran: {told}");
        return;
    }
    assert_eq!(element.attempts.len(), 1, "no attempt was lost: {told}");
    let attempt = &element.attempts[0];
    let outcome = attempt.outcome.as_ref().unwrap();
    assert_eq!(attempt.number, 1, "{told}");
    match outcome.ending.as_ref().unwrap() {
        Ending::Exited(shown) => assert!(code.is_none_or(|code| code == *shown as i32), "{told}"),
        Ending::Signaled(shown) => {
            assert!(code.is_none_or(|code| code == 128 + *shown as i32), "{told}");
        }
        Ending::NotStarted(_) => {
            // On a busy machine the program may not be executed within a short timeout.
            let early = matches!(run.end, End::Canceled | End::TimedOut);
            assert!(early && lines.is_empty(), "{told}");
            return;
        }
        Ending::Gone(_) => panic!("an outcome was lost: {told}"),
    }
    let starts = lines.iter().filter(|line| line.start).count();
    let ends = lines.len() - starts;
    let expected = if run.end.is_own() { (1, 1) } else { (starts.min(1), 0) };
    assert_eq!((starts, ends), expected, "it ran once and was not forgotten: {told}");
    assert!(lines.iter().all(|line| (line.attempt, line.fence) == (1, attempt.fence)), "{told}");
    assert!(lines.iter().all(|line| line.pid == lines[0].pid), "{told}");

    let took_s = (attempt.ended_us as f64 - attempt.started_us as f64) / 1e6;
    assert!(attempt.placed_ms > 0 && attempt.started_us / 1000 + 1 >= attempt.placed_ms, "{told}");
    assert!(took_s >= 0.0 && attempt.started_us > 0, "{told}");
    if let ([start, end], true) = (lines, run.end.is_own()) {
        // Both are rounded down to hundredths of a second.
        let truly_s = end.boot_s - start.boot_s;
        assert!(took_s >= truly_s - 0.02 && took_s < run.seconds + LATE_S, "{told}");
        assert!(truly_s >= run.seconds - 0.02, "{told}");
    }
}

/// What each index wrote to stdout and stderr; nothing may be missing and nothing marked so.
fn outputs(chunks: &[OutputChunk]) -> BTreeMap<u32, [Vec<u8>; 2]> {
    let mut outputs: BTreeMap<u32, [Vec<u8>; 2]> = BTreeMap::new();
    for chunk in chunks {
        let text = String::from_utf8_lossy(&chunk.data);
        assert!(chunk.stream <= 2, "output is missing: {text}");
        assert_eq!(chunk.attempt, 1);
        let stream = &mut outputs.entry(chunk.index).or_default()[chunk.stream as usize - 1];
        assert_eq!(chunk.offset, stream.len() as u64);
        stream.extend_from_slice(&chunk.data);
    }
    outputs
}

fn check_output(run: &Accepted, element: &ElementStatus, lines: &[Line], written: [Vec<u8>; 2]) {
    let expected = [ground::stdout(run.lines), format!("{}\n", element.index).into_bytes()];
    let whole = run.end.is_own();
    for (stream, (written, expected)) in written.iter().zip(&expected).enumerate() {
        let right = if whole { written == expected } else { expected.starts_with(written) };
        let (has, of) = (written.len(), expected.len());
        assert!(right, "stream {stream} has {has} of {of} bytes: {run:?}\n{element:#?}\n{lines:?}");
    }
}

/// An array exits as the failed element of the lowest index.
fn check_exit(run: &Accepted, shown: i32) {
    let expected = match run.end {
        End::Widened(_) => 0,
        End::TimedOut => 124,
        End::Canceled => return assert_ne!(shown, 0, "{run:?}"),
        end => {
            let codes = run.indices.iter().filter_map(|index| end.of(*index).1);
            codes.into_iter().find(|code| *code != 0).unwrap_or(0)
        }
    };
    assert_eq!(shown, expected, "{run:?}");
}
