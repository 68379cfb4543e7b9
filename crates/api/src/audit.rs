//! The calls that tell who changed what, for whoever has the role admin.

use model::Role;
use node::changes::Changes;
use node::{ChangeFilter, Position, Refused};
use proto::api::*;
use tonic::Status;

use crate::caller::Caller;
use crate::calls::{Service, limit};
use crate::refusal::{invalid, status};
use crate::streams::Recipient;

impl Service {
    pub(crate) async fn audit(
        &self,
        caller: &Caller,
        request: AuditRequest,
    ) -> Result<AuditResponse, Refused> {
        caller.need(Role::Admin, "read the audit")?;
        let AuditRequest { since_ms, actor, action, limit: most, before } = request;
        let text = |text: String| (!text.is_empty()).then_some(text);
        let filter = ChangeFilter { since_ms, actor: text(actor), action: text(action) };
        let page = self.handle.changes(filter, position(&before)?, limit(most)).await?;
        let change = |((index, _), change): (Position, node::Change)| shown(index, change);
        Ok(AuditResponse {
            changes: page.changes.into_iter().map(change).collect(),
            next_before: page.next.map_or(String::new(), |(index, nth)| format!("{index}.{nth}")),
            damaged: page.damaged,
        })
    }

    /// The changes that a request wants, as they come.
    pub(crate) async fn follow_audit(
        &self,
        caller: &Caller,
        request: &FollowAuditRequest,
    ) -> Result<Changes, Refused> {
        caller.need(Role::Admin, "follow the audit")?;
        let text = |text: &String| (!text.is_empty()).then(|| text.clone());
        let (actor, action) = (text(&request.actor), text(&request.action));
        let filter = ChangeFilter { since_ms: 0, actor, action };
        self.handle.changes_after(filter, request.after).await
    }
}

/// Sends changes as they come, or only those that are there.
pub(crate) async fn forward(
    mut changes: Changes,
    follow: bool,
    recipient: Recipient<ChangeBatch>,
) -> Result<(), Status> {
    recipient.send(ChangeBatch { index: changes.seen(), ..Default::default() }).await?;
    loop {
        let batch = match follow {
            true => changes.next().await.map(Some),
            false => changes.next_now().await,
        };
        match batch.map_err(|refused| status(&refused))? {
            Some(batch) => recipient.send(told(batch)).await?,
            None => {
                let last = ChangeBatch { index: changes.seen(), ..Default::default() };
                return recipient.send(last).await;
            }
        }
    }
}

/// As it is told.
pub(crate) fn told(batch: node::changes::ChangeBatch) -> ChangeBatch {
    let node::changes::ChangeBatch { index, changes, damaged } = batch;
    let changes = changes.into_iter().map(|(index, change)| shown(index, change)).collect();
    ChangeBatch { index, changes, damaged }
}

fn shown(index: u64, change: node::Change) -> Change {
    Change {
        time_ms: change.time_ms,
        action: change.action,
        on: change.on,
        actor: change.actor,
        reason: change.reason,
        token: change.token,
        address: change.address,
        index,
    }
}

/// A place in the audit, as the page before wrote it.
fn position(text: &str) -> Result<Option<Position>, Refused> {
    if text.is_empty() {
        return Ok(None);
    }
    let read = || {
        let (index, nth) = text.split_once('.')?;
        Some((index.parse().ok()?, nth.parse().ok()?))
    };
    let none = || invalid(format!("before: `{text}` is no place such as `812.0`"));
    read().map(Some).ok_or_else(none)
}
