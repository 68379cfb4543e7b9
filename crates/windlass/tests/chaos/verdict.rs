//! What must hold once everything has healed: of each run that was acknowledged, what any control
//! node tells of it is what happened, to the byte, and nothing lived beside its successor.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::chance::Chance;
use crate::client::{Answer, Call};
use crate::clients::{Accepted, any};
use crate::machine::{LEASE, Machine};
use crate::output::Outputs;
use crate::patience::{find, find_within};
use crate::truth::{Element, Freeze, Line, Truth, overlaps};

/// Of how many runs the commands of people are tried too, each of which starts a program.
const BY_COMMAND: usize = 40;
/// From the last fault on: leases run out, and what has piled up is run.
const ENDED_WITHIN: Duration = LEASE.saturating_mul(30);

/// Checks runs against what happened.
pub(crate) struct Verdict<'a> {
    controls: Vec<&'a Machine>,
    freezes: &'a [Freeze],
    truth: BTreeMap<Element, Vec<Line>>,
    /// Attempts beyond the first of their element.
    repeated: usize,
    excused: usize,
    elements: usize,
}

impl<'a> Verdict<'a> {
    /// Waits until all has ended.
    pub(crate) fn once_all_ended(
        machines: &'a [Machine],
        truth: &Truth,
        freezes: &'a [Freeze],
    ) -> Verdict<'a> {
        let controls: Vec<_> = machines.iter().filter(|machine| machine.is_control()).collect();
        for control in &controls {
            find_within(ENDED_WITHIN, || {
                machines.iter().for_each(Machine::must_live);
                let live = Call::get("/v1/runs?limit=1000".to_owned()).at(control)?;
                let live = live.with(200)?["runs"].as_array().unwrap().clone();
                let Some(first) = live.first() else { return Ok(()) };
                let why = control.windlass(&["why", &first["run"].to_string()]).output();
                let why = String::from_utf8_lossy(&why.unwrap().stdout).into_owned();
                Err(format!("{} runs have not ended, first {first:#}\n{why}", live.len()))
            });
        }
        let truth = truth.read();
        Verdict { controls, freezes, truth, repeated: 0, excused: 0, elements: 0 }
    }

    /// Fails if a node is lost although nothing is wrong any more: each has been registered for longer
    /// than a lease and its margin when this returns.
    pub(crate) fn nobody_is_lost(&self) {
        let epochs = || -> Result<BTreeMap<String, u64>, String> {
            let nodes = Call::get("/v1/nodes".to_owned()).at(self.controls[0])?.with(200)?;
            let nodes = nodes["nodes"].as_array().unwrap();
            match nodes.iter().find(|node| node["state"] != "ready") {
                None => Ok(nodes.iter().map(epoch).collect()),
                Some(node) => Err(format!("{node:#}")),
            }
        };
        let before = find(epochs);
        let begun = Instant::now();
        find(|| {
            let now = epochs()?;
            assert_eq!(now, before, "the epoch of each node, {:?} later", begun.elapsed());
            match begun.elapsed() {
                quiet if quiet > LEASE + LEASE / 2 => Ok(()),
                quiet => Err(format!("only {quiet:?} have passed")),
            }
        });
    }

    /// Fails at the first thing that is wrong; what was checked.
    pub(crate) fn check(mut self, accepted: &[Accepted], chance: &mut Chance) -> String {
        accepted.iter().for_each(|accepted| self.check_run(accepted, chance));
        assert!(self.truth.is_empty(), "nobody submitted what ran: {:#?}", self.truth);
        let commands = self.check_commands(accepted, chance);
        format!(
            "{} runs with {} elements and {} repeated attempts are as they must be, {commands} of them \
             by commands; {} attempts lived beside one that had been frozen",
            accepted.len(),
            self.elements,
            self.repeated,
            self.excused
        )
    }

    fn check_run(&mut self, accepted: &Accepted, chance: &mut Chance) {
        let Accepted { run, work } = accepted;
        let told: Vec<Value> = (self.controls.iter())
            .map(|control| {
                answer(control, &Call::get(format!("/v1/runs/{run}"))).json()["run"].clone()
            })
            .collect();
        assert!(told.iter().all(|one| *one == told[0]), "control nodes differ: {told:#?}");
        if let Some(code) = work.exit_code() {
            assert_eq!(told[0]["exit_code"], code, "{accepted:?} {:#}", told[0]);
        }
        let control = any(&self.controls, chance);
        let shown =
            answer(control, &Call::get(format!("/v1/runs/{run}/elements?limit=1000"))).json();
        let shown = shown["elements"].as_array().unwrap();
        assert_eq!(shown.len(), work.indices.len(), "{accepted:?} {shown:#?}");
        let control = any(&self.controls, chance);
        let lines = Call::get(format!("/v1/runs/{run}/output")).accept("application/x-ndjson");
        let mut output = Outputs::read(&answer(control, &lines).body);
        assert!(output.gaps.is_empty(), "{accepted:?} {:?} {:?}", output.gaps, output.marks);
        for element in shown {
            self.check_element(accepted, element, &mut output);
        }
    }

    fn check_element(&mut self, accepted: &Accepted, shown: &Value, output: &mut Outputs) {
        let index = shown["index"].as_u64().unwrap() as u32;
        let lines = self.truth.remove(&(accepted.run, index)).unwrap_or_default();
        let told = format!("{accepted:?}\n{shown:#}\n{lines:#?}");
        let attempts = shown["attempts"].as_array().unwrap();
        self.elements += 1;
        self.repeated += attempts.len().saturating_sub(1);
        let (state, code) = accepted.work.end.of(index);
        assert_eq!(shown["state"], state, "{told}");
        if !lines.is_empty() {
            let overlaps = overlaps(&lines, self.freezes);
            self.excused += overlaps.unwrap_or_else(|what| panic!("{what}: {told}"));
        }
        for line in &lines {
            let is_same = |attempt: &&Value| attempt["number"] == line.attempt;
            let attempt = attempts.iter().find(is_same);
            let attempt = attempt.unwrap_or_else(|| panic!("nobody knows of {line:?}: {told}"));
            assert_eq!(attempt["fence"], line.fence, "{told}");
            assert_eq!(attempt["node"], *line.node, "{told}");
        }
        let Some(last) = attempts.last() else {
            assert!(state == "canceled" && lines.is_empty(), "{told}");
            return;
        };
        for attempt in attempts {
            let number = attempt["number"].as_u64().unwrap();
            let whole = code.is_some() && number == last["number"];
            let expected = accepted.work.output(accepted.run, index);
            let written = output.take(index, number);
            for (written, expected) in written.iter().zip(&expected) {
                let right = if whole { written == expected } else { expected.starts_with(written) };
                let (has, of) = (written.len(), expected.len());
                assert!(right, "#{number} has {has} of {of} bytes: {told}\n{:?}", output.marks);
            }
        }
        let Some(code) = code else { return };
        let outcome = &last["outcome"];
        let ended = outcome["exit_code"].as_i64();
        let ended = ended.or_else(|| outcome["signal"].as_i64().map(|signal| 128 + signal));
        assert_eq!(ended, Some(code), "{told}");
        let of_last = lines.iter().filter(|line| last["number"] == line.attempt);
        let marks: Vec<bool> = of_last.map(|line| line.is_start).collect();
        assert_eq!(
            marks,
            [true, false],
            "the last one ran once, from its start to its end: {told}"
        );
    }

    /// What a person sees of some of the runs, each asked at any control node.
    fn check_commands(&self, accepted: &[Accepted], chance: &mut Chance) -> usize {
        let count = accepted.len().min(BY_COMMAND);
        for _ in 0..count {
            let Accepted { run, work } = any(accepted, chance);
            let run = run.to_string();
            let control = any(&self.controls, chance);
            let wait = control.windlass(&["wait", &run]).output().unwrap();
            let Some(code) = work.exit_code() else { continue };
            let exit = wait.status.code().map(i64::from);
            assert_eq!(exit, Some(code), "wait {run} on {}", control.name);
            let control = any(&self.controls, chance);
            let logs = control.windlass(&["logs", "--json", &run]).output().unwrap();
            assert!(logs.status.success(), "logs {run}: {}", String::from_utf8_lossy(&logs.stderr));
            let output = Outputs::read(&logs.stdout);
            let ways = Call::get(format!("/v1/runs/{run}/output")).accept("application/x-ndjson");
            let other = any(&self.controls, chance);
            let of_other = Outputs::read(&answer(other, &ways).body);
            let differ = output.differs(&of_other);
            assert!(
                differ.is_empty(),
                "logs {run} of {} and {}: {differ:#?}",
                control.name,
                other.name
            );
        }
        count
    }
}

fn epoch(node: &Value) -> (String, u64) {
    (node["name"].as_str().unwrap().to_owned(), node["epoch"].as_u64().unwrap())
}

/// Asks until there is an answer: nothing is wrong any more.
fn answer(machine: &Machine, call: &Call<'_>) -> Answer {
    find(|| match call.at(machine)? {
        answer if answer.status == 200 => Ok(answer),
        answer => Err(format!("{} to {call:?}: {}", answer.status, answer.text())),
    })
}
