//! A plain HTTP client, and what it is answered.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::{HeaderMap, Request, Response};

use crate::node::Node;

/// What a node answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| {
            panic!("{} is no JSON: {error}", String::from_utf8_lossy(&self.body))
        })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The JSON of an answer with this status.
    pub(crate) fn with(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }
}

/// A request that is put together.
pub(crate) struct Call<'a> {
    node: &'a Node,
    method: &'a str,
    path: String,
    headers: Vec<(&'a str, String)>,
    body: Vec<u8>,
}

impl<'a> Call<'a> {
    pub(crate) fn get(node: &'a Node, path: impl Into<String>) -> Call<'a> {
        Call::new(node, "GET", path)
    }

    /// With JSON for a body.
    pub(crate) fn post(node: &'a Node, path: impl Into<String>, body: &Value) -> Call<'a> {
        let call = Call::new(node, "POST", path).header("content-type", "application/json");
        call.body(body.to_string())
    }

    pub(crate) fn new(node: &'a Node, method: &'a str, path: impl Into<String>) -> Call<'a> {
        let bearer = format!("Bearer {}", node.token().trim());
        let headers = vec![("authorization", bearer)];
        Call { node, method, path: path.into(), headers, body: Vec::new() }
    }

    /// Sets a header, also one that was set before.
    pub(crate) fn header(mut self, name: &'a str, value: impl Into<String>) -> Call<'a> {
        self.headers.retain(|(other, _)| *other != name);
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Call<'a> {
        self.body = body.into();
        self
    }

    fn send(self) -> Response<ureq::Body> {
        let agent: Agent = Agent::config_builder()
            .http_status_as_error(false)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .into();
        let url = format!("http://{}{}", self.node.api(), self.path);
        let mut request = Request::builder().method(self.method).uri(url);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        match self.body {
            body if body.is_empty() => agent.run(request.body(()).unwrap()).unwrap(),
            body => agent.run(request.body(body).unwrap()).unwrap(),
        }
    }

    /// The whole answer.
    pub(crate) fn answer(self) -> Answer {
        let mut answer = self.send();
        let body = answer.body_mut().read_to_vec().unwrap();
        Answer { status: answer.status().as_u16(), headers: answer.headers().clone(), body }
    }

    /// The answer as it comes, line by line.
    pub(crate) fn lines(self) -> impl Iterator<Item = String> {
        let answer = self.header("accept-encoding", "identity").send();
        assert_eq!(answer.status(), 200);
        BufReader::new(answer.into_body().into_reader()).lines().map_while(Result::ok)
    }

    /// The events of an answer as they come.
    pub(crate) fn events(self) -> impl Iterator<Item = Event> {
        let mut lines = self.header("accept", "text/event-stream").lines();
        std::iter::from_fn(move || {
            let mut event = Event::default();
            for line in lines.by_ref() {
                match line.split_once(':') {
                    Some(("id", id)) => event.id = id.trim().to_owned(),
                    Some(("event", name)) => event.name = name.trim().to_owned(),
                    Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
                    _ if line.is_empty() && !event.name.is_empty() => return Some(event),
                    _ => {}
                }
            }
            None
        })
    }
}

/// One Server-Sent Event.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}
