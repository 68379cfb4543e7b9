//! Who may call at all: the Host, Origin and token checks that stand before every route.
//!
//! A page in the user's browser can reach loopback too: by a name that an attacker points there
//! (Host gives it away), or directly (Origin gives it away). The token stops other users of the
//! machine. Health and reflection stand behind the same checks, for nobody without the token has
//! a use for them.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, WWW_AUTHENTICATE};
use http::{HeaderMap, StatusCode};
use tonic::Status;

use crate::caller::Caller;
use crate::token::TokenCheck;

/// What callers are measured against.
#[derive(Debug)]
pub(crate) struct Gate {
    /// `127.0.0.1:7400` and the other names of this listener.
    authorities: Vec<String>,
    token: TokenCheck,
}

/// Why a caller was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denied {
    Host,
    Origin,
    Token,
}

impl Gate {
    pub(crate) fn new(listening: SocketAddr, token: TokenCheck) -> Gate {
        let port = listening.port();
        let mut authorities = vec![listening.to_string()];
        if listening.ip().is_loopback() {
            authorities.extend(["localhost", "127.0.0.1", "[::1]"].map(|n| format!("{n}:{port}")));
        }
        Gate { authorities, token }
    }

    fn check(&self, uri: &http::Uri, headers: &HeaderMap) -> Result<Caller, Denied> {
        // HTTP/2 names the host in the URI, HTTP/1.1 in a header; where both stand, both count.
        let named = uri.authority().map(|authority| authority.as_str().as_bytes());
        let hosts: Vec<_> =
            named.into_iter().chain(headers.get_all(HOST).iter().map(|v| v.as_bytes())).collect();
        if hosts.is_empty() || !hosts.iter().all(|host| self.is_own(host)) {
            return Err(Denied::Host);
        }
        let own_origin = |origin: &[u8]| {
            origin.strip_prefix(b"http://").is_some_and(|authority| self.is_own(authority))
        };
        if !headers.get_all(ORIGIN).iter().all(|value| own_origin(value.as_bytes())) {
            return Err(Denied::Origin);
        }
        match self.token.admits(headers.get(AUTHORIZATION)) {
            true => Ok(Caller::of_directory()),
            false => Err(Denied::Token),
        }
    }

    fn is_own(&self, authority: &[u8]) -> bool {
        self.authorities.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(authority))
    }
}

impl Denied {
    fn status(self) -> Status {
        match self {
            Denied::Host => Status::permission_denied(
                "the request names another host than this node\nhint: call it by the address it listens on, such as 127.0.0.1 or localhost with its port",
            ),
            Denied::Origin => Status::permission_denied(
                "the request comes from a web page of another origin\nhint: use the `windlass` command or a program of your own",
            ),
            Denied::Token => Status::unauthenticated(
                "the token is missing or is not this node's\nhint: send `authorization: Bearer TOKEN` with the content of the file `token` in the node's data directory",
            ),
        }
    }

    /// In the caller's language: a gRPC status, or plain HTTP.
    fn response(self, headers: &HeaderMap) -> Response {
        let grpc = headers
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
        let status = self.status();
        if grpc {
            return status.into_http();
        }
        let text = format!("{}\n", status.message());
        match self {
            Denied::Token => {
                (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, "Bearer")], text).into_response()
            }
            Denied::Host | Denied::Origin => (StatusCode::FORBIDDEN, text).into_response(),
        }
    }
}

/// Lets a request through to its route, or answers why not.
pub(crate) async fn stand(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Response {
    match gate.check(request.uri(), request.headers()) {
        Ok(caller) => {
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(denied) => denied.response(request.headers()),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const TOKEN: (&str, &str) = ("authorization", "Bearer secret");

    fn check(uri: &str, headers: &[(&'static str, &str)], expected: Result<(), Denied>) {
        let gate = Gate::new("127.0.0.1:7400".parse().unwrap(), TokenCheck::new("secret"));
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
