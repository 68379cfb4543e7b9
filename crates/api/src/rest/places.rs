//! Places for requests: a bounded number at one time, the rest is told to come again.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use node::Refused;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// When to come again: requests are done within moments.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);

/// So many at one time.
#[derive(Clone)]
pub(crate) struct Places {
    places: Arc<Semaphore>,
    what: &'static str,
}

impl Places {
    /// `most` places for `what`.
    pub(super) fn new(most: usize, what: &'static str) -> Places {
        Places { places: Arc::new(Semaphore::new(most)), what }
    }

    /// A place, as long as it is held.
    pub(super) fn take(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        place.map_err(|_| {
            let why = format!("as many {} as may be are under way", self.what);
            Problem::from(Refused::Overloaded { why, retry_after: RETRY_AFTER })
        })
    }
}

/// Lets a request through while there is a place for it.
pub(super) async fn hold(State(places): State<Places>, request: Request, next: Next) -> Response {
    match places.take() {
        Ok(_place) => next.run(request).await,
        Err(problem) => problem.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_too_many_is_told_to_come_again() {
        let places = Places::new(1, "requests");
        let held = places.take().unwrap();
        assert_eq!(places.take().unwrap_err().status, 429);
        drop(held);
        assert!(places.take().is_ok());
    }
}
