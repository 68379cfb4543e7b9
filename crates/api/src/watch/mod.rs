//! The calls that tell how things came about: why, events, and the lists they lead to.

mod convert;

pub(crate) use convert::event;
use model::{Role, Selector};
use node::Refused;
use node::events::{EventFilter, EventKind, Events};
use node::query::ElementPlace;
use proto::api;
use tonic::Status;

use crate::caller::Caller;
use crate::calls::Service;
use crate::refusal::{invalid, status};
use crate::streams::Recipient;
use crate::{convert as converted, filter};

/// Runs and kinds of one filter.
const WANTED_MAX: usize = 100;
/// Events of one message: each may name hundreds of ranges.
const EVENTS_MAX: usize = 500;
/// Elements of one page.
const ELEMENTS_MAX: u32 = 10_000;
/// Where a request names no limit.
const ELEMENTS_DEFAULT: u32 = 100;

impl Service {
    pub(crate) async fn why(
        &self,
        caller: &Caller,
        request: api::WhyRequest,
    ) -> Result<api::WhyResponse, Refused> {
        caller.need(Role::Viewer, "ask why")?;
        let groups = self.handle.why(&request.id).await?;
        Ok(api::WhyResponse { groups: groups.into_iter().map(convert::why).collect() })
    }

    pub(crate) async fn list_elements(
        &self,
        caller: &Caller,
        request: api::ListElementsRequest,
    ) -> Result<api::ListElementsResponse, Refused> {
        let api::ListElementsRequest { id, limit, states, after } = request;
        caller.need(Role::Viewer, "list elements")?;
        let states = filter::states(&states)?;
        let after =
            match after.as_str() {
                "" => None,
                text => Some(place(text).ok_or_else(|| {
                    invalid(format!("after: `{text}` is not the `next` of a page"))
                })?),
            };
        let limit = if limit == 0 { ELEMENTS_DEFAULT } else { limit.min(ELEMENTS_MAX) };
        let page = self.handle.elements(&id, &states, after, limit as usize).await?;
        Ok(api::ListElementsResponse {
            elements: page.elements.into_iter().map(converted::element).collect(),
            next: page.next.map(|at| format!("{}.{}", at.task, at.ordinal)).unwrap_or_default(),
        })
    }

    /// The changes that a request wants.
    pub(crate) async fn events(
        &self,
        caller: &Caller,
        request: &api::EventsRequest,
    ) -> Result<Events, Refused> {
        caller.need(Role::Viewer, "watch events")?;
        let wanted = request.filter.clone().unwrap_or_default();
        let filter = self.event_filter(wanted).await?;
        let after = match (request.after, request.kept) {
            (None, true) => Some(self.handle.events_after()),
            (after, _) => after,
        };
        match self.handle.events(filter.clone(), after).await {
            // More has gone while it was asked for.
            Err(Refused::TooOld { oldest }) if request.after.is_none() => {
                self.handle.events(filter, Some(oldest)).await
            }
            events => events,
        }
    }

    async fn event_filter(&self, wanted: api::EventFilter) -> Result<EventFilter, Refused> {
        let api::EventFilter { runs: ids, kinds, node, states, name, labels } = wanted;
        for (field, count) in
            [("runs", ids.len()), ("kinds", kinds.len()), ("labels", labels.len())]
        {
            if count > WANTED_MAX {
                return Err(invalid(format!("{field}: at most {WANTED_MAX} are allowed")));
            }
        }
        let mut runs = Vec::new();
        for id in &ids {
            // A number need not be of a run that there is: it may come, or have gone.
            runs.push(match Selector::parse(id)?.run {
                model::selector::RunSelector::Id(run) => run,
                _ => self.handle.run_id(id).await?,
            });
        }
        let kind = |name: &String| {
            name.parse::<EventKind>()
                .map_err(|()| invalid(format!("kinds: `{name}` is no kind such as `run_ended`")))
        };
        let text = |text: String| (!text.is_empty()).then_some(text);
        Ok(EventFilter {
            runs,
            kinds: kinds.iter().map(kind).collect::<Result<_, _>>()?,
            node: text(node),
            states: filter::states(&states)?,
            name: text(name),
            labels: labels.into_iter().map(|label| (label.name, label.value)).collect(),
        })
    }
}

/// Sends changes as they come, or only those that are there.
pub(crate) async fn forward(
    mut events: Events,
    follow: bool,
    recipient: Recipient<api::EventBatch>,
) -> Result<(), Status> {
    loop {
        let before = events.seen();
        let batch = match follow {
            true => Some(events.next().await),
            false => events.next_now().transpose(),
        };
        let Some(batch) = batch else {
            let index = events.seen();
            return recipient.send(api::EventBatch { index, events: Vec::new() }).await;
        };
        let batch = batch.map_err(|refused| status(&refused))?;
        let mut parts = batch.events.chunks(EVENTS_MAX).peekable();
        if parts.peek().is_none() {
            recipient.send(api::EventBatch { index: batch.index, events: Vec::new() }).await?;
        }
        while let Some(part) = parts.next() {
            // Only who has all of an index may go on behind it.
            let index = if parts.peek().is_none() { batch.index } else { before };
            let events = part.iter().map(convert::event).collect();
            recipient.send(api::EventBatch { index, events }).await?;
        }
    }
}

fn place(text: &str) -> Option<ElementPlace> {
    let (task, ordinal) = text.split_once('.')?;
    Some(ElementPlace { task: task.parse().ok()?, ordinal: ordinal.parse().ok()? })
}
