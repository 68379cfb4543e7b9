//! What messages print of themselves that may hold a secret in the clear: never its value.

use std::fmt::{Debug, Formatter, Result};

use crate::{job, peer, session, supervisor};

impl Debug for job::Secret {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.debug_struct("Secret").field("name", &self.name).field("key", &self.key).finish()
    }
}

impl Debug for supervisor::Start {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut start = f.debug_struct("Start");
        start.field("epoch", &self.epoch).field("seq", &self.seq).field("run", &self.run);
        start.field("task", &self.task).field("items", &self.items).field("spec", &self.spec);
        // Opened secrets are among the variables.
        start.field("run_as", &self.run_as).finish_non_exhaustive()
    }
}

impl Debug for peer::JoinRequest {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut request = f.debug_struct("JoinRequest");
        request.field("token_id", &self.token_id).field("node_id", &self.node_id);
        request.field("name", &self.name).field("address", &self.address).finish_non_exhaustive()
    }
}

impl Debug for session::OutputChunk {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut chunk = f.debug_struct("OutputChunk");
        chunk.field("attempt", &self.attempt).field("stream", &self.stream);
        // What a task writes is for its readers alone.
        chunk.field("bytes", &self.bytes).field("marks", &self.marks).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_in_what_is_printed() {
        let secret = job::Secret { name: "KEY".into(), key: 0, value: b"hidden".into() };
        let env = vec![job::Variable { name: "KEY".into(), value: "hidden".into() }];
        let start = supervisor::Start { env, ..Default::default() };
        let spec = job::Task { secrets: vec![secret], ..Default::default() };
        let text = format!("{spec:?} {start:?}");
        let join = peer::JoinRequest { secret: b"hidden".into(), ..Default::default() };
        let chunk = session::OutputChunk { data: b"hidden".into(), ..Default::default() };
        let text = format!("{text} {join:?} {chunk:?}");
        assert!(text.contains("KEY") && !text.contains("hidden"), "{text}");
        // Bytes are printed as numbers.
        assert!(!text.contains("104, 105"), "{text}");
    }
}
