//! Keys and answers, and what becomes of the state.

use proto::api::{ElementStatus, GetRunResponse, RunSummary};

use super::*;

fn run(run: u64, name: &str) -> RunSummary {
    RunSummary { run, name: name.into(), state: "running".into(), ..Default::default() }
}

fn looked(state: &mut State, runs: &[(u64, &str)], opened: Option<GetRunResponse>) {
    let runs = runs.iter().map(|(number, name)| run(*number, name)).collect();
    state.handle(Input::Looked(Box::new(Look { runs, run: opened, ..Default::default() })));
}

fn press(state: &mut State, keys: &[Key]) -> Vec<Effect> {
    keys.iter().flat_map(|key| state.handle(Input::Key(*key))).collect()
}

fn word(text: &str) -> Vec<Key> {
    text.chars().map(Key::Char).collect()
}

fn started() -> State {
    let mut state = State::new("127.0.0.1:7400".into());
    looked(&mut state, &[(3, "c"), (2, "b"), (1, "a")], None);
    state
}

fn told(number: u64, elements: usize) -> GetRunResponse {
    let id = |index| format!("{number}/main[{index}]");
    let element = |index| ElementStatus { id: id(index), ..Default::default() };
    GetRunResponse {
        run: Some(run(number, "")),
        elements: (1..=elements).map(element).collect(),
        ..Default::default()
    }
}

#[test]
fn the_cursor_stays_on_its_run_when_others_come() {
    let mut state = started();
    press(&mut state, &[Key::Down]);
    assert_eq!((state.selected, state.position()), (Some(2), 1));
    looked(&mut state, &[(5, ""), (4, ""), (3, "c"), (2, "b"), (1, "a")], None);
    assert_eq!((state.selected, state.position()), (Some(2), 3));
    press(&mut state, &[Key::Last, Key::Down]);
    assert_eq!(state.selected, Some(1));
    press(&mut state, &[Key::Char('k'), Key::First, Key::Up]);
    assert_eq!(state.selected, Some(5));
}

#[test]
fn a_run_is_opened_then_its_output_and_back() {
    let mut state = started();
    assert_eq!(press(&mut state, &[Key::Down, Key::Open]), [Effect::Look(Some(2))]);
    looked(&mut state, &[(2, "b")], Some(told(2, 3)));
    let effects = press(&mut state, &[Key::Down, Key::Open]);
    assert_eq!(effects, [Effect::Follow("2/main[2]".into())]);
    state.handle(Input::Output(OutputChunk { data: b"one\ntwo\n".to_vec(), ..Default::default() }));
    state.handle(Input::OutputEnded);
    let output = state.output.clone().unwrap();
    assert_eq!((output.lines.len(), output.ended), (2, true));
    assert_eq!(press(&mut state, &[Key::Back]), [Effect::Unfollow]);
    assert_eq!(state.opened(), Some(2));
    press(&mut state, &[Key::Back]);
    assert_eq!((state.opened(), state.selected), (None, Some(2)));
}

#[test]
fn a_late_answer_of_another_run_is_left_out() {
    let mut state = started();
    press(&mut state, &[Key::Open]);
    looked(&mut state, &[(3, "c")], Some(told(2, 3)));
    assert!(state.run.as_ref().unwrap().told.is_none());
}

#[test]
fn a_cancel_wants_a_yes() {
    let mut state = started();
    assert_eq!(press(&mut state, &word("cn")), []);
    assert_eq!(press(&mut state, &word("cy")), [Effect::Cancel("3".into()), Effect::Look(None)]);
    press(&mut state, &[Key::Open]);
    looked(&mut state, &[(3, "c")], Some(told(3, 2)));
    let effects = press(&mut state, &[&[Key::Down], word("cy").as_slice()].concat());
    assert_eq!(effects[0], Effect::Cancel("3/main[2]".into()));
    let mut empty = State::default();
    assert_eq!(press(&mut empty, &word("cy")), [], "there is nothing to cancel");
}

#[test]
fn a_filter_finds_words_anywhere_and_takes_letters_that_are_keys() {
    let mut state = State::default();
    looked(&mut state, &[(12, "quick"), (3, "slow")], None);
    press(&mut state, &word("/QU"));
    press(&mut state, &[Key::Char('x'), Key::Erase, Key::Open]);
    assert_eq!(state.runs().iter().map(|run| run.run).collect::<Vec<_>>(), [12]);
    assert_eq!(press(&mut state, &[Key::Open]), [Effect::Look(Some(12))]);
    press(&mut state, &[Key::Back, Key::Back]);
    assert_eq!(state.runs().len(), 2);
    press(&mut state, &word("/").repeat(2 * FILTER_MAX));
    assert_eq!(state.filter.len(), FILTER_MAX);
}

#[test]
fn whoever_reads_further_up_is_not_moved() {
    let mut state = started();
    press(&mut state, &word("l"));
    let more = || Input::Output(OutputChunk { data: b"1\n2\n3\n".to_vec(), ..Default::default() });
    state.handle(more());
    press(&mut state, &[Key::Up]);
    let shown = |state: &State| {
        let output = state.output.as_ref().unwrap();
        output.lines.window(2, output.back)
    };
    assert_eq!(shown(&state), ["1", "2"]);
    state.handle(more());
    assert_eq!(shown(&state), ["1", "2"]);
    press(&mut state, &[Key::Last]);
    assert_eq!(shown(&state), ["2", "3"]);
}

#[test]
fn it_is_left_from_everywhere() {
    for keys in ["q", "lq", "?xq"] {
        assert_eq!(press(&mut started(), &word(keys)).last(), Some(&Effect::Quit), "{keys}");
    }
    let mut asked = started();
    assert_eq!(press(&mut asked, &[Key::Char('/'), Key::Quit]), [Effect::Quit]);
}
