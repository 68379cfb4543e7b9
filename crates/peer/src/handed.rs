//! Requests of people and programs, which a node that only works hands on to a control node: HTTP, carried as it is in
//! both directions.
//!
//! It must never look into them. That the node which hands them on is of the cluster says nothing about who asked.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::HttpBody;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http_body::{Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

use crate::calls::{Call, Calls};
use crate::connection::From;
use crate::service::Service;

/// Requests of one node at a time, with their answers: some of these last.
const REQUESTS_OF_NODE_MAX: u32 = 256;

/// What stands beside the calls between nodes.
#[derive(Clone)]
struct Desk {
    service: Arc<dyn Service>,
    under_way: Arc<Calls>,
}

/// Sends whatever is no call between nodes to [`Service::people`].
pub(crate) fn beside(calls: Router, service: Arc<dyn Service>) -> Router {
    let desk = Desk { service, under_way: Calls::new(REQUESTS_OF_NODE_MAX) };
    calls.fallback(move |request: Request| take(desk, request))
}

async fn take(desk: Desk, request: Request) -> Response {
    let Some(From(Some(from))) = request.extensions().get::<From>().copied() else {
        return (StatusCode::UNAUTHORIZED, "only nodes of the cluster may call this\n")
            .into_response();
    };
    let Some(call) = desk.under_way.begin(from.identity.node) else {
        let why = "the node has handed on too many requests that are still under way\n";
        return (StatusCode::TOO_MANY_REQUESTS, why).into_response();
    };
    let answer = desk.service.people(from, request.map(Body::new)).await;
    answer.map(|body| axum::body::Body::new(Held { body, _call: call }))
}

/// An answer that counts as under way until its last word.
struct Held {
    body: Body,
    _call: Call,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
