//! `Note`: a change of something that is not in the state, for the audit.

use proto::record::Note;

use crate::change::{Action, Change};
use crate::context::Context;
use crate::event::{Answer, Refusal};

pub(crate) fn apply(context: &mut Context, note: &Note) -> Result<Answer, Refusal> {
    let action: Action = note.action.parse().map_err(|()| proto::Invalid("action"))?;
    let because = note.because.clone().unwrap_or_default();
    context.changed(Change::new(action, note.on.clone(), &because, note.from.as_ref()));
    Ok(Answer::Noted)
}
