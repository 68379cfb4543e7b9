//! Answers to what changes something.

use proto::api;
use serde::Serialize;
use utoipa::ToSchema;

/// The answer to a submit and to a rerun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Submitted {
    /// The run's number.
    #[schema(example = 812)]
    pub run: u64,
    /// The idempotency key was used before; this is the run it made then.
    pub repeated: bool,
}

impl From<&api::SubmitResponse> for Submitted {
    fn from(answer: &api::SubmitResponse) -> Submitted {
        Submitted { run: answer.run, repeated: answer.repeated }
    }
}

/// What was canceled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Cancellation {
    /// One for each id, in their order.
    pub canceled: Vec<Canceled>,
}

impl From<&[api::Canceled]> for Cancellation {
    fn from(canceled: &[api::Canceled]) -> Cancellation {
        Cancellation { canceled: canceled.iter().map(Canceled::from).collect() }
    }
}

/// What was canceled of what an id points at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Canceled {
    /// The id.
    #[schema(example = "812")]
    pub id: String,
    /// Elements that had not started and are canceled now.
    pub canceled: u64,
    /// Elements that are being stopped.
    pub stopping: u64,
    /// Elements that had ended before.
    pub already_ended: u64,
}

impl From<&api::Canceled> for Canceled {
    fn from(canceled: &api::Canceled) -> Canceled {
        Canceled {
            id: canceled.id.clone(),
            canceled: canceled.ended,
            stopping: canceled.stopping,
            already_ended: canceled.already_ended,
        }
    }
}

/// What went from history, or would go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Purged {
    /// Runs.
    pub runs: u64,
    /// Their elements.
    pub elements: u64,
    /// What they take on disk, about.
    pub bytes: u64,
    /// Nothing went; this is what would.
    pub dry_run: bool,
}

impl Purged {
    /// What went, or with `dry_run` would go.
    pub fn new(purged: &api::PurgeResponse, dry_run: bool) -> Purged {
        let api::PurgeResponse { runs, elements, bytes } = *purged;
        Purged { runs, elements, bytes, dry_run }
    }
}

/// Which version answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Version {
    /// The binary's version.
    #[schema(example = "0.1.0")]
    pub version: String,
}

/// What `windlass version --json` prints: of the client, and of the node it would speak to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Versions {
    /// The client's version.
    #[schema(example = "0.1.0")]
    pub version: String,
    /// The level of the records the client knows.
    #[schema(example = 2)]
    pub level: u32,
    /// `null` where no node answers.
    pub server: Option<ServerVersion>,
}

/// Which version of a node answers, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ServerVersion {
    /// The node's version.
    #[schema(example = "0.1.0")]
    pub version: String,
    /// The level of the records it writes.
    #[schema(example = 2)]
    pub level: u32,
    /// Its name.
    #[schema(example = "alpha")]
    pub node: String,
    /// Where it was asked.
    #[schema(example = "127.0.0.1:7400")]
    pub address: String,
}
