//! The page `docs/reference/json.md` held against the types.

use proto::{api, job};
use serde_json::{Value, json};

use super::*;

fn value(of: impl serde::Serialize) -> Value {
    serde_json::to_value(of).unwrap()
}

#[test]
fn output_that_is_no_text_is_base64() {
    let output = |data: &[u8]| {
        let chunk = api::OutputChunk { data: data.to_vec(), ..Default::default() };
        value(Output::new(None, &chunk))
    };
    assert_eq!(output("é".as_bytes())["data"], "é");
    let raw = output(&[0xff, 0xfe]);
    assert_eq!((&raw["encoding"], &raw["data"]), (&json!("base64"), &json!("//4=")));
}

#[test]
fn what_has_not_happened_is_null() {
    let run = api::RunSummary { run: 7, state: "queued".into(), ..Default::default() };
    let run = value(Run::from(&run));
    assert_eq!((&run["ended_at"], &run["name"]), (&Value::Null, &Value::Null));
}

#[test]
fn a_line_names_its_event_first() {
    let line = |line: Line| serde_json::to_string(&line).unwrap();
    assert_eq!(line(Line::Submitted { run: 812 }), r#"{"event":"submitted","run":812}"#);
    let ended = Line::Ended(Ended::from(&api::RunEnd::default()));
    assert!(line(ended).starts_with(r#"{"event":"ended","exit_code":0,"#));
}

/// A job in which everything is set.
fn full() -> job::Job {
    let task = job::Task {
        name: "main".into(),
        command: vec!["true".into()],
        env: vec![job::Variable { name: "MODE".into(), value: "1".into() }],
        cwd: "/tmp".into(),
        array: Some(job::Array { first: 1, last: 9, step: 2, parallel_max: 3 }),
        resources: Some(job::Resources { cpu_milli: 1, memory_bytes: 2 }),
        items: Some(job::Items { blob: vec![7; 32], ..Default::default() }),
        max_failed: Some(model::MaxFailed::Count(1).into()),
        warn: Some(job::Warn { signal: 10, before_ms: 1 }),
        retries: Some(job::Retries {
            backoff: Some(job::Backoff { factor_milli: 1_500, ..Default::default() }),
            on: Some(job::Conditions { codes: vec![7], reasons: vec![3], ..Default::default() }),
            ..Default::default()
        }),
        placement: Some(model::Placement::parse("spread,headroom=25%").unwrap().into()),
        timeout_ms: 5,
        ..Default::default()
    };
    job::Job {
        tasks: vec![task],
        namespace: "default".into(),
        retention: Some(model::Retention::default().into()),
        ..Default::default()
    }
}

#[test]
fn what_is_shown_of_a_job_makes_the_same_job() {
    let shown = Job::from(&full());
    let text = serde_json::to_string(&shown).unwrap();
    let read: Job = serde_json::from_str(&text).unwrap();
    assert_eq!(read.into_spec().unwrap(), model::JobSpec::try_from(full()).unwrap());
}

#[test]
fn what_is_left_out_of_a_job_is_as_the_model_has_it() {
    let read: Job = serde_json::from_str(r#"{"tasks":[{"command":["true"]}]}"#).unwrap();
    let usual = model::TaskSpec::new(vec!["true".into()]);
    let spec = read.into_spec().unwrap();
    assert_eq!((spec.tasks, spec.namespace.as_str()), (vec![usual], "default"));
}

#[test]
fn every_fault_of_the_form_is_named() {
    let text = r#"{"tasks":[{"items":{"blob":"xy","kind":"json"},"max_failed":{}},
        {"retries":{"backoff":{"factor":-1}}}]}"#;
    let faults = serde_json::from_str::<Job>(text).unwrap().into_spec().unwrap_err();
    let fields: Vec<_> = faults.iter().map(|fault| fault.field.as_str()).collect();
    let expected =
        ["tasks[0].items.blob", "tasks[0].max_failed", "tasks[1].retries.backoff.factor"];
    assert_eq!(fields, expected);
}

/// The JSON blocks of the page that documents them.
fn documented() -> Vec<Value> {
    let page = include_str!("../../../../docs/reference/json.md");
    let blocks = page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks
        .flat_map(|block| serde_json::Deserializer::from_str(block).into_iter())
        .flatten()
        .collect()
}

/// Whether two values have the same fields, as deep as both have any.
fn alike(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) if a.is_empty() || b.is_empty() => true,
        (Value::Object(a), Value::Object(b)) => {
            a.keys().eq(b.keys()) && a.iter().all(|(key, value)| alike(value, &b[key]))
        }
        (Value::Array(a), Value::Array(b)) => a.iter().zip(b).all(|(a, b)| alike(a, b)),
        _ => true,
    }
}

#[test]
fn what_is_printed_is_what_is_documented() {
    let attempt = api::AttemptStatus { outcome: Some(Default::default()), ..Default::default() };
    let element = api::ElementStatus { attempts: vec![attempt], ..Default::default() };
    let answer = api::GetRunResponse {
        run: Some(Default::default()),
        job: Some(full()),
        elements: vec![element],
        canceled: Some(Default::default()),
        ..Default::default()
    };
    let end = Ended::from(&api::RunEnd { run: Some(Default::default()), ..Default::default() });
    let node = api::NodeStatus {
        capacity: Some(Default::default()),
        reserved: Some(Default::default()),
        ..Default::default()
    };
    let printed = [
        value(Run::from(&api::RunSummary::default())),
        value(RunPage::new(&[], 0)),
        value(RunStatus::from(&answer)),
        value(Line::Submitted { run: 1 }),
        value(Line::Output(Output::new(None, &Default::default()))),
        value(Line::Ended(end.clone())),
        value(Ends { ended: vec![EndedOf { id: "1".into(), end }] }),
        value(Cancellation::from(&[api::Canceled::default()][..])),
        value(Nodes::from(&[node][..])),
        value(Submitted { run: 1, repeated: false }),
        value(Purged::new(&Default::default(), true)),
    ];
    let documented = documented();
    for value in printed {
        let found = documented.iter().any(|other| alike(&value, other));
        assert!(found, "not as documented: {value:#}");
    }
}
