//! Answers that may be old: where nobody leads, and where nobody needs to be asked.

use crate::ground::{Ground, text, until};

#[test]
fn a_node_that_is_left_alone_says_what_it_knows_and_how_old_that_is() {
    let ground = Ground::new();
    let mut a = ground.found("a");
    let mut b = ground.join("b", &a, "control");
    let mut c = ground.join("c", &a, "control");
    ground.leader(&a, 3);
    assert!(ground.ask(&b, &["run", "--name", "known", "--", "true"]).status.success());
    let listed = ground.ask(&b, &["ps", "--all", "--stale"]);
    assert!(text(&listed.stderr).contains("as of "), "{listed:?}");
    until("it is known there, too", || {
        let listed = ground.ask(&a, &["ps", "--all", "--stale"]);
        text(&listed.stdout).contains("known").then_some(())
    });
    b.kill();
    c.kill();
    let refused = ground.ask(&a, &["ps", "--all"]);
    assert!(!refused.status.success(), "nobody vouches that this is all: {refused:?}");
    let listed = ground.ask(&a, &["ps", "--all", "--stale"]);
    assert!(text(&listed.stdout).contains("known"), "{listed:?}");
    // Without a leader it grows old.
    let old = until("it says that it is seconds old", || {
        let said = text(&ground.ask(&a, &["ps", "--stale"]).stderr);
        said.contains("s ago").then_some(said).filter(|said| !said.contains("ms ago"))
    });
    assert!(old.contains("as of "), "{old}");
    let submitted = ground.ask(&a, &["run", "-d", "--stale", "--", "true"]);
    assert!(!submitted.status.success(), "what is to last is never old: {submitted:?}");
    let version = ground.ask(&a, &["version"]);
    assert!(text(&version.stdout).contains("node a"), "{version:?}");
    let down = ground.ask(&a, &["down"]);
    assert!(down.status.success(), "it ends without the others: {down:?}");
    assert!(a.has_ended_well());
    a.start_again(&ground);
    let listed = ground.ask(&a, &["ps", "--all", "--stale"]);
    assert!(listed.status.success(), "the first of a cluster starts without them, too: {listed:?}");
}
