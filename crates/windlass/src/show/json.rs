//! The JSON that programs read. Its shapes are documented in `docs/reference/json.md`: fields may
//! be added, none changes its meaning.
//!
//! Instants are RFC 3339 in UTC; what has not happened is `null`.

mod spec;

use proto::{api, job};
use serde_json::{Map, Value, json};

use super::time::{rfc3339_ms, rfc3339_us};

pub(crate) fn run(run: &api::RunSummary) -> Value {
    let counts: Map<String, Value> =
        run.counts.iter().map(|count| (count.state.clone(), json!(count.count))).collect();
    let labels: Map<String, Value> =
        run.labels.iter().map(|label| (label.name.clone(), json!(label.value))).collect();
    json!({
        "run": run.run,
        "name": text(&run.name),
        "labels": labels,
        "owner": text(&run.owner),
        "state": run.state,
        "elements": run.elements,
        "counts": counts,
        "command": run.command,
        "submitted_at": at_ms(run.submitted_ms),
        "started_at": at_us(run.started_us),
        "ended_at": at_ms(run.ended_ms),
        "exit_code": run.exit_code,
    })
}

pub(crate) fn runs(runs: &[api::RunSummary], next_before: u64) -> Value {
    json!({
        "runs": runs.iter().map(run).collect::<Vec<_>>(),
        "next_before": (next_before > 0).then_some(next_before),
    })
}

pub(crate) fn status(answer: &api::GetRunResponse) -> Value {
    json!({
        "run": answer.run.as_ref().map(run),
        "job": answer.job.as_ref().map(spec::job),
        "elements": answer.elements.iter().map(element).collect::<Vec<_>>(),
        "elements_total": answer.elements_total,
        "canceled": answer.canceled.as_ref().map(because),
        "rerun_of": (answer.rerun_of > 0).then_some(answer.rerun_of),
    })
}

fn element(element: &api::ElementStatus) -> Value {
    json!({
        "id": element.id,
        "uuid": element.uuid,
        "task": element.task,
        "index": element.index,
        "state": element.state,
        "attempts": element.attempts.iter().map(attempt).collect::<Vec<_>>(),
        "because": element.because.as_ref().map(because),
    })
}

fn attempt(attempt: &api::AttemptStatus) -> Value {
    json!({
        "number": attempt.number,
        "state": attempt.state,
        "node": attempt.node,
        "fence": attempt.fence,
        "placed_at": at_ms(attempt.placed_ms),
        "started_at": at_us(attempt.started_us),
        "ended_at": at_us(attempt.ended_us),
        "summary": text(&attempt.summary),
        "because": attempt.because.as_ref().map(because),
        "outcome": attempt.outcome.as_ref().map(outcome),
    })
}

fn outcome(outcome: &job::Outcome) -> Value {
    use job::outcome::Ending;
    let ending = outcome.ending.as_ref();
    json!({
        "exit_code": match ending { Some(Ending::Exited(code)) => Some(code), _ => None },
        "signal": match ending { Some(Ending::Signaled(signal)) => Some(signal), _ => None },
        "not_started": match ending { Some(Ending::NotStarted(not)) => Some(&not.why), _ => None },
        "gone": matches!(ending, Some(Ending::Gone(_))),
        "stopped": match outcome.stopped() {
            job::StopCause::None => None,
            job::StopCause::Cancel => Some("cancel"),
            job::StopCause::Timeout => Some("timeout"),
            job::StopCause::Down => Some("down"),
            job::StopCause::Deadline => Some("deadline"),
        },
        "cpu_us": outcome.cpu_us,
        "memory_peak_bytes": outcome.memory_peak_bytes,
        "output_bytes": outcome.output_bytes,
        "output_dropped_bytes": outcome.output_dropped_bytes,
        "output_truncated": outcome.output_truncated,
    })
}

pub(crate) fn ended(end: &api::RunEnd) -> Value {
    json!({
        "exit_code": end.exit_code,
        "summary": end.summary,
        "run": end.run.as_ref().map(run),
    })
}

pub(crate) fn output(run: Option<u64>, chunk: &api::OutputChunk) -> Value {
    let (encoding, data) = match std::str::from_utf8(&chunk.data) {
        Ok(text) => ("utf-8", text.to_owned()),
        Err(_) => ("base64", base64(&chunk.data)),
    };
    json!({
        "event": "output",
        "run": run,
        "task": chunk.task_name,
        "index": chunk.index,
        "attempt": chunk.attempt,
        "stream": match chunk.stream { 1 => "stdout", 2 => "stderr", _ => "mark" },
        "offset": chunk.offset,
        "at": at_us(chunk.time_us),
        "encoding": encoding,
        "data": data,
    })
}

pub(crate) fn canceled(canceled: &[api::Canceled]) -> Value {
    let one = |c: &api::Canceled| {
        json!({
            "id": c.id,
            "canceled": c.ended,
            "stopping": c.stopping,
            "already_ended": c.already_ended,
        })
    };
    json!({ "canceled": canceled.iter().map(one).collect::<Vec<_>>() })
}

pub(crate) fn nodes(nodes: &[api::NodeStatus]) -> Value {
    let one = |node: &api::NodeStatus| {
        let labels: Map<String, Value> =
            node.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        json!({
            "id": node.id,
            "name": node.name,
            "state": node.state,
            "reason": text(&node.reason),
            "capacity": node.capacity.as_ref().map(resources),
            "reserved": node.reserved.as_ref().map(resources),
            "running": node.running,
            "waiting": node.waiting,
            "epoch": node.epoch,
            "version": node.version,
            "containment": node.containment,
            "labels": labels,
        })
    };
    json!({ "nodes": nodes.iter().map(one).collect::<Vec<_>>() })
}

fn because(because: &job::Because) -> Value {
    json!({ "actor": because.actor, "reason": text(&because.reason) })
}

fn resources(resources: &job::Resources) -> Value {
    json!({ "cpu_milli": resources.cpu_milli, "memory_bytes": resources.memory_bytes })
}

fn text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn at_ms(ms: u64) -> Option<String> {
    (ms > 0).then(|| rfc3339_ms(ms))
}

fn at_us(us: u64) -> Option<String> {
    (us > 0).then(|| rfc3339_us(us))
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let byte = |at: usize| u32::from(three.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for at in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63] as char;
            text.push(if at <= three.len() { letter } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_that_is_no_text_is_base64() {
        let texts = ["", "f", "fo", "foo", "foob"].map(|text| base64(text.as_bytes()));
        assert_eq!(texts, ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg=="]);
        let chunk = |data: &[u8]| api::OutputChunk { data: data.to_vec(), ..Default::default() };
        assert_eq!(output(None, &chunk("é".as_bytes()))["data"], "é");
        let raw = output(None, &chunk(&[0xff, 0xfe]));
        assert_eq!((&raw["encoding"], &raw["data"]), (&json!("base64"), &json!("//4=")));
    }

    #[test]
    fn what_has_not_happened_is_null() {
        let value = run(&api::RunSummary { run: 7, state: "queued".into(), ..Default::default() });
        assert_eq!(value["ended_at"], Value::Null);
        assert_eq!(value["name"], Value::Null);
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
        let attempt =
            api::AttemptStatus { outcome: Some(Default::default()), ..Default::default() };
        let element = api::ElementStatus { attempts: vec![attempt], ..Default::default() };
        let task = job::Task {
            array: Some(Default::default()),
            resources: Some(Default::default()),
            items: Some(job::Items { blob: vec![0; 32], ..Default::default() }),
            max_failed: Some(model::MaxFailed::Count(1).into()),
            warn: Some(Default::default()),
            ..Default::default()
        };
        let answer = api::GetRunResponse {
            run: Some(Default::default()),
            job: Some(job::Job {
                tasks: vec![task],
                retention: Some(model::Retention::default().into()),
                ..Default::default()
            }),
            elements: vec![element],
            canceled: Some(Default::default()),
            ..Default::default()
        };
        let mut ended = ended(&Default::default());
        ended["event"] = json!("ended");
        let printed = [
            run(&Default::default()),
            runs(&[], 0),
            status(&answer),
            output(None, &Default::default()),
            ended,
            canceled(&[Default::default()]),
            nodes(&[Default::default()]),
        ];
        let documented = documented();
        for value in printed {
            let found = documented.iter().any(|other| alike(&value, other));
            assert!(found, "not as documented: {value:#}");
        }
    }
}
