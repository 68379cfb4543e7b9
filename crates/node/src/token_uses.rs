//! When this node last took each token. It is not agreed on: every use would be a commit.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The times, by the tokens' ids.
#[derive(Debug, Default)]
pub(crate) struct Uses(Mutex<BTreeMap<Arc<str>, u64>>);

impl Uses {
    pub(crate) fn note(&self, id: &Arc<str>, now_ms: u64) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Only tokens there are get here, and those that are gone are swept by each list.
        if uses.len() < 2 * machine::Tokens::MAX || uses.contains_key(id) {
            uses.insert(id.clone(), now_ms);
        }
    }

    pub(crate) fn of(&self, id: &str) -> u64 {
        let uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uses.get(id).copied().unwrap_or(0)
    }

    pub(crate) fn keep(&self, is_there: impl Fn(&str) -> bool) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        uses.retain(|id, _| is_there(id));
    }
}
