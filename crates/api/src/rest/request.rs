//! What comes with a request: its caller, parameters, body, and what its path points at.

use std::time::Duration;

use axum::body::Body as HttpBody;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use model::job::Fault;
use model::job::limits::FAULTS_MAX;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_path_to_error::{Path as FieldPath, Segment};

use super::problem::Problem;
use crate::caller::Caller;

/// Bytes of a job and of any other JSON that is sent.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Of a larger one fewer faults are looked for: each takes another reading.
const LARGE: usize = 256 << 10;
/// So many.
const FEW_FAULTS: usize = 10;
/// What is listened to of the rest of a body that is too long.
const REST_BYTES_MAX: usize = 4 << 20;
/// For how long.
const REST_WITHIN: Duration = Duration::from_secs(5);
/// How long a caller may take to send it.
const BODY_WITHIN: Duration = Duration::from_secs(30);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Caller, Problem> {
        Ok(Caller::of(&parts.extensions)?)
    }
}

/// The parameters behind the `?`. One that is not known is refused: a filter with a wrong name
/// would want everything.
pub(super) struct Params<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Params<T>, Problem> {
        let query = parts.uri.query().unwrap_or_default();
        let pairs = serde_html_form::Deserializer::from_bytes(query.as_bytes());
        match serde_path_to_error::deserialize(pairs) {
            Ok(params) => Ok(Params(params)),
            Err(error) => {
                let (field, problem) = (name(error.path()), error.inner().to_string());
                let detail = format!("the parameters cannot be read: {field}: {problem}");
                Err(Problem::bad_request(detail))
            }
        }
    }
}

/// The `{id}` of a path: the number of a run, `last`, or the name of a job.
pub(super) struct Id(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Id, Problem> {
        let path = Path::<Vec<(String, String)>>::from_request_parts(parts, state).await;
        let path = path.map_err(|error| Problem::bad_request(error.body_text()))?;
        let id = path.0.into_iter().find(|(name, _)| name == "id").map(|(_, id)| id);
        let id = id.unwrap_or_default();
        if id.contains(['/', '[', '#']) {
            let problem = Problem::parameter("id", format!("`{id}` is more than a run"));
            let hint = "name the run in the path and parts of it in `?select=`: `/v1/runs/812?select=main[3-7]`";
            return Err(problem.hint(hint));
        }
        Ok(Id(id))
    }
}

impl Id {
    /// The run, or what `select` points at in it: `main[3-7]`, `[3]`, `main#2`.
    pub(super) fn select(self, select: Option<&str>) -> String {
        match select {
            None | Some("") => self.0,
            Some(part) if part.starts_with(['[', '#']) => self.0 + part,
            Some(part) => format!("{}/{part}", self.0),
        }
    }
}

/// JSON that was sent, and everything in it that could not be read, which is left out.
pub(crate) struct Body<T> {
    pub(crate) value: T,
    pub(crate) faults: Vec<Fault>,
}

impl<T> Body<T> {
    /// The value, or all faults.
    pub(crate) fn whole(self) -> Result<T, Problem> {
        if self.faults.is_empty() { Ok(self.value) } else { Err(Problem::faults(self.faults)) }
    }
}

impl<T: DeserializeOwned + Serialize + Default, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Body<T>, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = read(body).await?;
        // What has no field that must be there may be left out altogether.
        if bytes.is_empty() && !parts.headers.contains_key(CONTENT_TYPE) {
            return Ok(Body { value: T::default(), faults: Vec::new() });
        }
        if !is_json(&parts.headers) {
            let title = "the body is not of a type that is understood";
            let detail = "the body must be JSON, with `content-type: application/json`".to_owned();
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(Problem::new(status, "unsupported-media-type", title, detail));
        }
        parse(&bytes)
    }
}

/// All of a body, if it is not too long and does not take too long.
async fn read(mut body: HttpBody) -> Result<Bytes, Problem> {
    let mut limited = Limited::new(&mut body, BODY_BYTES_MAX);
    match tokio::time::timeout(BODY_WITHIN, (&mut limited).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            // Who is cut off while they speak often does not hear why.
            let rest = Limited::new(body, REST_BYTES_MAX).collect();
            let _ = tokio::time::timeout(REST_WITHIN, rest).await;
            let detail = format!("the body is larger than {BODY_BYTES_MAX} bytes");
            let status = StatusCode::PAYLOAD_TOO_LARGE;
            Err(Problem::new(status, "too-large", "the body is too large", detail))
        }
        Ok(Err(error)) => Err(Problem::bad_request(format!("the body ended early: {error}"))),
        Err(_) => Err(slow("the body")),
    }
}

/// The problem of a caller that is too slow.
pub(super) fn slow(what: &str) -> Problem {
    let detail = format!("{what} did not come within {} s", BODY_WITHIN.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the request takes too long", detail)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    kind == "application/json" || (kind.starts_with("application/") && kind.ends_with("+json"))
}

/// Reads JSON. What has the wrong form is noted and taken out, and the rest is read again, so that
/// every fault is found.
pub(crate) fn parse<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<Body<T>, Problem> {
    let mut value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad_request(format!("the body is not JSON: {error}")))?;
    let mut faults = Vec::new();
    let most = if bytes.len() > LARGE { FEW_FAULTS } else { FAULTS_MAX };
    loop {
        let error = match serde_path_to_error::deserialize::<_, T>(&value) {
            Ok(read) => {
                let shown = serde_json::to_value(&read).expect("what is read can be shown");
                lists_for_objects(&value, &shown, "", &mut faults);
                return Ok(Body { value: read, faults });
            }
            Err(error) => error,
        };
        faults.push(Fault { field: name(error.path()), problem: error.inner().to_string() });
        if faults.len() >= most || !take_out(&mut value, error.path()) {
            return Err(Problem::faults(faults));
        }
    }
}

/// Names the lists that stand where an object should: `serde` takes the fields of a type in their
/// order too, which nobody means and the description does not have.
fn lists_for_objects(sent: &Value, shown: &Value, at: &str, faults: &mut Vec<Fault>) {
    match (sent, shown) {
        (Value::Array(_), Value::Object(_)) if faults.len() < FAULTS_MAX => {
            let field = if at.is_empty() { "body" } else { at };
            let problem = "must be an object, not a list".to_owned();
            faults.push(Fault { field: field.to_owned(), problem });
        }
        (Value::Object(sent), Value::Object(shown)) => {
            for (key, value) in sent {
                let Some(shown) = shown.get(key) else { continue };
                let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                lists_for_objects(value, shown, &at, faults);
            }
        }
        (Value::Array(sent), Value::Array(shown)) => {
            for (index, (value, shown)) in sent.iter().zip(shown).enumerate() {
                lists_for_objects(value, shown, &format!("{at}[{index}]"), faults);
            }
        }
        _ => {}
    }
}

/// `tasks[0].cwd`; `body` for the whole, and `""` for a key without a name.
fn name(path: &FieldPath) -> String {
    match path.to_string() {
        _ if path.iter().next().is_none() => "body".to_owned(),
        empty if empty.is_empty() => "\"\"".to_owned(),
        name => name,
    }
}

/// Takes out the field at the path, or the list that it is in; false where there is none.
fn take_out(value: &mut Value, path: &FieldPath) -> bool {
    let keys: Vec<_> = path.iter().collect();
    let is_key = |segment: &&Segment| matches!(segment, Segment::Map { .. });
    let Some(last) = keys.iter().rposition(is_key) else { return false };
    let mut at = value;
    for key in &keys[..last] {
        let next = match key {
            Segment::Map { key } => at.get_mut(key),
            Segment::Seq { index } => at.get_mut(index),
            Segment::Enum { .. } | Segment::Unknown => return false,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    match (keys[last], at) {
        (Segment::Map { key }, Value::Object(fields)) => fields.remove(key).is_some(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Job;

    fn check(text: &str, fields: &[&str]) {
        let faults = match parse::<Job>(text.as_bytes()) {
            Ok(read) => read.faults.into_iter().map(|fault| fault.field).collect(),
            Err(problem) => problem.errors.into_iter().map(|e| e.field).collect::<Vec<_>>(),
        };
        assert_eq!(faults, fields, "{text}");
    }

    #[test]
    fn every_field_that_cannot_be_read_is_named() {
        check(r#"{"tasks":[{"command":["true"]}]}"#, &[]);
        check(
            r#"{"name":7,"tasks":[{"comand":["true"],"priority":"high","array":{"first":1}}]}"#,
            &["name", "tasks[0].array", "tasks[0].comand", "tasks[0].priority"],
        );
        check(
            r#"{"tasks":[{"command":["a",7]},{"env":{"A":1}}]}"#,
            &["tasks[0].command[1]", "tasks[1].env.A"],
        );
        check(r#"{"":"mn"}"#, &["\"\""]);
        check(r#"{".":"mn"}"#, &["."]);
        check("7", &["body"]);
        check("[]", &["body"]);
        check(r#"{"tasks":[[],{"retries":[3]}]}"#, &["tasks[0]", "tasks[1].retries"]);
        check(r#"{"tasks":["x"]}"#, &["tasks[0]"]);
    }

    #[test]
    fn a_fault_in_each_of_many_fields_ends_at_a_limit() {
        let env: Vec<_> = (0..1_000).map(|at| format!(r#""A{at}":1"#)).collect();
        let text = format!(r#"{{"tasks":[{{"env":{{{}}}}}]}}"#, env.join(","));
        let problem = parse::<Job>(text.as_bytes()).err().unwrap();
        assert_eq!(problem.errors.len(), FAULTS_MAX);
    }

    #[test]
    fn parts_of_a_run_are_selected_beside_it() {
        let select = |part| Id("812".to_owned()).select(part);
        assert_eq!(select(None), "812");
        assert_eq!(select(Some("main[3-7]")), "812/main[3-7]");
        assert_eq!(select(Some("[3]#2")), "812[3]#2");
    }
}
