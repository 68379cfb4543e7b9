//! JSON Schemas (2020-12) of what each command prints with `--json`, made of the types themselves.

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use super::{
    Audit, Cancellation, Change, ClusterSnapshot, ClusterStatus, CreatedToken, Ends, Event,
    History, JoinToken, Line, Node, NodeDetail, Nodes, Purged, Removed, Resumed, RunPage,
    RunStatus, Settings, Submitted, Tokens, Versions, Whys,
};

/// Where the schemas of parts stand in OpenAPI, and where in a schema of its own.
const IN_OPENAPI: &str = "#/components/schemas/";
const IN_SCHEMA: &str = "#/$defs/";

/// What a command prints with `--json`.
#[derive(Clone, Debug)]
pub struct CommandSchema {
    /// The words of the command: `node ls`.
    pub command: &'static str,
    /// It prints many documents, one a line.
    pub lines: bool,
    /// The schema of a document.
    pub schema: Value,
}

/// The schema of every command that has `--json`.
pub fn schemas() -> Vec<CommandSchema> {
    let one = |command, schema| CommandSchema { command, lines: false, schema };
    let lines = |command, schema| CommandSchema { command, lines: true, schema };
    vec![
        one("audit", schema::<Audit>("audit")),
        lines("audit --follow", schema::<Change>("audit --follow")),
        one("cancel", schema::<Cancellation>("cancel")),
        one("cluster remove", schema::<Removed>("cluster remove")),
        one("cluster snapshot check", schema::<ClusterSnapshot>("cluster snapshot check")),
        one("config show", schema::<Settings>("config show")),
        lines("events", schema::<Event>("events")),
        one("history", schema::<History>("history")),
        lines("logs", schema::<Line>("logs")),
        one("node drain", schema::<Node>("node drain")),
        one("node ls", schema::<Nodes>("node ls")),
        one("node resume", schema::<Resumed>("node resume")),
        one("node rm", schema::<Removed>("node rm")),
        one("node status", schema::<NodeDetail>("node status")),
        one("ps", schema::<RunPage>("ps")),
        one("purge", schema::<Purged>("purge")),
        one("rerun", schema::<Submitted>("rerun")),
        lines("run", schema::<Line>("run")),
        one("run --detach", schema::<Submitted>("run --detach")),
        one("status", schema::<RunStatus>("status")),
        one("cluster status", schema::<ClusterStatus>("cluster status")),
        one("cluster token", schema::<JoinToken>("cluster token")),
        one("token create", schema::<CreatedToken>("token create")),
        one("token ls", schema::<Tokens>("token ls")),
        one("version", schema::<Versions>("version")),
        one("wait", schema::<Ends>("wait")),
        one("why", schema::<Whys>("why")),
    ]
}

fn schema<T: ToSchema>(command: &str) -> Value {
    let mut parts = Vec::new();
    T::schemas(&mut parts);
    parts.push((T::name().into_owned(), T::schema()));
    let parts = parts.into_iter().map(|(name, part)| (name, value(&part)));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format!("windlass {command} --json"),
        "$ref": format!("{IN_SCHEMA}{}", T::name()),
        "$defs": parts.collect::<Map<_, _>>(),
    })
}

/// A part as a schema of its own: OpenAPI 3.1 says all else as JSON Schema does.
fn value(part: &RefOr<Schema>) -> Value {
    let mut value = serde_json::to_value(part).expect("a schema is JSON");
    rewrite(&mut value);
    value
}

fn rewrite(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(target)) = fields.get_mut("$ref")
                && let Some(name) = target.strip_prefix(IN_OPENAPI)
            {
                *target = format!("{IN_SCHEMA}{name}");
            }
            // OpenAPI's own word; JSON Schema has a list.
            if fields.get("example").is_some_and(|example| !example.is_object())
                && let Some(example) = fields.remove("example")
            {
                fields.insert("examples".to_owned(), json!([example]));
            }
            fields.values_mut().for_each(rewrite);
        }
        Value::Array(items) => items.iter_mut().for_each(rewrite),
        _ => {}
    }
}
