//! From reasons and changes to their messages.

use node::events;
use node::query;
use proto::api;

use crate::convert::attempt;

pub(super) fn why(why: query::Why) -> api::Why {
    api::Why {
        id: why.id,
        task: why.task,
        elements: ranges(&why.elements),
        count: why.count,
        state: why.state.to_string(),
        since_ms: why.since_ms,
        reasons: why.reasons.into_iter().map(reason).collect(),
        usual: why.usual.map(|usual| api::Usual {
            attempts: usual.attempts,
            run_ms: usual.run_ms,
            wait_ms: usual.wait_ms,
        }),
        attempts: why.attempts.into_iter().map(attempt).collect(),
    }
}

fn reason(reason: query::Reason) -> api::Reason {
    let holder = |holder: query::Holder| api::Holder {
        run: holder.run.0,
        name: holder.name,
        elements: holder.elements,
        reserved: Some(holder.reserved.into()),
    };
    api::Reason {
        code: reason.code.to_string(),
        text: reason.text,
        change: reason.change,
        node: reason.node,
        until_ms: reason.until_ms,
        holders: reason.holders.into_iter().map(holder).collect(),
    }
}

pub(crate) fn event(event: &events::Event) -> api::Event {
    api::Event {
        kind: event.kind.to_string(),
        time_ms: event.time_ms,
        id: event.id(),
        run: event.run.map_or(0, |run| run.0),
        name: event.name.to_string(),
        task: event.task.to_string(),
        elements: ranges(&event.elements),
        count: event.count,
        attempt: event.attempt,
        node: event.node_name.to_string(),
        state: event.state.map(|state| state.to_string()).unwrap_or_default(),
        exit_code: event.exit_code,
        summary: event.summary.clone(),
        because: event.because.as_deref().cloned().map(Into::into),
    }
}

fn ranges(ranges: &[(u32, u32)]) -> Vec<api::IndexRange> {
    ranges.iter().map(|(first, last)| api::IndexRange { first: *first, last: *last }).collect()
}
