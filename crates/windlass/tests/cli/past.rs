//! What has ended: found again, repeated, forgotten.

use crate::node::Home;

#[test]
fn a_part_of_an_ended_run_is_repeated() {
    let node = Home::new().up();
    let script = "test -e fixed || test $WINDLASS_INDEX -ne 2 || exit 4; echo $WINDLASS_INDEX";
    let array = ["run", "--array", "1-4%1", "--name", "n", "--", "sh", "-c", script];
    assert_eq!(node.windlass(&array).0.status.code(), Some(4));
    check!(node, ["rerun", "--failed", "last"], @r"
    exit code: 0
    --- stdout ---
    2
    ");
    check!(node, ["wait", "2"], @r"
    exit code: 4
    --- stdout ---
    2: failed: exit code 4
    ");
    std::fs::write(node.home().path().join("fixed"), "").unwrap();
    check!(node, ["rerun", "--failed", "2"], @r"
    exit code: 0
    --- stdout ---
    3
    ");
    check!(node, ["wait", "3"], @r"
    exit code: 0
    --- stdout ---
    3: succeeded
    ");
    check!(node, ["status", "3"], @r"
    exit code: 0
    --- stdout ---
    run  3 (n)
    state  succeeded
    command  sh -c 'test -e fixed || test $WINDLASS_INDEX -ne 2 || exit 4; echo $WINDLASS_INDEX'
    submitted  [TIME] by user:ann
    rerun of  2
    started  [TIME]
    ended  [TIME], took [TOOK]
    elements  4 succeeded

    ELEMENT  STATE  TRY  NODE  TOOK  RESULT
    3/main[1]  succeeded  1  alpha  [TOOK]  exit code 0
    3/main[2]  succeeded  1  alpha  [TOOK]  exit code 0
    3/main[3]  succeeded  1  alpha  [TOOK]  exit code 0
    3/main[4]  succeeded  1  alpha  [TOOK]  exit code 0
    ");
    check!(node, ["logs", "3"], @r"
    exit code: 0
    --- stdout ---
    [2] 2
    ");
    check!(node, ["rerun", "--failed", "3"], @r"
    exit code: 1
    --- stderr ---
    error: cannot repeat `3`: nothing that `3` selects failed: there is nothing to repeat
    ");
    let some = node.windlass(&["rerun", "--json", "1/main[3-4]"]).json();
    assert_eq!((&some["run"], &some["repeated"]), (&4.into(), &false.into()));
    // What failed in the first run was not repeated.
    check!(node, ["wait", "4", "4/main[3]", "4/main[2]"], @r"
    exit code: 4
    --- stdout ---
    4: failed: exit code 4
    4/main[3]: succeeded
    4/main[2]: failed: exit code 4
    ");
    let status = node.windlass(&["status", "--json", "4"]).json();
    assert_eq!((&status["rerun_of"], &status["job"]["origin"]), (&1.into(), &"rerun".into()));
    check!(node, ["status", "4", "--state", "failed"], @r"
    exit code: 0
    --- stdout ---
    run  4 (n)
    state  failed
    command  sh -c 'test -e fixed || test $WINDLASS_INDEX -ne 2 || exit 4; echo $WINDLASS_INDEX'
    submitted  [TIME] by user:ann
    rerun of  1
    started  [TIME]
    ended  [TIME], took [TOOK]
    elements  3 succeeded, 1 failed

    ELEMENT  STATE  TRY  NODE  TOOK  RESULT
    4/main[2]  failed  1  alpha  [TOOK]  exit code 4
    ");
}

#[test]
fn a_run_that_has_not_ended_is_not_repeated() {
    let node = Home::new().up();
    node.windlass(&["run", "-d", "--", "sleep", "600"]);
    check!(node, ["rerun", "1"], @r"
    exit code: 1
    --- stderr ---
    error: cannot repeat `1`: run 1 has not ended: wait for it with `windlass wait 1`, or end it with `windlass cancel 1`
    ");
    check!(node, ["rerun", "7"], @r"
    exit code: 1
    --- stderr ---
    error: cannot repeat `7`: there is no run 7
    hint: `windlass ps --all` lists all runs
    ");
}

#[test]
fn runs_are_found_by_what_is_known_of_them_and_forgotten() {
    let node = Home::new().up();
    node.windlass(&["run", "--name", "a", "--label", "team=x", "--", "true"]);
    node.windlass(&["run", "--name", "b", "--label", "team=x", "--label", "k=v", "--", "false"]);
    node.windlass(&["run", "--name", "a", "--", "sh", "-c", "exit 7"]);
    node.windlass(&["run", "-d", "--name", "b", "--", "sleep", "600"]);
    node.until(&["ps", "--json"], |ps| ps["runs"][0]["state"] == "running");
    let found = |args: &[&str]| -> Vec<u64> {
        let runs = node.windlass(&[&["ps", "--json"], args].concat()).json();
        runs["runs"].as_array().unwrap().iter().map(|run| run["run"].as_u64().unwrap()).collect()
    };
    assert_eq!(found(&["--name", "a"]), [0; 0], "none of them lives");
    assert_eq!(found(&["--name", "a", "--all"]), [3, 1]);
    assert_eq!(found(&["--name", "b", "--all"]), [4, 2]);
    assert_eq!(found(&["--state", "failed"]), [3, 2]);
    assert_eq!(found(&["--state", "failed,succeeded"]), [3, 2, 1]);
    assert_eq!(found(&["--state", "running"]), [4]);
    assert_eq!(found(&["--exit-code", "7"]), [3]);
    assert_eq!(found(&["--label", "team=x", "--all"]), [2, 1]);
    assert_eq!(found(&["--label", "team=x", "--label", "k=v", "--all"]), [2]);
    assert_eq!(found(&["--owner", "ann", "--all", "-n", "2"]), [4, 3]);
    assert_eq!(found(&["--owner", "bob", "--all"]), [0; 0]);
    assert_eq!(found(&["--since", "1h"]), [4, 3, 2, 1]);
    assert_eq!(found(&["--until", "1h"]), [0; 0]);
    assert_eq!(found(&["--until", "2100-01-01", "--before", "3"]), [2, 1]);
    check!(node, ["ps", "--state", "asleep"], @r"
    exit code: 2
    --- stderr ---
    error: invalid value 'asleep' for '--state <STATES>': `asleep` is no state: queued, scheduled, running, stopping, unknown, succeeded, failed, timed_out, canceled, lost or dead

    For more information, try '--help'.
    ");
    check!(node, ["purge", "--all"], @r"
    exit code: 2
    --- stderr ---
    error: nobody is there to be asked
    hint: give `-y` to purge, or `--dry-run` to count
    ");
    check!(node, ["purge", "-y"], @r"
    exit code: 2
    --- stderr ---
    error: which runs are to go?
    hint: say which, such as `--older-than 30d`, or `--all`
    ");
    let purge = |args: &[&str]| {
        let purged = node.windlass(&[&["purge", "--json"], args].concat()).json();
        (purged["runs"].as_u64().unwrap(), purged["elements"].as_u64().unwrap())
    };
    assert_eq!(purge(&["--name", "a", "--dry-run"]), (2, 2));
    assert_eq!(purge(&["--older-than", "1h", "-y"]), (0, 0));
    assert_eq!(purge(&["--name", "a", "-y"]), (2, 2));
    assert_eq!(found(&["--all"]), [4, 2]);
    check!(node, ["status", "1"], @r"
    exit code: 1
    --- stderr ---
    error: cannot show `1`: there is no run 1
    hint: `windlass ps --all` lists all runs
    ");
    assert_eq!(purge(&["--all", "-y"]), (1, 1), "what lives stays");
    assert_eq!(found(&["--all"]), [4]);
}
