//! A node whose clock is wrong does not give the cluster its time.

use crate::ground::{Ground, text, until};

#[test]
fn a_leader_whose_clock_is_wrong_lets_another_one_lead() {
    let ground = Ground::new();
    let wrong = ground.found_at("wrong", "+60s");
    let b = ground.join("b", &wrong, "control,worker");
    let c = ground.join("c", &wrong, "control");
    let leader = until("another one leads", || {
        let leader = ground.leader(&b, 3);
        (leader != "wrong").then_some(leader)
    });
    let named = "wrong is 1m 0s ahead of the others and does not lead";
    until("it is named", || {
        let status = text(&ground.ask(&c, &["cluster", "status"]).stdout);
        status.contains(named).then_some(())
    });

    // It may be the only other one that could lead: it votes, and leaves that to who is right.
    let mut nodes = [b, c];
    nodes.sort_by_key(|node| node.name != leader);
    let [mut leads, other] = nodes;
    leads.kill();
    until("the other one leads", || {
        ground.ask(&other, &["run", "-d", "--", "true"]).status.success().then_some(())
    });
    assert_eq!(ground.leader(&other, 3), other.name);
}
