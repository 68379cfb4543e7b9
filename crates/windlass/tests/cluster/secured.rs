//! Nodes that other machines call: over TLS, each with a certificate of the one authority.

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
