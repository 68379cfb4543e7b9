//! Lists that are uploaded, and jobs that name one.

use serde_json::json;

use super::client::Call;
use crate::node::Home;

#[test]
fn a_list_is_uploaded_and_used() {
    let node = Home::new().up();
    let upload = |kind: &str, body: &str| {
        Call::new(&node, "POST", format!("/v1/lists?kind={kind}"))
            .header("content-type", "text/plain")
            .body(body)
            .answer()
    };
    let list = upload("lines", "a\nb\n").with(201);
    assert_eq!((&list["items"], &list["bytes"]), (&json!(2), &json!(4)));
    let task = json!({
        "command": ["sh", "-c", "echo $WINDLASS_ITEM"],
        "array": { "first": 1, "last": 2 },
        "items": { "blob": list["blob"], "kind": "lines" },
    });
    Call::post(&node, "/v1/runs", &json!({ "tasks": [task] })).answer().with(201);
    let output = Call::get(&node, "/v1/runs/1/output?follow=true&select=[2]").answer();
    assert_eq!(output.body, b"b\n");

    assert_eq!(upload("json", "{}").with(422)["type"], "urn:windlass:problem:unfit");
    assert_eq!(upload("words", "a").with(400)["type"], "urn:windlass:problem:bad-request");
    let task = json!({
        "command": ["true"], "array": { "first": 1, "last": 1 },
        "items": { "blob": "0".repeat(64), "kind": "lines" },
    });
    let missing = Call::post(&node, "/v1/runs", &json!({ "tasks": [task] })).answer().with(422);
    assert_eq!(missing["errors"][0]["field"], "tasks[0].items");
}
