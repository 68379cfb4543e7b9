//! Rules that only whole control nodes on real journals can break, each with how it is broken.

use super::rules::Rule;

pub(super) const RULES: &[Rule] = &[
    Rule {
        name: "acknowledged, not synced",
        file: "crates/journal/src/log/writer.rs",
        from: "        last.sync(&disk)?;\n        self.options.syncs",
        to: "        self.options.syncs",
    },
    Rule {
        name: "a vote is forgotten",
        file: "crates/journal/src/log/writer.rs",
        from: "        self.files.state.save(&self.options.disk, &self.options.dir)?;\n        self.memory().set_vote(vote);",
        to: "        self.memory().set_vote(vote);",
    },
    Rule {
        name: "read without a majority",
        file: "crates/journal/src/raft/barrier.rs",
        from: "match raft.get_read_log_id().await {",
        to: "let applied = raft.metrics().borrow().last_applied;\n            if applied.is_some() {\n                break Ok(applied.map_or(0, |id| id.index));\n            }\n            match raft.get_read_log_id().await {",
    },
    Rule {
        name: "a snapshot has no keys",
        file: "crates/machine/src/snapshot/encode.rs",
        from: "state.keys.iter().map(",
        to: "state.keys.iter().take(0).map(",
    },
    Rule {
        name: "a key is not looked up",
        file: "crates/machine/src/command/submit_job.rs",
        from: "if let Some(answer) = state.keys.get(key) {",
        to: "if let Some(answer) = state.keys.get(key).filter(|_| false) {",
    },
    Rule {
        name: "read before it is applied",
        file: "crates/node/src/read.rs",
        from: "let view = self.applied(confirmed.index).await?;",
        to: "let view = self.view_now();",
    },
];
