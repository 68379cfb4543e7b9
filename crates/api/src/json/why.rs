//! Why elements are where they are.

use proto::api;
use serde::Serialize;
use utoipa::ToSchema;

use super::element::Attempt;
use super::shape::Resources;
use super::{at_ms, text};

/// Why what is selected is where it is.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Whys {
    /// Elements with the same answer are one group; what has not ended comes first.
    pub groups: Vec<Why>,
}

impl From<&api::WhyResponse> for Whys {
    fn from(answer: &api::WhyResponse) -> Whys {
        Whys { groups: answer.groups.iter().map(Why::from).collect() }
    }
}

/// Why some elements are where they are.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Why {
    /// Which.
    #[schema(example = "812/main[3-9]")]
    pub id: String,
    /// Their task.
    pub task: String,
    /// Those of the array's own indices that lie in these ranges, first and last; at most 256.
    pub elements: Vec<(u32, u32)>,
    /// How many they are, those included that `elements` has no place for.
    pub count: u64,
    /// The state all of them are in.
    pub state: String,
    /// Since when; of several the earliest.
    #[schema(format = "date-time")]
    pub since: Option<String>,
    /// Every reason, at least one.
    pub reasons: Vec<Reason>,
    /// What is usual, as far as history tells.
    pub usual: Option<Usual>,
    /// The attempts so far, where it is one element.
    pub attempts: Vec<Attempt>,
}

impl From<&api::Why> for Why {
    fn from(why: &api::Why) -> Why {
        Why {
            id: why.id.clone(),
            task: why.task.clone(),
            elements: why.elements.iter().map(|range| (range.first, range.last)).collect(),
            count: why.count,
            state: why.state.clone(),
            since: at_ms(why.since_ms),
            reasons: why.reasons.iter().map(Reason::from).collect(),
            usual: why.usual.as_ref().map(Usual::from),
            attempts: why.attempts.iter().map(Attempt::from).collect(),
        }
    }
}

/// One reason.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Reason {
    /// What kind of reason it is.
    #[schema(example = "no_room")]
    pub code: String,
    /// In words.
    pub text: String,
    /// What would change it, in words.
    pub change: String,
    /// The node it is about.
    pub node: Option<String>,
    /// When it is over.
    #[schema(format = "date-time")]
    pub until: Option<String>,
    /// Who holds what is missing, or with `behind` gets it first; the biggest first.
    pub holders: Vec<Holder>,
}

impl From<&api::Reason> for Reason {
    fn from(reason: &api::Reason) -> Reason {
        Reason {
            code: reason.code.clone(),
            text: reason.text.clone(),
            change: reason.change.clone(),
            node: text(&reason.node),
            until: at_ms(reason.until_ms),
            holders: reason.holders.iter().map(Holder::from).collect(),
        }
    }
}

/// A run that holds room on a node, or gets it first.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Holder {
    /// The run.
    pub run: u64,
    /// Its job's name.
    pub name: Option<String>,
    /// How many of its elements do.
    pub elements: u64,
    /// What they reserve together.
    pub reserved: Option<Resources>,
}

impl From<&api::Holder> for Holder {
    fn from(holder: &api::Holder) -> Holder {
        Holder {
            run: holder.run,
            name: text(&holder.name),
            elements: holder.elements,
            reserved: holder.reserved.as_ref().map(Resources::from),
        }
    }
}

/// What is usual, as far as history tells.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Usual {
    /// Successful attempts of such elements that were looked at.
    pub attempts: u64,
    /// How long the one in the middle ran, in milliseconds.
    pub run_ms: u64,
    /// About how long it has yet to wait for a node, in milliseconds.
    pub wait_ms: Option<u64>,
}

impl From<&api::Usual> for Usual {
    fn from(usual: &api::Usual) -> Usual {
        Usual { attempts: usual.attempts, run_ms: usual.run_ms, wait_ms: usual.wait_ms }
    }
}
