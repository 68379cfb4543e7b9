//! What tasks wrote, and the lines in which a run is told as it goes on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proto::api;
use serde::Serialize;
use utoipa::ToSchema;

use super::at_us;
use super::run::Ended;

/// One line of a run that is told as it goes on: `submitted`, any number of `output`, `ended`.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Line {
    /// The run has its number.
    Submitted {
        /// That number.
        run: u64,
    },
    /// A task wrote something.
    Output(Output),
    /// The run has ended.
    Ended(Ended),
}

/// A piece of output. It may begin and end anywhere, also inside a line.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Output {
    /// The run, where it is known.
    pub run: Option<u64>,
    /// The task's name.
    pub task: String,
    /// The element's index.
    pub index: u32,
    /// The attempt's number.
    pub attempt: u32,
    /// What it was written to.
    pub stream: Stream,
    /// Where `data` begins in its stream of its attempt, in bytes.
    pub offset: u64,
    /// When it was written.
    #[schema(format = "date-time")]
    pub at: Option<String>,
    /// How `data` is written here.
    pub encoding: Encoding,
    /// The bytes.
    pub data: String,
}

/// What a task wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
    /// Nothing: these are words of Windlass itself, such as what was dropped.
    Mark,
}

/// How bytes are written in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub enum Encoding {
    /// They are text.
    #[serde(rename = "utf-8")]
    Utf8,
    /// They are not.
    #[serde(rename = "base64")]
    Base64,
}

impl Output {
    /// A piece of the output of `run`, where that is known.
    pub fn new(run: Option<u64>, chunk: &api::OutputChunk) -> Output {
        let (encoding, data) = match std::str::from_utf8(&chunk.data) {
            Ok(text) => (Encoding::Utf8, text.to_owned()),
            Err(_) => (Encoding::Base64, BASE64.encode(&chunk.data)),
        };
        Output {
            run,
            task: chunk.task_name.clone(),
            index: chunk.index,
            attempt: chunk.attempt,
            stream: match chunk.stream {
                1 => Stream::Stdout,
                2 => Stream::Stderr,
                _ => Stream::Mark,
            },
            offset: chunk.offset,
            at: at_us(chunk.time_us),
            encoding,
            data,
        }
    }
}
