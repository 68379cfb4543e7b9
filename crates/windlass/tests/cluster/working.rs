//! A node that only works: it takes any request to a control node, with the rights of whoever made it and no others, and
//! is taken down like any node.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::ground::{Ground, Node, text, until};

/// A token of the cluster, in a file.
fn made(ground: &Ground, at: &Node, name: &str, role: &str) -> PathBuf {
    let made = ground.ask(at, &["token", "create", name, "--role", role]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let file = ground.path(&format!("{name}.token"));
    std::fs::write(&file, made.stdout).unwrap();
    file
}

fn ask(ground: &Ground, node: &Node, token: &Path, words: &[&str]) -> Output {
    let at = words.iter().position(|word| *word == "--").unwrap_or(words.len());
    let file = ["--token-file", token.to_str().unwrap()];
    ground.ask(node, &[&words[..at], &file, &words[at..]].concat())
}

/// What REST answers to the head of a request: its status, and all of it.
fn send(node: &Node, head: &str, token: &Path) -> (u16, String) {
    send_with(node, head, &std::fs::read_to_string(token).unwrap(), "")
}

fn send_with(node: &Node, head: &str, token: &str, body: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let api = node.ready["api"].as_str().unwrap();
    let mut stream = std::net::TcpStream::connect(api).unwrap();
    let (head, token) = (head.replace("HOST", api), token.trim());
    write!(stream, "{head}authorization: Bearer {token}\r\nconnection: close\r\n\r\n{body}")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    (answer[9..12].parse().unwrap(), answer)
}

#[test]
fn it_hands_requests_on_with_the_rights_of_whoever_made_them() {
    let ground = Ground::new();
    let a = ground.found("a");
    let w = ground.join("w", &a, "worker");
    let ann = made(&ground, &a, "ann", "submitter");

    let script = "echo on $WINDLASS_NODE_NAME; echo $0 >&2; exit 3";
    let words = ["run", "--array", "1-4", "--cpus", "1", "--", "sh", "-c", script, "oh"];
    let run = ask(&ground, &w, &ann, &words);
    let (shown, said) = (text(&run.stdout), text(&run.stderr));
    assert_eq!(run.status.code(), Some(3), "{shown}{said}");
    assert_eq!((shown.lines().count(), said.matches("oh").count()), (4, 4), "{shown}{said}");
    let again = ask(&ground, &w, &ann, &["logs", "1"]);
    assert_eq!(text(&again.stdout).lines().count(), 4, "{}", text(&again.stderr));
    // A list goes up through it, and an event comes down.
    std::fs::write(ground.path("items"), "x\ny\n").unwrap();
    let items = format!("{}", ground.path("items").display());
    let listed = ask(&ground, &w, &ann, &["run", "--each-line", &items, "--", "echo"]);
    assert!(listed.status.success(), "{}", text(&listed.stderr));

    let (status, answer) = send(&w, "GET /v1/runs/1 HTTP/1.1\r\nhost: HOST\r\n", &ann);
    assert!(status == 200 && answer.contains("\"failed\""), "{answer}");
    let (status, _) = send(&w, "GET /v1/runs/77 HTTP/1.1\r\nhost: HOST\r\n", &ann);
    assert_eq!(status, 404, "in the words of the control node");

    // What ann may not do there she may not do here.
    let refused = ask(&ground, &w, &ann, &["node", "drain", "a", "--reason", "x"]);
    assert!(text(&refused.stderr).contains("takes the role operator"), "{refused:?}");
    // The audit tells where she was, by the node's word, and not by hers.
    let job = r#"{"name":"forged","tasks":[{"name":"main","command":["true"]}]}"#;
    let length = job.len();
    let (status, answer) = send_with(
        &w,
        &format!(
            "POST /v1/runs HTTP/1.1\r\nhost: HOST\r\nwindlass-from: 9.9.9.9:9\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n"
        ),
        &std::fs::read_to_string(&ann).unwrap(),
        job,
    );
    assert!(status == 200 || status == 201, "{answer}");
    let audit = text(&ground.ask(&a, &["audit", "--json"]).stdout);
    let through = format!("through node {}", w.ready["node_id"].as_str().unwrap());
    assert!(audit.contains("forged") || audit.matches(&through).count() == 3, "{audit}");
    assert!(audit.contains(&through) && !audit.contains("9.9.9.9"), "{audit}");
}

#[test]
fn whoever_has_no_token_gets_nowhere_and_harms_nobody() {
    let ground = Ground::new();
    let a = ground.found("a");
    let w = ground.join("w", &a, "worker");
    let ann = made(&ground, &a, "ann", "viewer");
    // The connection that requests are handed on by has the node's certificate. They do not.
    for call in ["Forward", "Renew", "Session", "KeepTails"] {
        let head = format!(
            "POST /windlass.peer.v1.Peer/{call} HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0\r\n"
        );
        let (status, answer) = send_with(&w, &head, "x", "");
        assert_eq!(status, 401, "{answer}");
        let (status, answer) = send(&w, &head, &ann);
        assert_eq!(status, 404, "{answer}");
    }
    for head in [
        "CONNECT 127.0.0.1:7400 HTTP/1.1\r\nhost: HOST\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: HOST\r\n",
        "GET /metrics HTTP/1.1\r\nhost: HOST\r\n",
    ] {
        assert_eq!(send_with(&w, head, "x", "").0, 403, "{head}");
    }
    let (status, answer) = send(&w, "GET /v1/runs HTTP/1.1\r\nhost: HOST\r\n", &ann);
    assert!(status == 200 && !answer.contains("windlass-known"), "{answer}");
}

#[test]
fn no_nodes_own_token_is_good_at_another_and_no_page_gets_through() {
    let ground = Ground::new();
    let a = ground.found("a");
    let w = ground.join("w", &a, "worker");
    let [of_a, of_w] = [&a, &w].map(|node| node.dir().join("token"));
    let refused = ground.ask(&w, &["ps"]);
    assert!(text(&refused.stderr).contains("its own token speaks with it alone"), "{refused:?}");
    for (node, token) in [(&w, &of_a), (&a, &of_w)] {
        let refused = ask(&ground, node, token, &["ps"]);
        assert!(text(&refused.stderr).contains("does not take the token"), "{refused:?}");
    }
    let own = ground.ask(&w, &["version", "--json"]);
    assert!(text(&own.stdout).contains("\"node\": \"w\""), "{own:?}");
    let admin = made(&ground, &a, "root", "admin");
    for (head, status) in [
        ("GET /v1/runs HTTP/1.1\r\nhost: HOST\r\n", 200),
        ("GET /v1/runs HTTP/1.1\r\nhost: evil.example:7400\r\n", 403),
        ("GET /v1/runs HTTP/1.1\r\nhost: HOST\r\norigin: http://evil.example\r\n", 403),
        ("GET /v1/runs HTTP/1.1\r\nhost: HOST\r\nsec-fetch-site: cross-site\r\n", 403),
        ("POST /v1/node/down HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0\r\n", 403),
        ("POST //v1/node/down HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0\r\n", 404),
        ("POST /v1/node//down HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0\r\n", 404),
        ("POST /v1/node/%64own HTTP/1.1\r\nhost: HOST\r\ncontent-length: 0\r\n", 404),
    ] {
        assert_eq!(send(&w, head, &admin).0, status, "{head}");
    }
    let (status, answer) = send(&w, "GET /readyz HTTP/1.1\r\nhost: HOST\r\n", &of_w);
    assert!(status == 200 && answer.ends_with("ready\n"), "{answer}");
}

#[test]
fn it_goes_down_by_its_own_token_alone_and_its_tasks_go_elsewhere() {
    let ground = Ground::new();
    let a = ground.found("a");
    let mut w = ground.join("w", &a, "worker");
    let admin = made(&ground, &a, "root", "admin");
    let script = "echo $WINDLASS_NODE_NAME; test $WINDLASS_NODE_NAME = a || exec sleep 600";
    let words = ["run", "--detach", "--array", "1-4", "--cpus", "1", "--", "sh", "-c", script];
    assert!(ground.ask(&a, &words).status.success());
    until("it has tasks", || {
        let nodes = ground.json(&a, &["node", "ls"])?;
        let nodes = nodes["nodes"].as_array()?.clone();
        let w = nodes.iter().find(|node| node["name"] == "w")?;
        (w["running"].as_u64()? > 0).then_some(())
    });
    let refused = ask(&ground, &w, &admin, &["down"]);
    assert!(text(&refused.stderr).contains("with its own token alone"), "{refused:?}");
    let down = ground.ask(&w, &["down", "--reason", "it is sold"]);
    let said = text(&down.stderr);
    assert!(down.status.success() && said.contains("node w is down"), "{said}");
    assert!(w.has_ended_well(), "{}", ground.log("w"));
    until("its tasks have ended elsewhere", || {
        let waited = ground.ask(&a, &["wait", "last"]);
        waited.status.success().then_some(())
    });
    assert!(ground.log("w").contains("it is sold"), "{}", ground.log("w"));
}

#[test]
fn it_finds_another_control_node_when_the_one_it_asked_is_gone() {
    let ground = Ground::new();
    let [mut leader, other, _third] = ground.three();
    let w = ground.join("w", &other, "worker");
    let ann = made(&ground, &other, "ann", "submitter");
    let hello = |word: &str| ask(&ground, &w, &ann, &["run", "--", "echo", word]);
    assert_eq!(text(&hello("before").stdout), "before\n");
    leader.end();
    until("a command through it is done again", || {
        (text(&hello("after").stdout) == "after\n").then_some(())
    });
}
