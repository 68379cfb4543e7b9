//! A web page in the user's browser: whatever it sends, it drives nothing and reads nothing.
//!
//! A page of another site can send a request to loopback, but it cannot choose its `Host`, `Origin`
//! and `Sec-Fetch-…` headers, and it has no token unless the user gives it one.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::node::{Home, Node};

const JOB: &str = r#"{"tasks":[{"command":["touch","DIR/driven"]}]}"#;

/// The status and all of the answer to what a browser sends; `API`, `TOKEN` and `DIR` are filled in.
fn send(node: &Node, request: &str, headers: &str, body: &str) -> (u16, String) {
    let token = node.token();
    let dir = node.home().path().display().to_string();
    let fill = |text: &str| {
        text.replace("API", node.api()).replace("TOKEN", token.trim()).replace("DIR", &dir)
    };
    let (body, length) = (fill(body), fill(body).len());
    let head = fill(&format!("{request} HTTP/1.1\r\n{headers}"));
    let mut stream = TcpStream::connect(node.api()).unwrap();
    write!(stream, "{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}").unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (status, answer)
}

/// What it sends is refused, with no word to the browser that a page might read the answer.
fn refused(node: &Node, request: &str, headers: &str, body: &str) {
    let (status, answer) = send(node, request, headers, body);
    assert!((400..500).contains(&status), "{request} {headers}: {answer}");
    let allowed = answer.to_lowercase().contains("access-control-allow");
    assert!(!allowed && !answer.contains("set-cookie"), "{request} {headers}: {answer}");
}

#[test]
fn a_page_drives_nothing() {
    let node = Home::new().up();
    let json = "Content-Type: application/json\r\n";
    let bearer = "Authorization: Bearer TOKEN\r\n";
    // First, that the same request does something when it is no page's.
    let (status, answer) = send(&node, "GET /v1/runs", &format!("Host: API\r\n{bearer}"), "");
    assert_eq!(status, 200, "{answer}");

    // Another site's page, even one that has got hold of the token.
    for from in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://localhost\r\n",
        "Origin: http://API.evil.example\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        // A page that another program on this machine serves.
        "Sec-Fetch-Site: same-site\r\n",
        "Origin: http://127.0.0.1:1\r\nSec-Fetch-Site: same-site\r\n",
    ] {
        let headers = format!("Host: API\r\n{from}{bearer}{json}");
        for request in ["POST /v1/runs", "POST /v1/node/down", "GET /v1/runs", "GET /"] {
            refused(&node, request, &headers, JOB);
        }
    }
    // A name that an attacker points at loopback: its page is of one origin with the request.
    let rebound = "Host: evil.example:7400\r\nOrigin: http://evil.example:7400\r\nSec-Fetch-Site: same-origin\r\n";
    refused(&node, "POST /v1/runs", &format!("{rebound}{bearer}{json}"), JOB);
    // What a page may send without asking first: forms and plain text, with cookies, no token.
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"]
    {
        let headers = format!("Host: API\r\nContent-Type: {kind}\r\nCookie: token=TOKEN\r\n");
        refused(&node, "POST /v1/runs", &headers, JOB);
        refused(&node, "POST /v1/runs?token=TOKEN&access_token=TOKEN", &headers, JOB);
    }
    // An image, a frame, a link, a stream of events: a GET without any header of the page's.
    for place in ["/", "/v1/runs", "/v1/runs/1/output", "/v1/node/down", "/v1/openapi.json"] {
        refused(&node, &format!("GET {place}?token=TOKEN"), "Host: API\r\n", "");
    }
    // Asking first whether it may is not answered with a yes, whatever it has.
    for own in ["", "Sec-Fetch-Site: cross-site\r\n"] {
        let headers = format!(
            "Host: API\r\nOrigin: https://evil.example\r\n{own}Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: authorization,content-type\r\n"
        );
        refused(&node, "OPTIONS /v1/runs", &headers, "");
        refused(&node, "OPTIONS /v1/runs", &format!("{headers}{bearer}"), "");
    }
    // Upgrades, and gRPC as browsers speak it.
    let upgrade = "Host: API\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAA\r\nSec-WebSocket-Version: 13\r\nOrigin: https://evil.example\r\n";
    refused(&node, "GET /v1/runs", upgrade, "");
    let web = "Host: API\r\nContent-Type: application/grpc-web\r\nOrigin: https://evil.example\r\n";
    // A gRPC refusal is of status 200 and carries its own.
    let (_, answer) = send(&node, "POST /windlass.v1.Windlass/Down", web, "");
    assert!(answer.contains("grpc-status: 7") && !answer.contains("access-control"), "{answer}");

    let runs = node.windlass(&["ps", "--all", "--json"]).json();
    assert_eq!(runs["runs"], serde_json::json!([]));
    assert!(!node.home().path().join("driven").exists());
}
