//! What the audit tells: every change once, also after a crash, to admins alone.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::node::{Home, Node, Shown, own_addr};
use crate::rest::client::Call;

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

/// What a person sees who follows the submits until they press Ctrl-C.
struct Follower {
    child: std::process::Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Follower {
    fn new(node: &Node) -> Follower {
        let mut follow = node.command(&["audit", "-f", "--json", "--action", "submit"]);
        let mut child = follow.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Follower { child, lines }
    }

    /// The run whose submit is told next, and the index it was made at.
    fn next(&mut self) -> (String, u64) {
        let change: Value = serde_json::from_str(&self.lines.next().unwrap().unwrap()).unwrap();
        assert_eq!((&change["action"], &change["actor"]), (&json!("submit"), &json!("user:ann")));
        (change["on"].as_str().unwrap().to_owned(), change["index"].as_u64().unwrap())
    }

    /// With which index it is said to go on.
    fn interrupted(mut self) -> String {
        kill_process(Pid::from_raw(self.child.id() as i32).unwrap(), Signal::INT).unwrap();
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert_eq!(self.child.wait().unwrap().code(), Some(0), "{said}");
        let (_, after) = said.trim_end().split_once("`windlass audit --after ").unwrap();
        after.trim_end_matches('`').to_owned()
    }
}

/// The changes of Server-Sent Events that have ended, and the last id.
fn sent(call: Call<'_>) -> (Vec<Value>, String) {
    let answer = call.header("accept", "text/event-stream").answer();
    assert_eq!(answer.status, 200);
    let text = String::from_utf8(answer.body).unwrap();
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    let changes = data.map(|data| serde_json::from_str(data).unwrap()).collect();
    let id = text.lines().rev().find_map(|line| line.strip_prefix("id: ")).unwrap_or_default();
    (changes, id.to_owned())
}

#[test]
fn the_audit_is_followed_as_it_comes_and_goes_on_over_a_restart() {
    let node = Home::new().up_at(own_addr());
    node.windlass(&["run", "--", "true"]);
    let mut follower = Follower::new(&node);
    let (first, at) = follower.next();
    node.windlass(&["run", "--", "true"]);
    node.windlass(&["rerun", "1"]);
    node.windlass(&["run", "--", "true"]);
    let (second, third) = (follower.next(), follower.next());
    assert_eq!([first.as_str(), &second.0, &third.0], ["1", "2", "4"]);
    assert!(at < second.1 && second.1 < third.1);
    let after = follower.interrupted();
    assert!(after.parse::<u64>().unwrap() >= third.1, "{after}");

    let addr = node.api().parse().unwrap();
    let node = node.crash().up_at(addr);
    node.windlass(&["run", "--", "true"]);
    node.windlass(&["cancel", "5", "--reason", "too late"]);
    let shown = node.windlass(&["audit", "--after", &after, "--action", "submit"]).stdout();
    assert!(shown.lines().count() == 1 && shown.ends_with("  user:ann  submit 5\n"), "{shown}");
    let all = node.windlass(&["audit", "--after", "0", "--json"]).stdout();
    let told: Vec<Value> = all.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut listed = node.windlass(&["audit", "--json"]).json()["changes"].clone();
    listed.as_array_mut().unwrap().reverse();
    assert_eq!(Value::from(told.clone()), listed);

    // REST tells the same, and goes on where it was cut off.
    let path = "/v1/audit/events?follow=false";
    let (sent_all, last) = sent(Call::get(&node, format!("{path}&after=0")));
    assert_eq!(sent_all, told);
    let cut = told[2]["index"].to_string();
    assert_eq!(sent(Call::get(&node, path).header("last-event-id", cut.as_str())).0, told[3..]);
    node.windlass(&["run", "--", "true"]);
    let (rest, _) = sent(Call::get(&node, path).header("last-event-id", last.as_str()));
    assert_eq!((rest.len(), &rest[0]["on"]), (1, &json!("6")));
    let ahead = Call::get(&node, "/v1/audit/events?after=999999999").answer().with(422);
    assert!(ahead["detail"].as_str().unwrap().contains("is not reached yet"), "{ahead}");

    let viewer = node.windlass(&["token", "create", "v", "--role", "operator"]).stdout();
    let bearer = format!("Bearer {}", viewer.trim());
    let refused = Call::get(&node, path).header("authorization", bearer.as_str()).answer();
    assert_eq!(refused.with(403)["type"], "urn:windlass:problem:forbidden");
    let refused = node.command(&["audit", "-f"]).env("WINDLASS_TOKEN", viewer.trim()).output();
    assert_eq!(refused.unwrap().status.code(), Some(1));
}
