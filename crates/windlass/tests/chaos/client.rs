//! A program that speaks REST to the node of the machine it is on.

use std::time::Duration;

use serde_json::Value;
use ureq::Agent;
use ureq::http::Request;

use crate::machine::Machine;

/// Whoever hears nothing for so long asks somebody else.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(10);

/// What a node answered.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The JSON of an answer with this status.
    pub(crate) fn with(self, status: u16) -> Result<Value, String> {
        if self.status == status { Ok(self.json()) } else { Err(self.text()) }
    }

    /// Whether another node, or the same a little later, may do better: it has no leader, too much
    /// to do, or is on its way out.
    pub(crate) fn passes(&self) -> bool {
        matches!(self.status, 429 | 503)
    }
}

/// What is asked.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call<'a> {
    method: &'a str,
    path: String,
    key: Option<&'a str>,
    accept: &'a str,
    body: Option<&'a Value>,
}

impl<'a> Call<'a> {
    pub(crate) fn get(path: String) -> Call<'a> {
        Call { method: "GET", path, accept: "application/json", ..Call::default() }
    }

    pub(crate) fn post(path: String, body: &'a Value) -> Call<'a> {
        Call { method: "POST", body: Some(body), ..Call::get(path) }
    }

    pub(crate) fn accept(self, accept: &'a str) -> Call<'a> {
        Call { accept, ..self }
    }

    /// The same key is the same submit.
    pub(crate) fn key(self, key: &'a str) -> Call<'a> {
        Call { key: Some(key), ..self }
    }

    /// Asks the machine's node once; an error says why there is no answer.
    pub(crate) fn at(&self, machine: &Machine) -> Result<Answer, String> {
        machine.host.within(|| self.here(machine)).map_err(|error| error.to_string())
    }

    fn here(&self, machine: &Machine) -> Result<Answer, ureq::Error> {
        let config = Agent::config_builder().http_status_as_error(false);
        let config = config.timeout_global(Some(ANSWER_WITHIN));
        let agent: Agent = config.build().into();
        let request = Request::builder().method(self.method);
        let request = request.uri(format!("http://{}{}", machine.api(), self.path));
        let request = request.header("authorization", format!("Bearer {}", machine.token()));
        let request = request.header("accept", self.accept);
        let request = match self.key {
            Some(key) => request.header("idempotency-key", key),
            None => request,
        };
        let mut answer = match self.body {
            None => agent.run(request.body(()).unwrap())?,
            Some(body) => {
                let request = request.header("content-type", "application/json");
                agent.run(request.body(body.to_string()).unwrap())?
            }
        };
        let body = answer.body_mut().with_config().limit(64 << 20).read_to_vec()?;
        Ok(Answer { status: answer.status().as_u16(), body })
    }
}
