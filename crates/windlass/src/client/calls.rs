//! What goes along with every call: the token, and the wish for an answer that may be old.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use tonic::body::Body;
use tonic::transport::Channel;
use tower::Service;

use crate::show::out;

const STALE: &str = "windlass-stale";
const AGE: &str = "windlass-age-ms";

/// Calls of a node.
#[derive(Clone)]
pub(crate) struct Calls {
    channel: Channel,
    token: HeaderValue,
    /// `Some`: answers may be old; whether it was said how old.
    stale: Option<Arc<AtomicBool>>,
}

impl Calls {
    pub(super) fn new(channel: Channel, token: HeaderValue, stale: bool) -> Calls {
        Calls { channel, token, stale: stale.then(Arc::default) }
    }
}

impl Service<Request<Body>> for Calls {
    type Response = Response<Body>;
    type Error = tonic::transport::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.channel.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        request.headers_mut().insert(AUTHORIZATION, self.token.clone());
        let stale = self.stale.clone();
        if stale.is_some() {
            request.headers_mut().insert(STALE, HeaderValue::from_static("true"));
        }
        let answer = self.channel.call(request);
        Box::pin(async move {
            let answer = answer.await?;
            if let Some(told) = stale
                && let Some(age_ms) = answer.headers().get(AGE).and_then(|age| age.to_str().ok())
                && !told.swap(true, Ordering::Relaxed)
            {
                out::note(format!("as of {} ago", age(age_ms)));
            }
            Ok(answer)
        })
    }
}

/// `340ms`, as durations are written everywhere.
fn age(age_ms: &str) -> String {
    match age_ms.parse() {
        Ok(age_ms) => model::text::duration_ms(age_ms),
        Err(_) => format!("{age_ms} ms"),
    }
}
