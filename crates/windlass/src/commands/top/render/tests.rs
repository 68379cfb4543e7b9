//! The picture at the sizes of a small and a large terminal.

use proto::api::{
    AttemptStatus, ElementStatus, GetRunResponse, GetServerResponse, NodeStatus, OutputChunk,
    RunSummary, StateCount,
};
use proto::job::Resources;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::state::{Input, Key, Look};
use super::*;

fn run(run: u64, name: &str, state: &str, command: &str) -> RunSummary {
    RunSummary {
        run,
        name: name.into(),
        state: state.into(),
        elements: 1_000_000,
        counts: vec![
            StateCount { state: "running".into(), count: 2 },
            StateCount { state: "succeeded".into(), count: 999_998 },
        ],
        started_us: 1_795_193_403_000_000,
        command: command.into(),
        ..Default::default()
    }
}

fn look(run_told: Option<GetRunResponse>) -> Look {
    let node = NodeStatus {
        name: "alpha".into(),
        state: "ready".into(),
        capacity: Some(Resources { cpu_milli: 64_000, memory_bytes: 24 << 30 }),
        reserved: Some(Resources { cpu_milli: 16_500, memory_bytes: 512 << 20 }),
        running: 2,
        waiting: 10_000,
        ..Default::default()
    };
    let server = GetServerResponse {
        node_name: "alpha".into(),
        tasks_running: 2,
        tasks_queued: 10_000,
        ..Default::default()
    };
    let runs = vec![
        run(
            812,
            "nightly",
            "running",
            "./crunch --with many --arguments that nobody reads to the end",
        ),
        run(811, "", "failed", "make\ttest"),
        run(3, "a-name-that-is-longer", "timed_out", "sleep 600"),
    ];
    Look { server, runs, nodes: vec![node], run: run_told }
}

fn started() -> State {
    let mut state = State::new("127.0.0.1:7400".into());
    state.handle(Input::Now(1_795_193_503_000));
    state.handle(Input::Looked(Box::new(look(None))));
    state
}

fn drawn(state: &State, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| render(state, frame.area(), frame.buffer_mut())).unwrap();
    let text = terminal.backend().to_string();
    // The backend writes each row in quotes.
    let rows = text.lines().map(|row| row.trim_matches('"').trim_end().to_owned() + "\n");
    rows.collect::<String>().trim_end().to_owned() + "\n"
}

fn press(state: &mut State, keys: &[Key]) {
    for key in keys {
        state.handle(Input::Key(*key));
    }
}

fn opened() -> State {
    let mut state = started();
    press(&mut state, &[Key::Open]);
    let element = |index: u32, word: &str| ElementStatus {
        id: format!("812/main[{index}]"),
        state: word.into(),
        attempts: vec![AttemptStatus {
            number: 1,
            node: "alpha".into(),
            started_us: 1_795_193_403_000_000,
            ended_us: if word == "failed" { 1_795_193_404_000_000 } else { 0 },
            summary: if word == "failed" { "exit code 3".into() } else { String::new() },
            ..Default::default()
        }],
        ..Default::default()
    };
    let told = GetRunResponse {
        run: Some(run(812, "nightly", "running", "./crunch")),
        elements: vec![element(1, "failed"), element(2, "running")],
        elements_total: 1_000_000,
        ..Default::default()
    };
    state.handle(Input::Looked(Box::new(look(Some(told)))));
    state
}

#[test]
fn runs_fit_a_small_and_a_large_terminal() {
    insta::assert_snapshot!("runs_80x24", drawn(&started(), 80, 24));
    insta::assert_snapshot!("runs_200x50", drawn(&started(), 200, 50));
}

#[test]
fn a_run_fits_a_small_and_a_large_terminal() {
    insta::assert_snapshot!("run_80x24", drawn(&opened(), 80, 24));
    insta::assert_snapshot!("run_200x50", drawn(&opened(), 200, 50));
}

#[test]
fn output_is_shown_to_its_end() {
    let mut state = opened();
    press(&mut state, &[Key::Char('l')]);
    let data = (1..=40).map(|line| format!("line {line}\n")).collect::<String>();
    state.handle(Input::Output(OutputChunk { data: data.into_bytes(), ..Default::default() }));
    insta::assert_snapshot!("output_80x24", drawn(&state, 80, 24));
}

#[test]
fn questions_and_help_are_over_the_rest() {
    let mut state = started();
    press(&mut state, &[Key::Char('c')]);
    assert!(drawn(&state, 80, 24).contains("cancel `812`? y: yes"));
    press(&mut state, &[Key::Char('n'), Key::Char('?')]);
    insta::assert_snapshot!("help_80x24", drawn(&state, 80, 24));
    let mut lost = started();
    lost.handle(Input::Lost("no node answers at 127.0.0.1:7400: connection refused".into()));
    assert!(drawn(&lost, 80, 24).starts_with("windlass top  no node answers"));
}

#[test]
fn no_size_is_too_small() {
    for state in [State::default(), started(), opened()] {
        for (width, height) in [(1, 1), (3, 2), (20, 5), (79, 4)] {
            drawn(&state, width, height);
        }
    }
}
