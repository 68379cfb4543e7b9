//! The API beyond loopback: whom it serves there, whom a client believes, and what is said where the two do not fit.

mod elsewhere;
mod given;
mod machine;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::node::{Home, Node};
use crate::python::python;
use elsewhere::Elsewhere;

/// A node that listens at every address of the machine.
fn beyond(args: &[&str]) -> Node {
    Home::new().up_beyond("0.0.0.0:0", args)
}

fn port(node: &Node) -> &str {
    node.api().rsplit_once(':').unwrap().1
}

/// Status, version of HTTP, and body of what curl gets; or what it says, with a status of 0.
fn curl(args: &[&str]) -> (u16, String, String) {
    let mut command = Command::new("curl");
    command.args(["--silent", "--show-error", "--max-time", "30"]);
    command.args(["--write-out", "\n%{http_code} %{http_version}"]).args(args);
    let output = command.output().unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    let (body, last) = stdout.rsplit_once('\n').unwrap();
    let (status, version) = last.split_once(' ').unwrap();
    let status = status.parse().unwrap();
    let body =
        if status == 0 { String::from_utf8(output.stderr).unwrap() } else { body.to_owned() };
    (status, version.to_owned(), body)
}

/// Tries until it is so. Trying takes long enough for a pause.
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !so() {
        assert!(Instant::now() < deadline, "in vain: {what}");
    }
}

#[test]
fn its_own_user_needs_no_more_words_than_on_loopback() {
    let node = beyond(&[]);
    assert!(node.said.contains(&format!("api   https://0.0.0.0:{}", port(&node))), "{}", node.said);
    assert_eq!(node.ready["tls"], true);
    let here = format!("127.0.0.1:{}", port(&node));
    for addr in
        [node.api(), &here, &format!("https://{here}"), &format!("localhost:{}", port(&node))]
    {
        let shown = node.home().windlass(&["run", "-N", addr, "--", "echo", "hello"]);
        assert_eq!(shown.stdout(), "hello\n", "{addr}: {shown}");
    }
    let left = node.home().path().join("state/windlass/nodes");
    let names = || std::fs::read_dir(&left).unwrap().count();
    assert_eq!(names(), 4, "a token and a certificate at two addresses");
    let down = node.windlass(&["down"]);
    assert!(down.0.status.success(), "{down}");
    assert_eq!(names(), 0);
}

#[test]
fn another_machine_believes_the_authority_of_the_cluster() {
    let node = beyond(&[]);
    let elsewhere = Elsewhere::of(&node);
    let addr = format!("127.0.0.1:{}", port(&node));
    let url = format!("https://{addr}");
    let ca = elsewhere.ca();
    // By the flag, which says TLS as well; by the variable; by a file of settings.
    for (addr, args) in [(&url, &["ps", "--ca", ca.as_str()][..]), (&addr, &["ps", "--ca", &ca])] {
        let shown = elsewhere.windlass(addr, args);
        assert!(shown.0.status.success(), "{shown}");
    }
    let shown = elsewhere.command(&url, &["ps"]).env("WINDLASS_CA", &ca).output().unwrap();
    assert!(shown.status.success());
    let settings = format!("node: {url}\nca: {ca}\n");
    std::fs::write(elsewhere.home.path().join("settings.yaml"), settings).unwrap();
    let args = ["run", "-c", "settings.yaml", "--", "echo", "hello"];
    let ran =
        elsewhere.home.command(&args).env("WINDLASS_TOKEN", &elsewhere.token).output().unwrap();
    assert_eq!(ran.stdout, b"hello\n");

    // What the command prints is what lies in the data directory, and REST says the same.
    let file = node.home().path().join("data/peer/authority.crt");
    assert_eq!(std::fs::read_to_string(file).unwrap(), std::fs::read_to_string(&ca).unwrap());
    let bearer = format!("authorization: Bearer {}", elsewhere.token);
    let with = |path: &str, more: &[&str]| {
        let url = format!("{url}{path}");
        curl(&[&["--cacert", &ca, "--header", &bearer, &url], more].concat())
    };
    let (status, version, body) = with("/v1/cluster/ca", &[]);
    assert_eq!((status, version.as_str()), (200, "2"), "{body}");
    let told: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(told["certificate"], std::fs::read_to_string(&ca).unwrap());
    assert_eq!(told["sha256"].as_str().unwrap().len(), 64);
    let (status, version, _) = with("/v1/runs", &["--http1.1"]);
    assert_eq!((status, version.as_str()), (200, "1.1"));
    // What is streamed, too.
    assert_eq!(with("/v1/runs/1/output?follow=true", &[]).2, "hello\n");
    assert_eq!(with("/v1/runs", &["--tlsv1.2", "--tls-max", "1.2"]).0, 200);
    assert_eq!(with("/v1/runs", &["--tls-max", "1.1"]).0, 0);
}

#[test]
fn a_viewer_may_see_the_authority_and_nobody_without_a_token() {
    let node = Home::new().up();
    let made = node.windlass(&["token", "create", "look", "--role", "viewer"]).stdout();
    let shown =
        node.command(&["cluster", "ca"]).env("WINDLASS_TOKEN", made.trim()).output().unwrap();
    assert!(shown.stdout.starts_with(b"-----BEGIN CERTIFICATE-----\n"));
    let url = format!("http://{}/v1/cluster/ca", node.api());
    assert_eq!(curl(&[&url]).0, 401);
}

#[test]
fn clients_in_python_believe_it() {
    let node = beyond(&[]);
    let elsewhere = Elsewhere::of(&node);
    let (ca, port) = (elsewhere.ca(), port(&node));
    let run = |environment: &str, args: &[&str]| {
        let mut command = Command::new(python(environment));
        let output = command.args(args).env("TOKEN", &elsewhere.token).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    // By the name and by the address; and by the strictest rules that OpenSSL knows.
    let script = r"
import os, requests, ssl, sys, urllib.request
ca, port = sys.argv[1:]
headers = {'authorization': 'Bearer ' + os.environ['TOKEN']}
for host in ('localhost', '127.0.0.1'):
    url = f'https://{host}:{port}/v1/runs'
    answer = requests.get(url, headers=headers, verify=ca)
    assert answer.status_code == 200, answer.text
    context = ssl.create_default_context(cafile=ca)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    request = urllib.request.Request(url, headers=headers)
    print(urllib.request.urlopen(request, context=context).status)
";
    assert_eq!(run("strangers", &["-c", script, &ca, port]), "200\n200\n");
    let client = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/python/windlass.py");
    let token = node.home().path().join("data/token").display().to_string();
    let addr = format!("localhost:{port}");
    let args =
        [client, "--address", &addr, "--ca", &ca, "--token-file", &token, "run", "echo", "hi"];
    assert_eq!(run("client", &args), "hi\n");
}

#[test]
fn what_does_not_fit_is_told_with_what_to_do() {
    let node = beyond(&[]);
    let elsewhere = Elsewhere::of(&node);
    let other = Home::new().up();
    std::fs::copy(other.home().path().join("data/peer/authority.crt"), elsewhere.path("other.crt"))
        .unwrap();
    std::fs::write(elsewhere.path("none.crt"), "no certificate\n").unwrap();
    elsewhere.ca();
    let (port, plain) = (port(&node), other.api());
    let said = |addr: &str, args: &[&str]| {
        let shown = elsewhere.windlass(addr, args).to_string();
        shown.replace(port, "PORT").replace(plain, "127.0.0.1:PLAIN")
    };
    let url = format!("https://127.0.0.1:{port}");
    insta::assert_snapshot!(said(&url, &["ps"]), @r"
    exit code: 3
    --- stderr ---
    error: the certificate of the node at 127.0.0.1:PORT is of an authority that is not known here
    hint: copy DATA_DIR/peer/authority.crt of one of its nodes, which `windlass cluster ca` prints there, and give it with `--ca FILE`
    ");
    insta::assert_snapshot!(said(&url, &["ps", "--ca", "other.crt"]), @r"
    exit code: 3
    --- stderr ---
    error: the certificate of the node at 127.0.0.1:PORT is of no authority in `other.crt`
    hint: copy DATA_DIR/peer/authority.crt of one of its nodes, which `windlass cluster ca` prints there, and give it with `--ca FILE`
    ");
    insta::assert_snapshot!(said(&url, &["ps", "--ca", "none.crt"]), @r"
    exit code: 3
    --- stderr ---
    error: cannot take the authority from `none.crt`: there is no certificate in it
    hint: `windlass cluster ca` prints it on a node of the cluster
    ");
    insta::assert_snapshot!(said(&url, &["ps", "--ca", "missing.crt"]), @r"
    exit code: 3
    --- stderr ---
    error: cannot take the authority from `missing.crt`: No such file or directory (os error 2)
    hint: `windlass cluster ca` prints it on a node of the cluster
    ");
    // Every address of loopback leads there, and the certificate is not for this one.
    let elsewhere_named = format!("https://127.0.0.9:{port}");
    let names = said(&elsewhere_named, &["ps", "--ca", "cluster.crt"]);
    assert!(names.contains("is for ") && names.contains("localhost, 127.0.0.1"), "{names}");
    assert!(
        names.contains("and not for `127.0.0.9`\nhint: call it by one of its names"),
        "{names}"
    );
    insta::assert_snapshot!(said(&format!("http://127.0.0.1:{port}"), &["ps"]), @r"
    exit code: 3
    --- stderr ---
    error: the node at 127.0.0.1:PORT speaks TLS, and was called without
    hint: write `--node https://127.0.0.1:PORT`, with `--ca FILE` where the cluster's own authority vouches for it
    ");
    // Trying again would not help.
    let start = Instant::now();
    let shown = elsewhere.windlass(&format!("http://127.0.0.1:{port}"), &["run", "--", "true"]);
    assert_eq!(shown.0.status.code(), Some(125), "{shown}");
    assert!(start.elapsed() < Duration::from_secs(20), "it has not been tried for half a minute");
    insta::assert_snapshot!(said(&format!("https://{plain}"), &["ps"]), @r"
    exit code: 3
    --- stderr ---
    error: the node at 127.0.0.1:PLAIN does not speak TLS
    hint: write `--node http://127.0.0.1:PLAIN`; nodes do that on loopback alone
    ");
    insta::assert_snapshot!(said("http://10.0.0.5:7400", &["ps"]), @r"
    exit code: 2
    --- stderr ---
    error: will not call `http://10.0.0.5:7400`: others could read the token along
    hint: nodes serve other machines over TLS alone: write `https://10.0.0.5:7400`
    ");
}

/// Nothing that a client can say makes it take a certificate unseen, and nothing is told to whoever shows such a one.
#[test]
fn no_token_is_told_to_somebody_else() {
    let (node, other) = (beyond(&[]), beyond(&[]));
    let elsewhere = Elsewhere::of(&node);
    let ca = elsewhere.ca();
    // The address leads to another node, of another cluster.
    let url = format!("https://127.0.0.1:{}", port(&other));
    let shown = elsewhere.windlass(&url, &["ps", "--ca", &ca]);
    assert_eq!(shown.0.status.code(), Some(3), "{shown}");
    let metrics = other.home().path().join("data/token");
    let bearer =
        format!("authorization: Bearer {}", std::fs::read_to_string(metrics).unwrap().trim());
    let ca = other.home().path().join("data/peer/authority.crt").display().to_string();
    let (_, _, text) = curl(&["--cacert", &ca, "--header", &bearer, &format!("{url}/metrics")]);
    let refused = "windlass_requests_refused_total{reason=\"token\"} 0";
    assert!(text.contains(refused), "it has seen no request: {text}");
}

#[test]
fn a_name_that_was_pointed_here_is_refused() {
    let peers = ["--peer", "127.0.0.1:0", "--advertise", "beta.example:7401"];
    let node = beyond(&[&["--api-name", "alpha.example"], &peers[..]].concat());
    let elsewhere = Elsewhere::of(&node);
    let (ca, port) = (elsewhere.ca(), port(&node));
    let bearer = format!("authorization: Bearer {}", elsewhere.token);
    let call = |host: &str, more: &[&str]| {
        let to = format!("{host}:{port}:127.0.0.1:{port}");
        let url = format!("https://{host}:{port}/v1/runs");
        curl(&[&["--connect-to", &to, "--header", &bearer, &url], more].concat())
    };
    assert_eq!(call("alpha.example", &["--cacert", &ca]).0, 200);
    // What other nodes call it by is one of its names, too.
    assert_eq!(call("beta.example", &["--cacert", &ca]).0, 200);
    // A browser gets no further than this.
    let (status, _, said) = call("evil.example", &["--cacert", &ca]);
    assert_eq!(status, 0, "{said}");
    // One that was told to go on is refused by the node, by either version of HTTP.
    for version in ["--http1.1", "--http2"] {
        let (status, _, body) = call("evil.example", &["--insecure", version]);
        assert_eq!(status, 403, "{body}");
        assert!(body.contains("another host"), "{body}");
        let host = format!("host: evil.example:{port}");
        assert_eq!(call("alpha.example", &["--cacert", &ca, version, "--header", &host]).0, 403);
    }
    // A page of another port of the same machine, and one of the node's own.
    let from = |origin: &str| {
        call("alpha.example", &["--cacert", &ca, "--header", &format!("origin: {origin}")]).0
    };
    assert_eq!(from(&format!("https://alpha.example:{port}")), 200);
    assert_eq!(from("https://alpha.example:1"), 403);
    assert_eq!(from(&format!("http://alpha.example:{port}")), 403);
    assert_eq!(from(&format!("https://127.0.0.1:{port}")), 403);
    assert_eq!(from("null"), 403);
}

#[test]
fn beyond_loopback_nothing_is_said_in_the_clear() {
    let node = beyond(&[]);
    let token = node.token();
    let bearer = format!("authorization: Bearer {}", token.trim());
    for version in ["--http1.1", "--http2-prior-knowledge"] {
        for path in ["", "healthz", "v1/runs"] {
            let url = format!("http://127.0.0.1:{}/{path}", port(&node));
            let (status, _, body) = curl(&[version, "--header", &bearer, &url]);
            assert!(status == 400 || status == 0, "{body}");
            assert!(status == 0 || body.contains("this port speaks TLS"), "{body}");
        }
    }
}

#[test]
fn its_own_certificate_is_renewed_before_it_ends() {
    let node = beyond(&["--api-cert-life", "3s"]);
    let elsewhere = Elsewhere::of(&node);
    let (ca, url) = (elsewhere.ca(), format!("https://127.0.0.1:{}", port(&node)));
    let pin = format!("state/windlass/nodes/127.0.0.1_{}.crt", port(&node));
    let pin = node.home().path().join(pin);
    let shown = || {
        let text = std::fs::read_to_string(&pin).unwrap();
        text.split_inclusive("-----END CERTIFICATE-----\n").next().unwrap().to_owned()
    };
    // Each is good for three seconds, so a third one says that the first has ended.
    let mut seen = vec![shown()];
    until("three certificates", || {
        let listed = elsewhere.windlass(&url, &["ps", "--ca", &ca]);
        assert!(listed.0.status.success(), "{listed}");
        let now = shown();
        if !seen.contains(&now) {
            seen.push(now);
        }
        seen.len() >= 3
    });
    let listed = node.windlass(&["ps"]);
    assert!(listed.0.status.success(), "{listed}");
}

#[test]
fn a_command_goes_on_when_the_node_is_back_with_another_certificate() {
    let mut node = beyond(&[]);
    let (api, go) = (node.api().to_owned(), node.home().path().join("go"));
    let script =
        format!("echo begun; until [ -e {} ]; do sleep 0.1; done; echo done", go.display());
    let run = node.windlass(&["run", "-d", "--", "sh", "-c", &script]);
    assert!(run.0.status.success(), "{run}");
    let mut follows = node.command(&["logs", "-f", "1"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(follows.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "begun");
    node.signal(Signal::TERM);
    assert_eq!(node.ended().0, Some(0));
    let _node = node.into_home().up_beyond(&api, &[]);
    std::fs::write(go, "").unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "done");
    assert!(follows.wait().unwrap().success());
}
