//! The call that tells who changed what, for whoever has the role admin.

use model::Role;
use node::{ChangeFilter, Position, Refused};
use proto::api::*;

use crate::caller::Caller;
use crate::calls::{Service, limit};
use crate::refusal::invalid;

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
        let change = |(_, change): (Position, node::Change)| Change {
            time_ms: change.time_ms,
            action: change.action,
            on: change.on,
            actor: change.actor,
            reason: change.reason,
            token: change.token,
            address: change.address,
        };
        Ok(AuditResponse {
            changes: page.changes.into_iter().map(change).collect(),
            next_before: page.next.map_or(String::new(), |(index, nth)| format!("{index}.{nth}")),
            damaged: page.damaged,
        })
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
