//! A certificate that somebody gives, and replaces while the node serves.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, KeyPair, date_time_ymd};

use super::{curl, until};
use crate::node::{Home, Node};

/// Certificate and key for these names, as PEM; good until then.
fn made(names: &[&str], year: i32) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(year, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    (pem("CERTIFICATE", certificate.der()), pem("PRIVATE KEY", &key.serialize_der()))
}

fn pem(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der))
}

/// Writes a file for its owner alone, whole or not at all.
fn write(path: &Path, text: &str) {
    let new = path.with_extension("new");
    fs::write(&new, text).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, path).unwrap();
}

const FLAGS: [&str; 4] = ["--api-cert", "api.crt", "--api-key", "api.key"];

fn with(certificate: &str, key: &str) -> Home {
    let home = Home::new();
    write(&home.path().join("api.crt"), certificate);
    write(&home.path().join("api.key"), key);
    home
}

/// The status of a call by a client that believes this certificate.
fn status(node: &Node, certificate: &str, host: &str) -> u16 {
    let ca = node.home().path().join("believed.crt");
    fs::write(&ca, certificate).unwrap();
    let port = node.api().rsplit_once(':').unwrap().1;
    let url = format!("https://{host}:{port}/");
    let to = format!("{host}:{port}:{}", node.api());
    let bearer = format!("authorization: Bearer {}", node.token().trim());
    let ca = ca.display().to_string();
    curl(&["--cacert", &ca, "--connect-to", &to, "--header", &bearer, &url]).0
}

#[test]
fn it_is_shown_on_loopback_too_and_replaced_without_a_restart() {
    let (first, key) = made(&["alpha.example"], 4000);
    let node = with(&first, &key).up_with(&FLAGS);
    assert_eq!(node.ready["tls"], true);
    assert_eq!(status(&node, &first, "alpha.example"), 200);
    // The node's own user needs no name of it, and neither does the node's address.
    assert!(node.windlass(&["ps"]).0.status.success());
    assert_eq!(node.windlass(&["run", "--", "echo", "hello"]).stdout(), "hello\n");

    let (second, key) = made(&["beta.example"], 4000);
    let path = |name| node.home().path().join(name);
    write(&path("api.crt"), &second);
    // The key is another one's until the second file is there: what was shown goes on.
    assert_eq!(status(&node, &first, "alpha.example"), 200);
    write(&path("api.key"), &key);
    until("the new one is shown", || status(&node, &second, "beta.example") == 200);
    assert_eq!(status(&node, &first, "alpha.example"), 0);
    assert!(node.windlass(&["ps"]).0.status.success());

    // What cannot be used is not: neither garbage, nor what has expired, nor nothing.
    write(&path("api.crt"), "garbage");
    assert_eq!(status(&node, &second, "beta.example"), 200);
    fs::remove_file(path("api.crt")).unwrap();
    assert_eq!(status(&node, &second, "beta.example"), 200);
    let (third, key) = made(&["gamma.example"], 4000);
    write(&path("api.key"), &key);
    write(&path("api.crt"), &third);
    until("it recovers", || status(&node, &third, "gamma.example") == 200);
}

#[test]
fn the_command_believes_one_that_stands_for_itself_by_its_file() {
    let (certificate, key) = made(&["127.0.0.1"], 4000);
    let node = with(&certificate, &key).up_with(&FLAGS);
    let elsewhere = super::Elsewhere::of(&node);
    let file = node.home().path().join("api.crt").display().to_string();
    let url = format!("https://{}", node.api());
    let shown = elsewhere.windlass(&url, &["ps", "--ca", &file]);
    assert!(shown.0.status.success(), "{shown}");
    // As one of the system's, where that is what the system says.
    let ps = elsewhere.command(&url, &["ps"]).env("SSL_CERT_FILE", &file).output().unwrap();
    let text = String::from_utf8_lossy(&ps.stderr).into_owned();
    assert!(ps.status.success() || text.contains("authority"), "{text}");
    let other = url.replace("127.0.0.", "127.0.0.1").replace("127.0.0.11", "localhost");
    let shown = elsewhere.windlass(&other, &["ps"]);
    assert!(!shown.0.status.success(), "{shown}");
}

#[test]
fn nothing_starts_with_one_that_cannot_be_used() {
    let (good, key) = made(&["a"], 4000);
    let (_, other) = made(&["a"], 4000);
    let (expired, of_expired) = made(&["a"], 2021);
    let refused = |home: Home, hint: &str| {
        let args = [&["up", "--data-dir", "data", "--api", "127.0.0.1:0"], &FLAGS[..]].concat();
        let shown = home.windlass(&args);
        assert_eq!(shown.0.status.code(), Some(1), "{shown}");
        assert!(shown.to_string().contains(hint), "{shown}");
        assert!(!home.path().join("data").exists(), "{shown}");
    };
    refused(with(&good, &other), "`api.crt`: the key is not that of the certificate");
    refused(with(&expired, &of_expired), "`api.crt`: the certificate has expired");
    refused(with("", &key), "`api.crt`: there is no certificate in it");
    refused(with(&good, ""), "cannot use the key `api.key`");
    let exposed = with(&good, &key);
    let path = exposed.path().join("api.key");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    refused(exposed, "hint: `chmod 600 api.key`");
    let missing = with(&good, &key);
    fs::remove_file(missing.path().join("api.key")).unwrap();
    refused(missing, "cannot use the key `api.key`: No such file");
}
