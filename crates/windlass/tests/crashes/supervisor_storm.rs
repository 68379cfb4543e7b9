//! Supervisors, or all of a node, die at random moments under load: whatever was lost runs again,
//! but never beside what is left of it.

use proto::api::{ElementStatus, OutputChunk};
use proto::job::outcome::Ending;

use model::TaskSpec;

use crate::chance::Chance;
use crate::ground::{self, Ground, Line};
use crate::load::{Accepted, Kinds, Load};
use crate::patience::pass;
use crate::victim::Victim;

const KILLS: usize = 20;

#[test]
fn twenty_kills_of_the_supervisor_overlap_and_forget_nothing() {
    let mut chance = Chance::new();
    let ground = Ground::new();
    let mut victim = Victim::new();
    let load = Load::new(&ground, Kinds::Short);
    load.during(&mut victim, 1, &mut chance, |victim, chance| {
        for _ in 0..KILLS {
            pass(chance.ms(100, 900));
            match chance.from(0, 3) {
                0 => {
                    victim.kill_supervisor();
                    victim.kill();
                    victim.start();
                    victim.ready();
                }
                _ => victim.kill_supervisor(),
            }
        }
    });
    let caller = victim.caller();
    caller.until_all_ended();
    let accepted = load.accepted.into_inner().unwrap();
    let mut truth = ground.truth();
    let mut lost = 0;
    for run in &accepted {
        let shown = caller.run(run.run);
        assert_eq!(shown.elements.len(), run.indices.len(), "{run:?}");
        let output = caller.output(run.run);
        for element in &shown.elements {
            let lines = truth.remove(&(run.run, element.index)).unwrap_or_default();
            lost += check_element(run, element, &lines);
            check_output(run, element, &output);
        }
    }
    assert!(truth.is_empty(), "nobody submitted what ran: {truth:?}");
    println!("{} runs, {lost} attempts lost", accepted.len());
    assert!(lost > 0, "too little load to prove anything");
    victim.down();
}

/// All attempts but the last were lost, and each began after the one before had ended; how many
/// were lost.
fn check_element(run: &Accepted, element: &ElementStatus, lines: &[Line]) -> usize {
    let told = format!("{run:?}\n{element:#?}\n{lines:#?}");
    let numbers = element.attempts.iter().map(|attempt| attempt.number);
    assert!(numbers.eq(1..=element.attempts.len() as u32), "{told}");
    let fences = element.attempts.windows(2).all(|pair| pair[0].fence < pair[1].fence);
    assert!(fences, "a later attempt has a higher fence: {told}");
    assert!(lines.is_sorted_by_key(|line| line.attempt), "attempts overlap: {told}");
    let (last, earlier) = element.attempts.split_last().unwrap();
    for attempt in earlier {
        assert_eq!(attempt.state, "lost", "{told}");
        check_lines(attempt.number, attempt.fence, lines, &told);
    }
    let (starts, ends) = check_lines(last.number, last.fence, lines, &told);
    if element.state == "lost" {
        let losses = TaskSpec::LOSSES_MAX as usize + 1;
        assert_eq!(element.attempts.len(), losses, "it was lost before its limit: {told}");
        return losses;
    }
    let (state, code) = run.end.of(element.index);
    assert_eq!((starts, ends), (1, 1), "it was not forgotten: {told}");
    assert_eq!(element.state, state.to_string(), "{told}");
    let shown = match last.outcome.as_ref().unwrap().ending.as_ref().unwrap() {
        Ending::Exited(code) => *code as i32,
        Ending::Signaled(signal) => 128 + *signal as i32,
        other => panic!("{other:?}: {told}"),
    };
    assert_eq!(Some(shown), code, "{told}");
    earlier.len()
}

/// How often an attempt began and ended: once at most.
fn check_lines(number: u32, fence: u64, lines: &[Line], told: &str) -> (usize, usize) {
    let own: Vec<&Line> = lines.iter().filter(|line| line.attempt == number).collect();
    assert!(own.iter().all(|line| line.fence == fence && line.pid == own[0].pid), "{told}");
    let starts = own.iter().filter(|line| line.start).count();
    let counts = (starts, own.len() - starts);
    assert!(counts.0 <= 1 && counts.1 <= counts.0, "an attempt ran twice: {told}");
    counts
}

/// The last attempt has all its output, a lost one the beginning of it.
fn check_output(run: &Accepted, element: &ElementStatus, chunks: &[OutputChunk]) {
    for attempt in &element.attempts {
        let own = chunks.iter().filter(|chunk| {
            (chunk.index, chunk.attempt) == (element.index, attempt.number) && chunk.stream == 1
        });
        let written: Vec<u8> = own.flat_map(|chunk| chunk.data.iter().copied()).collect();
        let expected = ground::stdout(run.lines);
        let whole = attempt.state != "lost";
        let right = if whole { written == expected } else { expected.starts_with(&written) };
        let (has, of) = (written.len(), expected.len());
        assert!(right, "{has} of {of} bytes of attempt {}: {run:?}\n{element:#?}", attempt.number);
    }
}
