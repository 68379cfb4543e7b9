//! Who is let in: token, Host and Origin; and what a stranger's tool finds: health, reflection.

use std::io::{Read, Write};
use std::net::TcpStream;

use tonic::Request;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::node::{Home, Node};

/// The first line of the answer and its body.
fn get(node: &Node, headers: &str) -> (String, String) {
    let mut stream = TcpStream::connect(node.api()).unwrap();
    let token = node.token();
    let headers = headers.replace("API", node.api()).replace("TOKEN", token.trim());
    write!(stream, "GET / HTTP/1.1\r\n{headers}Connection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.lines().next().unwrap().to_owned(), body.to_owned())
}

#[test]
fn http_passes_the_same_gate() {
    let node = Home::new().up();
    let bearer = "Authorization: Bearer TOKEN\r\n";
    let check = |headers: &str, status: &str, text: &str| {
        let (line, body) = get(&node, headers);
        assert!(line.contains(status) && body.contains(text), "{headers}: {line} {body}");
    };
    check(&format!("Host: API\r\n{bearer}"), "200", "Windlass");
    check("Host: API\r\n", "401", "send `authorization: Bearer TOKEN`");
    check("Host: API\r\nAuthorization: Bearer wrong\r\n", "401", "token");
    check(&format!("Host: evil.example\r\n{bearer}"), "403", "another host");
    check(&format!("Host: API\r\nOrigin: http://evil.example\r\n{bearer}"), "403", "origin");
    check(&format!("Host: API\r\nOrigin: http://API\r\n{bearer}"), "200", "Windlass");
}

#[test]
fn a_wrong_token_is_refused_in_words() {
    let node = Home::new().up();
    std::fs::write(node.home().path().join("wrong"), "wrong").unwrap();
    check!(node, ["ps", "--token-file", "wrong"], @r"
    exit code: 1
    --- stderr ---
    error: cannot list runs: the node at [API] does not take the token: it is unknown there, expired or revoked
    hint: give the node's own with `--token-file DATA_DIR/token`, or a new one of an admin's
    ");
    check!(node, ["run", "--token-file", "wrong", "--", "true"], @r"
    exit code: 125
    --- stderr ---
    error: cannot submit: the node at [API] does not take the token: it is unknown there, expired or revoked
    hint: give the node's own with `--token-file DATA_DIR/token`, or a new one of an admin's
    ");
    check!(node, ["ps", "--token-file", "missing"], @r"
    exit code: 1
    --- stderr ---
    error: cannot read the token `missing`: No such file or directory (os error 2)
    hint: a node keeps its own as `token` in its data directory
    ");
    check!(node, ["token", "revoke", "nobody"], @r"
    exit code: 1
    --- stderr ---
    error: cannot revoke `nobody`: there is no token `nobody`
    hint: `windlass token ls` lists all tokens
    ");
    check!(node, ["ps", "--token-file", "data/token"], @r"
    exit code: 0
    --- stdout ---
    RUN  NAME  STATE  DONE  AGE  TOOK  COMMAND
    --- stderr ---
    windlass: nothing is queued or running; `--all` shows ended runs
    ");
    let pointers = node.home().path().join("state/windlass/nodes");
    std::fs::remove_dir_all(pointers).unwrap();
    check!(node, ["ps"], @r"
    exit code: 1
    --- stderr ---
    error: no token for the node at [API]
    hint: another user may have started it: give `--token-file DATA_DIR/token` or WINDLASS_TOKEN
    ");
    let token = node.token();
    let shown = node.command(&["ps"]).env("WINDLASS_TOKEN", token.trim()).output().unwrap();
    assert!(shown.status.success());
}

fn bearer<T>(node: &Node, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {}", node.token().trim());
    request.metadata_mut().insert("authorization", value.parse().unwrap());
    request
}

async fn channel(node: &Node) -> Channel {
    Endpoint::from_shared(format!("http://{}", node.api())).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn health_serves_whoever_has_the_token() {
    let node = Home::new().up();
    let mut health = HealthClient::new(channel(&node).await);
    let ask = || HealthCheckRequest { service: "windlass.v1.Windlass".into() };
    let answer = health.check(bearer(&node, ask())).await.unwrap().into_inner();
    assert_eq!(answer.status().as_str_name(), "SERVING");
    let refused = health.check(Request::new(ask())).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unauthenticated);
}

#[tokio::test]
async fn reflection_lists_the_services() {
    let node = Home::new().up();
    let mut reflection = ServerReflectionClient::new(channel(&node).await);
    let ask = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let asks = tokio_stream::iter([ask]);
    let answers = reflection.server_reflection_info(bearer(&node, asks)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("{answer:?}");
    };
    let names: Vec<_> = list.service.into_iter().map(|service| service.name).collect();
    for name in ["grpc.health.v1.Health", "windlass.v1.Windlass"] {
        assert!(names.iter().any(|known| known == name), "{names:?}");
    }
}

#[tokio::test]
async fn tools_that_know_the_older_reflection_are_answered_too() {
    use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
    use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse;

    let node = Home::new().up();
    let mut reflection = ServerReflectionClient::new(channel(&node).await);
    let symbol = MessageRequest::FileContainingSymbol("windlass.v1.Windlass".into());
    let ask = tonic_reflection::pb::v1alpha::ServerReflectionRequest {
        message_request: Some(symbol),
        ..Default::default()
    };
    let asks = tokio_stream::iter([ask]);
    let answers = reflection.server_reflection_info(bearer(&node, asks)).await.unwrap();
    let answer = answers.into_inner().message().await.unwrap().unwrap();
    let found = answer.message_response;
    assert!(matches!(found, Some(MessageResponse::FileDescriptorResponse(_))), "{found:?}");
}
