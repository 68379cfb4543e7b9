//! Who may call at all: the Host, Origin and token checks that stand before every route.
//!
//! A page in the user's browser can reach loopback too, and every address of the user's network: by
//! a name that an attacker points there (Host gives it away), or directly (Origin gives it away).
//! The token stops other users of the machine. Health and reflection stand behind the same checks,
//! for nobody without the token has a use for them.

mod names;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body::{Frame, SizeHint};
use tonic::Status;

pub(crate) use names::Names;

use crate::caller::Caller;
use crate::handed;
use crate::language::is_grpc;
use crate::listener::Peer;
use crate::metrics::TurnedAway;
use crate::rest::Problem;
use crate::token::{self, TokenCheck};
use crate::traces;

/// Where a request comes from, as a browser sees it.
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// How often it is looked whether the token of a call that goes on is still taken.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What callers are measured against.
pub(crate) struct Gate {
    /// What the node is called by; `None` behind another one, which has looked already.
    names: Option<Names>,
    /// The data directory's own.
    token: TokenCheck,
    /// Those that were made.
    tokens: Arc<dyn Tokens>,
}

/// The tokens that were made, beside the data directory's own.
pub(crate) trait Tokens: Send + Sync {
    /// Whose this text is.
    fn find(&self, text: &[u8]) -> Option<Caller>;
    /// Whether the token with this id is still taken.
    fn has(&self, id: &str) -> bool;
}

impl Tokens for node::Handle {
    fn find(&self, text: &[u8]) -> Option<Caller> {
        let node::TokenStatus { id, name, role, owner, run_as, .. } = self.token(text)?;
        Some(Caller { name, role, token: Some(id), owner, run_as, ..Caller::default() })
    }

    fn has(&self, id: &str) -> bool {
        self.has_token(id)
    }
}

/// Why a caller was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    Host,
    Origin,
    Page,
    Token,
}

impl Gate {
    pub(crate) fn new(names: Names, token: TokenCheck, tokens: Arc<dyn Tokens>) -> Gate {
        Gate { names: Some(names), token, tokens }
    }

    /// For what another node has looked at and handed on. Tokens that were made count alone: a data directory's is for
    /// those who call its own node.
    pub(crate) fn behind(tokens: Arc<dyn Tokens>) -> Gate {
        Gate { names: None, token: TokenCheck::new(""), tokens }
    }

    fn check(&self, uri: &http::Uri, headers: &HeaderMap) -> Result<Caller, Denied> {
        if let Some(names) = &self.names {
            look(names, uri, headers)?;
        }
        let text = token_of(headers)?;
        match self.token.admits(text) {
            true => Ok(Caller::of_directory()),
            false => self.tokens.find(text).ok_or(Denied::Token),
        }
    }
}

/// Turns away who means another node, and a page that is not one of this node's.
pub(crate) fn look(names: &Names, uri: &http::Uri, headers: &HeaderMap) -> Result<(), Denied> {
    // HTTP/2 names the host in the URI, HTTP/1.1 in a header; where both stand, both count.
    let named = uri.authority().map(|authority| authority.as_str().as_bytes());
    let hosts: Vec<_> =
        named.into_iter().chain(headers.get_all(HOST).iter().map(|v| v.as_bytes())).collect();
    if hosts.is_empty() || !hosts.iter().all(|host| names.is_own(host)) {
        return Err(Denied::Host);
    }
    let origins = headers.get_all(ORIGIN);
    if !origins.iter().all(|origin| names.is_own_origin(origin.as_bytes(), &hosts)) {
        return Err(Denied::Origin);
    }
    // What a browser says of its own accord, and no page can change: `same-origin` is a page of
    // this node, `none` is the person themselves.
    let from_own = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    if !headers.get_all(SITE).iter().all(from_own) {
        return Err(Denied::Page);
    }
    Ok(())
}

/// The token of a request: one, and in this header alone, for a query or a cookie would travel where nobody looks.
pub(crate) fn token_of(headers: &HeaderMap) -> Result<&[u8], Denied> {
    let mut tokens = headers.get_all(AUTHORIZATION).iter();
    match (tokens.next(), tokens.next()) {
        (Some(one), None) => token::bearer(one).ok_or(Denied::Token),
        _ => Err(Denied::Token),
    }
}

impl Denied {
    fn status(self) -> Status {
        match self {
            Denied::Host => Status::permission_denied(
                "the request names another host than this node\nhint: call it by the address it listens on, such as 127.0.0.1 or localhost with its port, or over TLS by a name of its certificate",
            ),
            Denied::Origin => Status::permission_denied(
                "the request comes from a web page of another origin\nhint: use the `windlass` command or a program of your own",
            ),
            Denied::Page => Status::permission_denied(
                "the request was made by a web page of another site\nhint: use the `windlass` command or a program of your own",
            ),
            Denied::Token => Status::unauthenticated(
                "the token is missing, unknown, expired or revoked\nhint: send `authorization: Bearer TOKEN` with the content of the file `token` in the node's data directory, or with a token that `windlass token create` made",
            ),
        }
    }

    /// As it is counted.
    fn name(self) -> &'static str {
        match self {
            Denied::Host => "host",
            Denied::Origin | Denied::Page => "origin",
            Denied::Token => "token",
        }
    }

    /// In the caller's language: a gRPC status, or a problem document.
    pub(crate) fn response(self, headers: &HeaderMap) -> Response {
        let grpc = is_grpc(headers);
        let status = self.status();
        if grpc {
            return status.into_http();
        }
        let text = status.message();
        let (message, hint) = text.split_once("\nhint: ").unwrap_or((text, ""));
        let (http, name, title) = match self {
            Denied::Token => {
                (StatusCode::UNAUTHORIZED, "unauthenticated", "no token that is known")
            }
            Denied::Host => (StatusCode::FORBIDDEN, "host", "another host is meant"),
            Denied::Origin | Denied::Page => {
                (StatusCode::FORBIDDEN, "origin", "a web page of elsewhere asks")
            }
        };
        Problem::new(http, name, title, message.to_owned()).hint(hint).into_response()
    }
}

/// Lets a request through to its route, or answers why not.
pub(crate) async fn stand(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut caller = match gate.check(request.uri(), request.headers()) {
        Ok(caller) => caller,
        Err(denied) => {
            let mut response = denied.response(request.headers());
            response.extensions_mut().insert(TurnedAway(denied.name()));
            return response;
        }
    };
    if let Some(peer) = request.extensions().get::<Peer>() {
        peer.is_known();
        caller.address = peer.addr.map(|addr| addr.to_string()).unwrap_or_default();
    }
    if let Some(address) = handed::address(request.extensions(), request.headers()) {
        caller.address = address;
    }
    caller.span = traces::caller_span(request.headers());
    let (made, through) = (caller.token.clone(), handed::is(request.extensions()));
    request.extensions_mut().insert(caller);
    let mut answer = match made {
        None => next.run(request).await,
        Some(id) => while_taken(&gate.tokens, id, request, next).await,
    };
    handed::tell_known(through, &mut answer);
    answer
}

/// Answers as long as the token is taken: a call or a stream that goes on ends soon after it was
/// revoked or has expired.
async fn while_taken(
    tokens: &Arc<dyn Tokens>,
    id: String,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers().clone();
    let over = |tokens: Arc<dyn Tokens>, id: String| async move {
        let mut looks = tokio::time::interval(LOOK_EVERY);
        loop {
            looks.tick().await;
            if !tokens.has(&id) {
                return;
            }
        }
    };
    let response = tokio::select! {
        response = next.run(request) => response,
        () = over(tokens.clone(), id.clone()) => return Denied::Token.response(&headers),
    };
    let grpc = is_grpc(&headers);
    let over = over(tokens.clone(), id);
    response.map(|body| Body::new(UntilOver { body, over: Box::pin(over), grpc, ended: false }))
}

/// A body that ends when its caller's token is taken no more.
struct UntilOver {
    body: Body,
    over: Pin<Box<dyn Future<Output = ()> + Send>>,
    grpc: bool,
    ended: bool,
}

impl HttpBody for UntilOver {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        if self.over.as_mut().poll(cx).is_ready() {
            self.ended = true;
            // A gRPC caller hears why; any other finds out by its next call.
            let mut trailers = HeaderMap::new();
            let said = self.grpc && Denied::Token.status().add_header(&mut trailers).is_ok();
            return Poll::Ready(said.then(|| Ok(Frame::trailers(trailers))));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use http::header::CONTENT_TYPE;

    use super::*;

    const TOKEN: (&str, &str) = ("authorization", "Bearer secret");

    /// One token was made, for a viewer.
    struct One;

    impl Tokens for One {
        fn find(&self, text: &[u8]) -> Option<Caller> {
            (text == b"made").then(|| Caller { token: Some("id".into()), ..Caller::default() })
        }

        fn has(&self, id: &str) -> bool {
            id == "id"
        }
    }

    fn gate() -> Gate {
        let listening = "127.0.0.1:7400".parse().unwrap();
        Gate::new(Names::of(listening, None), TokenCheck::new("secret"), Arc::new(One))
    }

    fn check(uri: &str, headers: &[(&'static str, &str)], expected: Result<(), Denied>) {
        let gate = gate();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_str(value).unwrap());
        }
        assert_eq!(
            gate.check(&uri.parse().unwrap(), &map).map(|_| ()),
            expected,
            "{uri} {headers:?}"
        );
    }

    #[test]
    fn the_nodes_own_names_with_its_port_are_let_in() {
        for host in ["127.0.0.1:7400", "localhost:7400", "LocalHost:7400", "[::1]:7400"] {
            check("/", &[("host", host), TOKEN], Ok(()));
            check(&format!("http://{host}/"), &[TOKEN], Ok(()));
        }
    }

    #[test]
    fn another_host_is_refused_whatever_the_token() {
        for host in ["evil.example:7400", "127.0.0.1", "localhost:80", "127.0.0.1:74000", ""] {
            check("/", &[("host", host), TOKEN], Err(Denied::Host));
        }
        check("/", &[TOKEN], Err(Denied::Host));
        check("http://localhost:7400/", &[("host", "evil.example"), TOKEN], Err(Denied::Host));
    }

    #[test]
    fn another_origin_is_refused_whatever_the_token() {
        let own = ("host", "localhost:7400");
        check("/", &[own, ("origin", "http://localhost:7400"), TOKEN], Ok(()));
        for origin in ["http://evil.example", "null", "https://localhost:7400", "http://localhost"]
        {
            check("/", &[own, ("origin", origin), TOKEN], Err(Denied::Origin));
        }
    }

    #[test]
    fn a_missing_or_wrong_token_is_refused() {
        let own = ("host", "localhost:7400");
        check("/", &[own], Err(Denied::Token));
        check("/", &[own, ("authorization", "Bearer other")], Err(Denied::Token));
        check("/", &[own, TOKEN, TOKEN], Err(Denied::Token));
    }

    #[test]
    fn a_token_that_was_made_is_its_own_caller() {
        let of = |text: &'static str| {
            let headers = [("host", "localhost:7400"), ("authorization", text)];
            let headers = headers.map(|(n, v)| (n.parse().unwrap(), HeaderValue::from_static(v)));
            gate().check(&"/".parse().unwrap(), &HeaderMap::from_iter(headers))
        };
        assert_eq!(of("Bearer made").unwrap().role, model::Role::Viewer);
        assert_eq!(of("Bearer secret").unwrap().role, model::Role::Admin);
        assert_eq!(of("Bearer mad"), Err(Denied::Token));
    }

    #[test]
    fn a_token_is_taken_from_its_header_alone() {
        let own = ("host", "localhost:7400");
        for uri in ["/?access_token=secret", "/?token=secret", "/?authorization=Bearer%20secret"] {
            check(uri, &[own], Err(Denied::Token));
        }
        check("/", &[own, ("cookie", "authorization=Bearer secret")], Err(Denied::Token));
        check("/", &[own, ("x-authorization", "Bearer secret")], Err(Denied::Token));
    }

    #[test]
    fn what_a_browser_says_of_the_page_counts() {
        let own = ("host", "localhost:7400");
        for site in ["cross-site", "same-site", "anything"] {
            check("/", &[own, ("sec-fetch-site", site), TOKEN], Err(Denied::Page));
        }
        for site in ["same-origin", "none"] {
            check("/", &[own, ("sec-fetch-site", site), TOKEN], Ok(()));
        }
    }

    #[test]
    fn a_grpc_caller_is_answered_in_grpc() {
        let grpc =
            HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/grpc"))]);
        for (denied, code) in [(Denied::Host, "7"), (Denied::Origin, "7"), (Denied::Token, "16")] {
            let response = denied.response(&grpc);
            assert_eq!(
                (response.status().as_u16(), &response.headers()["grpc-status"]),
                (200, &HeaderValue::from_static(code))
            );
        }
        assert_eq!(Denied::Host.response(&HeaderMap::new()).status(), StatusCode::FORBIDDEN);
    }
}
