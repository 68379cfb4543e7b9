//! What the audit tells: every change once, also after a crash, to admins alone.

use serde_json::Value;

use crate::node::{Home, Node, Shown, own_addr};

/// `ACTOR ACTION ON: REASON` of each change, the first one first.
fn told(node: &Node, args: &[&str]) -> Vec<String> {
    let shown = node.windlass(&[&["audit", "--json"][..], args].concat());
    assert!(shown.0.status.success(), "{shown}");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let line = |one: &Value| {
        assert!(one["at"].is_string(), "{one}");
        let [actor, action, on, reason] =
            ["actor", "action", "on", "reason"].map(|name| text(&one[name]));
        format!("{actor} {action} {on}: {reason}")
    };
    let page = shown.json();
    assert_eq!(page["damaged"], 0);
    page["changes"].as_array().unwrap().iter().rev().map(line).collect()
}

#[test]
fn every_change_is_told_once_with_who_and_why() {
    let node = Home::new().up_at(own_addr());
    let ci = node.windlass(&["token", "create", "ci", "--role", "operator", "--reason", "for CI"]);
    let ci = ci.stdout().trim().to_owned();
    let id = ci.split('_').nth(1).unwrap().to_owned();
    let with_ci = |node: &Node, args: &[&str]| {
        let shown = Shown(node.command(args).env("WINDLASS_TOKEN", &ci).output().unwrap());
        assert!(shown.0.status.success(), "{shown}");
        shown
    };
    with_ci(&node, &["run", "-d", "--array", "1-9", "--", "sleep", "1000"]);
    with_ci(&node, &["cancel", "1/main[3-5]", "--reason", "wrong data"]);
    node.windlass(&["cancel", "1"]);
    node.windlass(&["wait", "1"]);
    node.windlass(&["rerun", "1[2]"]);
    with_ci(&node, &["cancel", "2"]);
    with_ci(&node, &["purge", "--state", "failed", "-y", "--reason", "tidy"]);
    node.windlass(&["purge", "--all", "--dry-run"]);
    // Refused for want of a role: it changed nothing.
    let refused = node.command(&["audit"]).env("WINDLASS_TOKEN", &ci).output().unwrap();
    assert!(!refused.status.success());
    node.windlass(&["token", "revoke", "ci"]);

    let token = format!("ci ({id}, operator)");
    let expected = [
        "node register-node alpha: it is new".to_owned(),
        format!("user:ann create-token {token}: for CI"),
        "token:ci submit 1: ".to_owned(),
        "token:ci cancel 1/main[3-5]: wrong data".to_owned(),
        "user:ann cancel 1: ".to_owned(),
        "user:ann rerun 1 as 2: ".to_owned(),
        "token:ci cancel 2: ".to_owned(),
        "token:ci purge in state failed: tidy".to_owned(),
        format!("user:ann revoke-token {token}: "),
    ];
    assert_eq!(told(&node, &[]), expected);
    assert_eq!(told(&node, &["--actor", "token:ci", "--action", "submit"]), expected[2..3]);
    assert_eq!(told(&node, &["--limit", "2"]), expected[7..]);
    let of_ci = node.windlass(&["audit", "--json", "--actor", "token:ci", "--limit", "1"]).json();
    assert_eq!(of_ci["changes"][0]["token"], *id);
    assert!(of_ci["changes"][0]["address"].as_str().unwrap().starts_with("127."), "{of_ci}");
    // A page at a time it is the same.
    let next = node.windlass(&["audit", "--json", "--limit", "4"]).json();
    let next = next["next_before"].as_str().unwrap().to_owned();
    assert_eq!(told(&node, &["--before", &next]), expected[..5]);

    let addr = node.api().parse().unwrap();
    let node = node.crash().up_at(addr);
    assert_eq!(told(&node, &["--since", "1h"]), expected);
    node.windlass(&["down", "--reason", "enough"]);
    let node = node.into_home().up_at(addr);
    let after = told(&node, &[]);
    assert_eq!(after[..9], expected);
    assert_eq!(after[9], "user:ann down alpha: enough");
    assert!(after[10].starts_with("node register-node alpha: a new supervisor"), "{after:?}");
}
