//! Nodes that other machines call: over TLS, each with a certificate of the one authority.

use std::path::{Path, PathBuf};
use std::process::Output;

use crate::ground::{Ground, Node, text, until};

fn port(node: &Node) -> &str {
    node.ready["api"].as_str().unwrap().rsplit_once(':').unwrap().1
}

/// A node of the cluster that `words` begin or join, which listens at every address.
fn beyond(ground: &Ground, name: &'static str, words: &[&str]) -> Node {
    let words = [words, &["--peer", "127.0.0.1:0", "--api", "0.0.0.0:0"]].concat();
    let node = ground.start(name, &words);
    assert_eq!(node.ready["tls"], true, "{}", node.ready);
    node
}

/// What a command answers that has nothing of the nodes' user, as on another machine.
fn elsewhere(ground: &Ground, token: &str, words: &[&str]) -> Output {
    let mut command = ground.windlass();
    command.env("XDG_STATE_HOME", ground.path("elsewhere")).env("WINDLASS_TOKEN", token);
    command.args(words).output().unwrap()
}

#[test]
fn one_file_makes_a_client_believe_every_node_of_the_cluster() {
    let ground = Ground::new();
    let a = beyond(&ground, "a", &["up"]);
    let token = ground.token(&a, &["--roles", "control,worker"]);
    let peer = a.ready["peer"].as_str().unwrap();
    let b = beyond(&ground, "b", &["join", peer, "--token", &token]);

    let ca = ground.ask(&a, &["cluster", "ca"]);
    assert!(ca.status.success(), "{}", text(&ca.stderr));
    assert_eq!(ca.stdout, ground.ask(&b, &["cluster", "ca"]).stdout, "they have one authority");
    let file = ground.path("cluster.crt");
    std::fs::write(&file, &ca.stdout).unwrap();
    let file = file.to_str().unwrap();
    let made = ground.ask(&b, &["token", "create", "laptop", "--role", "submitter"]);
    let token = text(&made.stdout).trim().to_owned();

    for node in [&a, &b] {
        let url = format!("https://127.0.0.1:{}", port(node));
        let run = ["run", "-N", &url, "--ca", file, "--", "echo", "hello"];
        let ran = elsewhere(&ground, &token, &run);
        assert_eq!(text(&ran.stdout), "hello\n", "{}: {}", node.name, text(&ran.stderr));
        let refused = elsewhere(&ground, &token, &["ps", "-N", &url]);
        let said = text(&refused.stderr);
        assert!(said.contains("is of an authority that is not known here"), "{said}");
    }
    // Of the same authority, and still for nodes alone: there is no name in it that could be called.
    for node in [&a, &b] {
        let url = format!("https://{}", node.ready["peer"].as_str().unwrap());
        let refused = elsewhere(&ground, &token, &["ps", "-N", &url, "--ca", file]);
        assert_eq!(refused.status.code(), Some(3), "{}", text(&refused.stdout));
        assert!(text(&refused.stderr).contains("not for `127.0.0.1`"), "{}", text(&refused.stderr));
    }
}

#[test]
fn a_token_that_is_revoked_at_one_node_is_soon_refused_at_all() {
    let ground = Ground::new();
    let a = ground.found("a");
    let b = ground.join("b", &a, "control,worker");
    let made = ground.ask(&b, &["token", "create", "ci", "--role", "viewer"]);
    let token = text(&made.stdout).trim().to_owned();
    let ps = |node: &Node| {
        elsewhere(&ground, &token, &["ps", "-N", node.ready["api"].as_str().unwrap()])
    };
    for node in [&a, &b] {
        until("the token is known", || ps(node).status.success().then_some(()));
    }
    let revoked = ground.ask(&a, &["token", "revoke", "ci", "--reason", "it was in a log"]);
    assert!(revoked.status.success(), "{}", text(&revoked.stderr));
    assert!(text(&ps(&a).stderr).contains("revoked"), "where it was revoked, at once");
    until("the token is refused", || text(&ps(&b).stderr).contains("revoked").then_some(()));
}

/// Every file below a node's directory, with what can be read in it.
fn files(dir: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut left = vec![dir.to_owned()];
    while let Some(dir) = left.pop() {
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
            if kind.is_dir() {
                left.push(path);
            } else if kind.is_file() {
                let read = text(&std::fs::read(&path).unwrap());
                found.push((path, read));
            }
        }
    }
    found
}

#[test]
fn a_secret_is_on_no_disk_in_the_clear_and_a_worker_has_no_key() {
    const SECRET: &str = "eight-blue-herons-5b0a";
    let ground = Ground::new();
    let a = ground.found("a");
    let b = ground.join("b", &a, "control");
    let _w = ground.join("w", &a, "worker");
    until("it is ready", || {
        let nodes = ground.json(&a, &["node", "ls"])?;
        let nodes = nodes["nodes"].as_array()?.clone();
        nodes.iter().any(|node| node["name"] == "w" && node["state"] == "ready").then_some(())
    });
    // More than one node has room for. What it ends with is told by the node that has heard it.
    let script = "sleep 0.5; test ${#KEY} = 22 && echo on $WINDLASS_NODE_NAME";
    let api = b.ready["api"].as_str().unwrap();
    let mut run = ground.windlass();
    let words = ["run", "-N", api, "--secret-env", "KEY", "--array", "1-4", "--cpus", "1"];
    let run = run.args(words).args(["--", "sh", "-c", script]).env("KEY", SECRET).output().unwrap();
    let shown = text(&run.stdout);
    assert!(run.status.success() && shown.contains("on w"), "{shown}{}", text(&run.stderr));
    for name in ["a", "b", "w"] {
        let files = files(&ground.path(name));
        for (path, read) in &files {
            assert!(!read.contains(SECRET), "{}", path.display());
        }
        let keys = |file: &str| files.iter().any(|(path, _)| path.ends_with(file));
        for file in ["secrets.key", "peer/authority.key"] {
            assert_eq!(keys(file), name != "w", "{file} of {name}");
        }
        // The scan finds what is there.
        let found = files.iter().any(|(_, read)| read.contains("sleep 0.5"));
        assert_eq!(found, name != "w", "{name}");
    }
}

#[test]
fn a_cluster_that_is_restored_without_its_authority_believes_nobody_of_before() {
    let ground = Ground::new();
    let a = ground.found("a");
    let _w = ground.join("w", &a, "worker");
    let before = ground.ask(&a, &["cluster", "ca"]).stdout;
    let snapshot = ground.path("cluster.snap");
    let snapshot = snapshot.to_str().unwrap();
    let peer = a.ready["peer"].as_str().unwrap();
    for words in [&["cluster", "snapshot", "save", snapshot][..], &["down"]] {
        let done = ground.ask(&a, words);
        assert!(done.status.success(), "{}", text(&done.stderr));
    }
    let mut restore = ground.windlass();
    restore.args(["cluster", "snapshot", "restore", snapshot, "--data-dir"]);
    let restored = restore.arg(ground.path("r")).output().unwrap();
    assert!(restored.status.success(), "{}", text(&restored.stderr));
    // Where the worker looks for a control node.
    let r = ground.start("r", &["up", "--peer", peer]);
    until("the worker of before is refused", || {
        ground.log("r").contains("a peer is refused").then_some(())
    });
    assert_ne!(ground.ask(&r, &["cluster", "ca"]).stdout, before);
    let status = ground.json(&r, &["cluster", "status"]).unwrap();
    assert_eq!(status["members"].as_array().unwrap().len(), 1, "{status}");
    // It comes in again with a token of the new authority, in an empty directory.
    let _again = ground.join("again", &r, "worker");
}

#[test]
fn a_worker_joins_a_restored_cluster_on_its_old_directory_and_ends_what_it_ran() {
    let ground = Ground::new();
    let a = ground.start("a", &["up", "--peer", "127.0.0.1:0"]);
    let mut w = ground.join("w", &a, "worker");
    let (peer, snapshot) = (a.ready["peer"].as_str().unwrap(), ground.path("cluster.snap"));
    let (snapshot, pid) = (snapshot.to_str().unwrap(), ground.path("pid"));
    let saved = ground.ask(&a, &["cluster", "snapshot", "save", snapshot]);
    assert!(saved.status.success(), "{}", text(&saved.stderr));
    // What it runs the cluster will have forgotten; both nodes are full, so one of the four is there.
    let script = "test $WINDLASS_NODE_NAME = w && echo $$ > $0; exec sleep 600";
    let file = pid.to_str().unwrap();
    let words = ["run", "-d", "--array", "1-4", "--cpus", "1", "--", "sh", "-c", script, file];
    assert!(ground.ask(&a, &words).status.success());
    let task = until("it runs something", || {
        std::fs::read_to_string(&pid).ok().and_then(|text| text.trim().parse::<u32>().ok())
    });
    assert!(ground.ask(&a, &["down"]).status.success());
    let mut restore = ground.windlass();
    restore.args(["cluster", "snapshot", "restore", snapshot, "--replace", "--data-dir"]);
    assert!(restore.arg(a.dir()).status().unwrap().success());
    let a = ground.start("a", &["up", "--peer", peer]);
    // Whoever is of before is not let in at all: not even before it knows its incarnation.
    let log = ground.log("a");
    let at = |what: &str| log.rfind(what).unwrap_or_else(|| panic!("no `{what}` in {log}"));
    assert!(at("peers are listened to") > at("incarnation=2"), "{log}");

    w.stop();
    let token = ground.token(&a, &["--roles", "worker"]);
    let words = ["join", peer, "--token", &token];
    let id = w.ready["node_id"].clone();
    w.take(ground.start("w", &words));
    assert_eq!(w.ready["node_id"], id, "it is the node it was");
    let is_ready = || {
        let nodes = ground.json(&a, &["node", "ls"])?;
        let nodes = nodes["nodes"].as_array()?.clone();
        nodes.iter().any(|node| node["name"] == "w" && node["state"] == "ready").then_some(())
    };
    until("it is in the cluster again", is_ready);
    assert!(!Path::new(&format!("/proc/{task}")).exists(), "what it ran before has ended");
    assert!(w.dir().join("before-2/output").exists());
    // The same words start it again, though the token is used up and it is a member.
    w.stop();
    w.take(ground.start("w", &words));
    until("it is in the cluster still", is_ready);
}

#[test]
fn the_cluster_knows_where_its_nodes_are_called() {
    let ground = Ground::new();
    let named = ["up", "--api-name", "alpha.example"];
    let a = beyond(&ground, "a", &named);
    let token = ground.token(&a, &["--roles", "control,worker"]);
    let peer = a.ready["peer"].as_str().unwrap();
    let b = beyond(&ground, "b", &["join", peer, "--token", &token]);
    let c = ground.join("c", &a, "control,worker");
    let told = |name: &str| {
        let cluster = ground.json(&c, &["cluster", "status"])?;
        let members = cluster["members"].as_array()?.clone();
        let member = members.into_iter().find(|member| member["name"] == name)?;
        Some(member["api_address"].clone())
    };
    let at = |name: &str, address: String| {
        until(&format!("{name} is called at {address}"), || {
            (told(name)? == address.as_str()).then_some(())
        });
    };
    at("a", format!("alpha.example:{}", port(&a)));
    // The address that it has on the way to the node that it joined by.
    at("b", format!("127.0.0.1:{}", port(&b)));
    assert_eq!(told("c"), Some(serde_json::Value::Null), "it is called by its own machine alone");
}

#[test]
fn a_node_that_redirects_sends_callers_to_the_leader_and_answers_what_is_about_itself() {
    let ground = Ground::new();
    let a = beyond(&ground, "a", &["up", "--redirect", "--api-name", "alpha.example"]);
    let token = ground.token(&a, &["--roles", "control,worker"]);
    let peer = a.ready["peer"].as_str().unwrap();
    let words = ["join", peer, "--token", &token, "--peer", "127.0.0.1:0", "--redirect"];
    let b = ground.start("b", &words);
    let api = b.ready["api"].as_str().unwrap();
    let made = ground.ask(&b, &["token", "create", "ann", "--role", "viewer"]);
    let made = text(&made.stdout).trim().to_owned();
    let own = std::fs::read_to_string(b.dir().join("token")).unwrap().trim().to_owned();
    let leader = format!("https://alpha.example:{}", port(&a));
    let ask_by = |token: &str, method: &str, path: &str, header: Option<&str>| {
        let request = ureq::http::Request::builder().method(method);
        let request = request.uri(format!("http://{api}{path}"));
        let request = request.header("authorization", format!("Bearer {token}"));
        let request = match header {
            Some(header) => request.header("windlass-redirect", header),
            None => request,
        };
        let request = request.body(());
        let agent = ureq::Agent::config_builder().max_redirects(0).http_status_as_error(false);
        let answer = ureq::Agent::from(agent.build()).run(request.unwrap()).unwrap();
        let to = answer.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
        (answer.status().as_u16(), to)
    };
    let ask = |method: &str, path: &str, header| ask_by(&made, method, path, header);
    until("it knows where the leader is called", || {
        let at = Some(format!("{leader}/v1/runs?limit=3"));
        (ask("GET", "/v1/runs?limit=3", None) == (302, at)).then_some(())
    });
    let at = Some(format!("{leader}/v1/runs/7/cancel"));
    assert_eq!(ask("POST", "/v1/runs/7/cancel", None), (307, at));
    assert_eq!(ask("GET", "/v1/runs", Some("false")), (200, None));
    for of_b in ["/v1/version", "/metrics", "/readyz"] {
        assert_eq!(ask("GET", of_b, Some("true")), (200, None), "{of_b}");
    }
    // The token of a data directory counts at its own node, so its holder is sent nowhere.
    assert_eq!(ask_by(&own, "GET", "/v1/runs", None), (200, None));
    // A command speaks gRPC, and is forwarded.
    assert!(ground.ask(&b, &["run", "--", "true"]).status.success());
}
