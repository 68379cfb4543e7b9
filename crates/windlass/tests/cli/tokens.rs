//! Tokens with roles: who may what, until when, and that nobody finds one on a disk.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::node::{Home, Node, Shown, own_addr};

/// A token of this role, by its role's name.
fn token(node: &Node, role: &str, more: &[&str]) -> String {
    let args = [&["token", "create", role, "--role", role][..], more].concat();
    let shown = node.windlass(&args);
    assert!(shown.0.status.success(), "{shown}");
    shown.stdout().trim().to_owned()
}

/// Runs a command with a token.
fn with(node: &Node, token: &str, args: &[&str]) -> Shown {
    Shown(node.command(args).env("WINDLASS_TOKEN", token).output().unwrap())
}

fn may(node: &Node, token: &str, args: &[&str]) -> String {
    let shown = with(node, token, args);
    assert!(shown.0.status.success(), "{args:?}: {shown}");
    shown.stdout()
}

fn may_not(node: &Node, token: &str, args: &[&str], why: &str) {
    let shown = with(node, token, args);
    assert!(!shown.0.status.success() && shown.to_string().contains(why), "{args:?}: {shown}");
}

#[test]
fn each_role_may_what_it_may_and_no_more() {
    let node = Home::new().up();
    let [viewer, submitter, operator, admin] =
        ["viewer", "submitter", "operator", "admin"].map(|role| token(&node, role, &[]));
    let run = ["run", "-d", "--", "sleep", "1000"];
    assert!(node.windlass(&run).0.status.success());

    for read in [&["ps"][..], &["status", "1"], &["node"], &["logs", "1"]] {
        may(&node, &viewer, read);
    }
    may_not(&node, &viewer, &run, "takes the role submitter");
    may_not(&node, &viewer, &["cancel", "1"], "takes the role submitter");

    assert_eq!(may(&node, &submitter, &run), "2\n");
    let status = may(&node, &viewer, &["status", "--json", "2"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    // Whose it is follows from the token, not from the user that calls.
    assert_eq!(
        (&status["job"]["owner"], &status["job"]["actor"]),
        (&"submitter".into(), &"token:submitter".into())
    );
    may_not(&node, &submitter, &["cancel", "1"], "takes the role operator");
    may_not(&node, &submitter, &["cancel", "2", "1"], "takes the role operator");
    may_not(&node, &submitter, &["purge", "--all", "-y"], "takes the role operator");
    may_not(&node, &submitter, &["down"], "takes the role operator");
    for verb in ["drain", "resume", "rm"] {
        may_not(&node, &submitter, &["node", verb, "alpha"], "takes the role operator");
    }
    let force = ["node", "rm", "alpha", "--force", "-y"];
    may_not(&node, &operator, &force, "takes the role admin");
    may_not(&node, &admin, &force, "it is connected");
    may(&node, &operator, &["node", "drain", "alpha", "--no-deadline", "-d"]);
    may(&node, &operator, &["node", "resume", "alpha"]);
    may(&node, &submitter, &["cancel", "2"]);
    node.windlass(&["wait", "2"]);
    may(&node, &submitter, &["rerun", "2"]);

    may(&node, &operator, &["cancel", "1", "3"]);
    node.windlass(&["wait", "1", "3"]);
    may_not(&node, &submitter, &["rerun", "1"], "takes the role operator");
    may(&node, &operator, &["purge", "--all", "-y"]);
    may_not(&node, &operator, &["token", "ls"], "takes the role admin");
    may_not(&node, &operator, &["token", "create", "x", "--role", "admin"], "takes the role admin");

    may(&node, &admin, &["token", "create", "x", "--role", "viewer"]);
    let listed = may(&node, &admin, &["token", "ls", "--json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 5);
    assert_eq!(listed["tokens"][4]["created_by"], "token:admin");
    may_not(&node, &admin, &["token", "create", "x", "--role", "viewer"], "a token named `x`");
    may(&node, &operator, &["down"]);
}

#[test]
fn a_job_runs_as_a_user_of_the_token_or_not_at_all() {
    let node = Home::new().up();
    let plain = token(&node, "submitter", &[]);
    let listed = token(&node, "operator", &["--run-as", "nobody"]);
    let id = ["--cwd", "/", "--", "id", "-un"];
    let run = |user: &[&'static str]| [&["run"][..], user, &id].concat();
    may_not(&node, &plain, &run(&["--run-as", "nobody"]), "may not let jobs run as `nobody`");
    assert_eq!(may(&node, &listed, &run(&["--run-as", "nobody"])), "nobody\n");
    assert_eq!(may(&node, &listed, &run(&[])), "nobody\n");
    may_not(&node, &listed, &run(&["--run-as", "root"]), "it may as nobody");
    // A run of the node's own user is not theirs to repeat, though they may change it.
    assert!(node.windlass(&run(&[])).0.status.success());
    may_not(&node, &listed, &["rerun", "last"], "which the token `operator` may not");
}

#[test]
fn a_revoked_token_ends_at_once_and_its_streams_soon() {
    let node = Home::new().up();
    let viewer = token(&node, "viewer", &[]);
    let submit = ["run", "-d", "--", "sh", "-c", "echo begun; sleep 1000"];
    assert!(node.windlass(&submit).0.status.success());
    let mut follow = node.command(&["logs", "-f", "1"]);
    follow.env("WINDLASS_TOKEN", &viewer).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut follow = follow.spawn().unwrap();
    let mut begun = [0; 6];
    std::io::Read::read_exact(follow.stdout.as_mut().unwrap(), &mut begun).unwrap();

    let shown = node.windlass(&["token", "revoke", "viewer", "--reason", "it leaked"]);
    assert!(shown.stdout().contains("is taken no more"), "{shown}");
    may_not(&node, &viewer, &["ps"], "does not take the token");
    let deadline = Instant::now() + Duration::from_secs(30);
    while follow.try_wait().unwrap().is_none() {
        assert!(Instant::now() < deadline, "the stream goes on");
        assert!(!with(&node, &viewer, &["ps"]).0.status.success());
    }
    assert!(!follow.wait().unwrap().success());
    let gone = node.windlass(&["token", "revoke", "viewer"]);
    assert!(gone.to_string().contains("there is no token `viewer`"), "{gone}");
}

#[test]
fn a_token_outlives_a_crash_and_expires_where_nothing_else_happens() {
    let addr = own_addr();
    let node = Home::new().up_at(addr);
    let [viewer, brief] = [("viewer", &[][..]), ("submitter", &["--expires", "3s"])]
        .map(|(role, more)| token(&node, role, more));
    may(&node, &brief, &["ps"]);
    let addr = node.api().parse().unwrap();
    let node = node.crash().up_at(addr);
    may(&node, &viewer, &["ps"]);
    let deadline = Instant::now() + Duration::from_secs(30);
    while with(&node, &brief, &["ps"]).0.status.success() {
        assert!(Instant::now() < deadline, "it does not expire");
    }
    may(&node, &viewer, &["ps"]);
    // Only their hashes are on the disk.
    for text in [&viewer, &brief] {
        let secret = text.rsplit('_').next().unwrap();
        assert_eq!(secret.len(), 64);
        assert_eq!(holding(&node.home().path(), secret.as_bytes()), Vec::<String>::new());
    }
}

/// The files below `dir` that have these bytes in them.
pub(crate) fn holding(dir: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match std::fs::symlink_metadata(&path) {
            Ok(meta) if meta.is_dir() => found.extend(holding(&path, bytes)),
            // One that is gone by now holds nothing.
            Ok(meta) if meta.is_file() => {
                let content = std::fs::read(&path).unwrap_or_default();
                if content.windows(bytes.len()).any(|window| window == bytes) {
                    found.push(path.display().to_string());
                }
            }
            _ => {}
        }
    }
    found
}
