//! Output as bytes, as lines and as events; and a reader that was cut off.

use serde_json::{Value, json};

use super::client::{Call, Event};
use crate::node::{Home, Node};

fn submit(node: &Node, script: &str, elements: u32) -> u64 {
    let array = json!({ "first": 1, "last": elements });
    let job = json!({ "tasks": [{ "command": ["sh", "-c", script], "array": array }] });
    Call::post(node, "/v1/runs", &job).answer().with(201)["run"].as_u64().unwrap()
}

#[test]
fn output_comes_in_the_form_that_is_asked_for() {
    let node = Home::new().up();
    let run = submit(&node, "echo out; echo err >&2; printf '\\377'", 1);
    let path = |query: &str| format!("/v1/runs/{run}/output?follow=true{query}");
    let bytes = |query: &str| Call::get(&node, path(query)).answer();
    assert_eq!(bytes("&stream=stdout").body, b"out\n\xff");
    assert_eq!(bytes("&stream=stderr&select=main[1]").body, b"err\n");
    assert_eq!(bytes("").header("content-type"), "application/octet-stream");
    assert_eq!(bytes("").header("x-content-type-options"), "nosniff");

    let lines = Call::get(&node, path("&stream=stderr")).header("accept", "application/x-ndjson");
    let lines: Vec<Value> = lines.lines().map(|l| serde_json::from_str(&l).unwrap()).collect();
    let [line] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&line["event"], &line["data"]), (&json!("output"), &json!("err\n")));
    assert_eq!((&line["index"], &line["stream"]), (&json!(1), &json!("stderr")));

    let events: Vec<_> = Call::get(&node, path("")).events().collect();
    let (last, output) = events.split_last().unwrap();
    assert_eq!(last.name, "end");
    assert!(output.iter().all(|event| event.name == "output" && !event.id.is_empty()));
}

/// What events say of each element's standard output.
fn texts(events: &[Event], elements: u64) -> Vec<String> {
    let of = |index: u64| {
        let own = events.iter().filter(|event| event.data["index"] == index);
        own.map(|event| event.data["data"].as_str().unwrap()).collect()
    };
    (1..=elements).map(of).collect()
}

#[test]
fn a_reader_that_was_cut_off_goes_on_without_loss_and_without_repeating() {
    let node = Home::new().up();
    // Each writes a line, waits for a file, and writes another.
    let go = node.home().path().join("go");
    let script = format!(
        "echo one $WINDLASS_INDEX; while ! test -e {}; do sleep 0.05; done; echo two",
        go.display()
    );
    let run = submit(&node, &script, 3);
    let follow = || Call::get(&node, format!("/v1/runs/{run}/output?follow=true"));
    let mut first = Vec::new();
    for event in follow().events() {
        first.push(event);
        if first.len() == 3 {
            break; // The connection is cut here, while all three go on.
        }
    }
    assert_eq!(texts(&first, 3), ["one 1\n", "one 2\n", "one 3\n"]);
    std::fs::write(go, "").unwrap();
    let from = first.last().unwrap().id.clone();
    let mut rest: Vec<_> = follow().header("last-event-id", from).events().collect();
    assert_eq!(rest.pop().unwrap().name, "end");
    assert_eq!(texts(&rest, 3), ["two\n", "two\n", "two\n"]);
    let all: Vec<_> =
        follow().header("last-event-id", rest.last().unwrap().id.clone()).events().collect();
    assert_eq!(all.len(), 1, "{all:?}");
    let bad = follow().header("accept", "text/event-stream").header("last-event-id", "x").answer();
    assert_eq!(bad.status, 422);
}

#[test]
fn a_watcher_that_was_cut_off_goes_on_behind_the_last_change() {
    let node = Home::new().up();
    let watch = |after: String| {
        Call::get(&node, "/v1/events?follow=false").header("last-event-id", after).events()
    };
    // What was before the ring begins is gone; the answer says from where on there is something.
    let gone = Call::get(&node, "/v1/events?after=0").answer().with(410);
    let oldest = gone["oldest"].as_u64().unwrap();
    let follow = || Call::get(&node, format!("/v1/events?after={oldest}")).events();
    let first = submit(&node, "true", 1);
    let of = |events: &[Event]| -> Vec<(String, u64)> {
        let own =
            events.iter().filter(|event| event.name == "change" && event.data["run"].is_u64());
        own.map(|event| {
            let kind = event.data["kind"].as_str().unwrap().to_owned();
            (kind, event.data["run"].as_u64().unwrap())
        })
        .collect()
    };
    let mut seen = Vec::new();
    for event in follow() {
        let is_end = event.data["kind"] == "run_ended" && !event.id.is_empty();
        seen.push(event);
        if is_end {
            break; // The connection is cut here.
        }
    }
    assert_eq!(of(&seen).first(), Some(&("run_created".to_owned(), first)));
    let last = seen.last().unwrap().id.clone();
    let second = submit(&node, "true", 1);
    Call::get(&node, format!("/v1/runs/{second}/wait")).answer().with(200);
    let rest: Vec<_> = watch(last).collect();
    let of_second = of(&rest);
    assert_eq!(of_second.first(), Some(&("run_created".to_owned(), second)));
    assert_eq!(of_second.last(), Some(&("run_ended".to_owned(), second)));
    assert!(of_second.iter().all(|(_, run)| *run == second));
    let own = Call::get(
        &node,
        format!("/v1/runs/{first}/events?after={oldest}&follow=false&kind=run_ended"),
    );
    assert_eq!(of(&own.events().collect::<Vec<_>>()), [("run_ended".to_owned(), first)]);
    let ahead = Call::get(&node, "/v1/events?after=999999999").answer();
    assert_eq!(ahead.with(422)["type"], "urn:windlass:problem:unfit");
    let why = Call::get(&node, format!("/v1/runs/{first}/why")).answer().with(200);
    assert_eq!(why["groups"][0]["reasons"][0]["code"], "ended");
}
