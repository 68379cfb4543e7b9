//! Looking at what ran: `ps`, `status`, `logs`, `wait`, `cancel`, `node ls`.

use crate::node::Home;
use crate::terminal::Terminal;

#[test]
fn runs_are_listed_and_shown() {
    let node = Home::new().up();
    check!(node, ["ps"], @r"
    exit code: 0
    --- stdout ---
    RUN  NAME  STATE  DONE  AGE  TOOK  COMMAND
    --- stderr ---
    windlass: nothing is queued or running; `--all` shows ended runs
    ");
    node.windlass(&["run", "--name", "nightly", "--", "sh", "-c", "echo a; exit 3"]);
    node.windlass(&["run", "--array", "1-3", "--", "echo", "hello"]);
    check!(node, ["ps", "--all"], @r"
    exit code: 0
    --- stdout ---
    RUN  NAME  STATE  DONE  AGE  TOOK  COMMAND
      2  -  succeeded  3/3  [AGE]  [TOOK]  echo hello
      1  nightly  failed  1/1  [AGE]  [TOOK]  sh -c 'echo a; exit 3'
    ");
    check!(node, ["ps", "-a", "-n", "1"], @r"
    exit code: 0
    --- stdout ---
    RUN  NAME  STATE  DONE  AGE  TOOK  COMMAND
      2  -  succeeded  3/3  [AGE]  [TOOK]  echo hello
    --- stderr ---
    windlass: there are more: add `--before 2`
    ");
    check!(node, ["ps", "-a", "--before", "2"], @r"
    exit code: 0
    --- stdout ---
    RUN  NAME  STATE  DONE  AGE  TOOK  COMMAND
      1  nightly  failed  1/1  [AGE]  [TOOK]  sh -c 'echo a; exit 3'
    ");
    check!(node, ["status", "1"], @r"
    exit code: 0
    --- stdout ---
    run  1 (nightly)
    state  failed
    command  sh -c 'echo a; exit 3'
    submitted  [TIME] by user:ann
    started  [TIME]
    ended  [TIME], took [TOOK]
    elements  1 failed

    element  1/main
    uuid  00000000-0001-8000-8000-000000000000

    attempt  1 on alpha, failed
    fence  [FENCE]
    placed  [TIME]
    started  [TIME]
    ended  [TIME], took [TOOK]
    result  exit code 3
    cpu  [TOOK]
    memory  [SIZE] at its peak
    output  2 B
    ");
    check!(node, ["status", "nightly"], @r"
    exit code: 0
    --- stdout ---
    run  1 (nightly)
    state  failed
    command  sh -c 'echo a; exit 3'
    submitted  [TIME] by user:ann
    started  [TIME]
    ended  [TIME], took [TOOK]
    elements  1 failed

    element  1/main
    uuid  00000000-0001-8000-8000-000000000000

    attempt  1 on alpha, failed
    fence  [FENCE]
    placed  [TIME]
    started  [TIME]
    ended  [TIME], took [TOOK]
    result  exit code 3
    cpu  [TOOK]
    memory  [SIZE] at its peak
    output  2 B
    ");
    check!(node, ["status", "2/main[2-3]"], @r"
    exit code: 0
    --- stdout ---
    run  2
    state  succeeded
    command  echo hello
    submitted  [TIME] by user:ann
    started  [TIME]
    ended  [TIME], took [TOOK]
    elements  3 succeeded

    ELEMENT  STATE  TRY  NODE  TOOK  RESULT
    2/main[2]  succeeded  1  alpha  [TOOK]  exit code 0
    2/main[3]  succeeded  1  alpha  [TOOK]  exit code 0
    ");
    check!(node, ["status", "last", "-n", "1"], @r"
    exit code: 0
    --- stdout ---
    run  2
    state  succeeded
    command  echo hello
    submitted  [TIME] by user:ann
    started  [TIME]
    ended  [TIME], took [TOOK]
    elements  3 succeeded

    ELEMENT  STATE  TRY  NODE  TOOK  RESULT
    2/main[1]  succeeded  1  alpha  [TOOK]  exit code 0
    --- stderr ---
    windlass: 1 of 3 elements, what failed first, then what runs; `--all` shows them all, `--state` or `ID[FIRST-LAST]` some
    ");
    check!(node, ["status", "99"], @r"
    exit code: 1
    --- stderr ---
    error: cannot show `99`: there is no run 99
    hint: `windlass ps --all` lists all runs
    ");
    check!(node, ["status", "2/main["], @r"
    exit code: 2
    --- stderr ---
    error: `2/main[` is no id: expected a run number (`812`), a task (`812/crunch`), elements (`812/crunch[3,7-9]`), an attempt (`812#2`), `last`, a job's name, or an element's UUID
    ");
    check!(node, ["status", "2/other"], @r"
    exit code: 1
    --- stderr ---
    error: cannot show `2/other`: run 2 has no such task; it has: main
    hint: `windlass ps --all` lists all runs
    ");

    let runs = node.windlass(&["ps", "-a", "--json"]).json();
    assert_eq!(runs["runs"][0]["counts"]["succeeded"], 3);
    let status = node.windlass(&["status", "--json", "1"]).json();
    let uuid = status["elements"][0]["uuid"].as_str().unwrap().to_owned();
    assert_eq!(status["elements"][0]["attempts"][0]["outcome"]["exit_code"], 3);
    let again = node.windlass(&["status", "--json", &uuid]).json();
    assert_eq!(again["elements"], status["elements"]);
}

#[test]
fn output_is_selected() {
    let node = Home::new().up();
    let script = "echo out $WINDLASS_INDEX; echo err $WINDLASS_INDEX >&2";
    node.windlass(&["run", "--array", "1-3%1", "--", "sh", "-c", script]);
    check!(node, ["logs", "last"], @r"
    exit code: 0
    --- stdout ---
    [1] out 1
    [2] out 2
    [3] out 3
    --- stderr ---
    [1] err 1
    [2] err 2
    [3] err 3
    ");
    check!(node, ["logs", "-f", "1/main[2]"], @r"
    exit code: 0
    --- stdout ---
    [2] out 2
    --- stderr ---
    [2] err 2
    ");
    check!(node, ["logs", "--stdout", "1[1,3]"], @r"
    exit code: 0
    --- stdout ---
    [1] out 1
    [3] out 3
    ");
    check!(node, ["logs", "--stderr", "--raw", "1"], @r"
    exit code: 0
    --- stderr ---
    err 1
    err 2
    err 3
    ");
    check!(node, ["logs", "1#1", "--stdout"], @r"
    exit code: 0
    --- stdout ---
    [1] out 1
    [2] out 2
    [3] out 3
    ");
    check!(node, ["logs", "1", "--attempt", "2"], @r"exit code: 0");
    check!(node, ["logs", "7"], @r"
    exit code: 1
    --- stderr ---
    error: cannot show the output of `7`: there is no run 7
    hint: `windlass ps --all` lists all runs
    ");
    let line = node.windlass(&["logs", "--json", "--stdout", "1[2]"]).json();
    assert_eq!((&line["data"], &line["index"]), (&"out 2\n".into(), &2.into()));
}

#[test]
fn logs_follow_what_goes_on() {
    let node = Home::new().up();
    let go = node.home().path().join("go");
    let fifo = go.to_str().unwrap();
    assert!(std::process::Command::new("mkfifo").arg(fifo).status().unwrap().success());
    let script = "echo before; read x < $1; echo after";
    node.windlass(&["run", "-d", "--", "sh", "-c", script, "sh", fifo]);
    let mut logs =
        node.command(&["logs", "-f", "1"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut stdout = std::io::BufReader::new(logs.stdout.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    assert_eq!(line, "before\n");
    std::fs::write(&go, "x\n").unwrap();
    std::io::BufRead::read_line(&mut stdout, &mut line).unwrap();
    assert_eq!(line, "before\nafter\n");
    assert!(logs.wait().unwrap().success());
}

#[test]
fn wait_exits_as_the_run_did() {
    let node = Home::new().up();
    node.windlass(&["run", "-d", "--", "sh", "-c", "exit 0"]);
    node.windlass(&["run", "-d", "--", "sh", "-c", "exit 3"]);
    node.windlass(&["run", "-d", "--array", "5-7", "--", "sh", "-c", "exit $WINDLASS_INDEX"]);
    check!(node, ["wait", "1"], @r"
    exit code: 0
    --- stdout ---
    1: succeeded
    ");
    check!(node, ["wait", "1", "2"], @r"
    exit code: 3
    --- stdout ---
    1: succeeded
    2: failed: exit code 3
    ");
    check!(node, ["wait", "3[6]"], @r"
    exit code: 6
    --- stdout ---
    3[6]: failed: exit code 6
    ");
    check!(node, ["wait", "last"], @r"
    exit code: 5
    --- stdout ---
    3: failed: exit code 5
    ");
    check!(node, ["wait", "99"], @r"
    exit code: 125
    --- stderr ---
    error: cannot wait for `99`: there is no run 99
    hint: `windlass ps --all` lists all runs
    ");
    let ended = node.windlass(&["wait", "--json", "2"]).json();
    assert_eq!(ended["ended"][0]["exit_code"], 3);
}

#[test]
fn cancel_stops_what_was_selected() {
    let node = Home::new().up();
    node.windlass(&["run", "-d", "--array", "1-3%1", "--", "sleep", "600"]);
    check!(node, ["cancel", "1[3]", "--reason", "not that one"], @r"
    exit code: 0
    --- stdout ---
    1[3]: 1 canceled before it started
    ");
    check!(node, ["cancel", "1"], @r"
    exit code: 0
    --- stdout ---
    1: 1 being stopped, 1 canceled before it started, 1 had ended before
    ");
    check!(node, ["wait", "1"], @r"
    exit code: 143
    --- stdout ---
    1: canceled: signal 15 (SIGTERM)
    ");
    check!(node, ["cancel", "1"], @r"
    exit code: 0
    --- stdout ---
    1: 3 had ended before
    ");
    check!(node, ["cancel", "5"], @r"
    exit code: 1
    --- stderr ---
    error: cannot cancel `5`: there is no run 5
    hint: `windlass ps --all` lists all runs
    ");
    let status = node.windlass(&["status", "--json", "1"]).json();
    assert_eq!(status["run"]["state"], "canceled");
    assert_eq!(status["canceled"]["actor"], "user:ann");
}

#[test]
fn nodes_are_listed() {
    let node = Home::new().up_with(&["--label", "disk=ssd"]);
    let listed = node.windlass(&["node", "ls"]).stdout();
    assert!(listed.contains("alpha  ready   0/4  0 B/1 GiB "), "{listed}");
    assert_eq!(node.windlass(&["workers"]).stdout(), listed);
    let json = node.windlass(&["workers", "ls", "--json"]).json();
    assert_eq!(json["nodes"][0]["labels"]["disk"], "ssd");
    assert_eq!(json["nodes"][0]["id"], node.ready["node_id"]);
}

#[test]
fn one_node_is_told_in_full() {
    let node = Home::new().up();
    node.windlass(&["run", "-d", "--array", "1-2", "--", "sleep", "600"]);
    let running = |status: &serde_json::Value| status["run"]["counts"]["running"] == 2;
    node.until(&["status", "1", "--json"], running);
    let of = |args: &[&str]| node.windlass(&[&["node", "status"], args].concat());
    let shown = of(&["alpha"]).stdout();
    for line in ["node         alpha", "state        ready", "cpus         2 of 4 free"] {
        assert!(shown.lines().any(|one| one == line), "{line}: {shown}");
    }
    assert!(shown.contains("1/main[1]  running") && shown.contains("1/main[2]  running"));
    // Without a name it is the one that answers; its id names it too.
    let json = of(&["--json"]).json();
    assert_eq!(json["node"]["name"], "alpha");
    assert_eq!(json["elements"].as_array().unwrap().len(), 2);
    assert_eq!(of(&["--json", json["node"]["id"].as_str().unwrap()]).json()["node"], json["node"]);
    check!(node, ["node", "status", "nosuch"], @r"
    exit code: 1
    --- stderr ---
    error: cannot show a node: there is no node `nosuch`
    hint: `windlass node ls` lists all nodes
    ");
    check!(node, ["events", "--on", "nosuch"], @r"
    exit code: 1
    --- stderr ---
    error: cannot watch events: there is no node `nosuch`
    hint: `windlass node ls` lists all nodes
    ");
    assert!(node.windlass(&["events", "--on", "alpha"]).stdout().contains("alpha"));
}

/// What is shown of a command means the same when it is pasted into a shell.
#[test]
fn a_command_is_shown_as_a_shell_reads_it() {
    let node = Home::new().up();
    node.windlass(&["run", "--", "sh", "-c", "echo oops >&2; exit 3"]);
    let line = "sh -c 'echo oops >&2; exit 3'";
    for verb in [&["ps", "--all"][..], &["status", "1"]] {
        let shown = node.windlass(verb).stdout();
        assert!(shown.contains(line), "{shown}");
    }
    let status = node.windlass(&["status", "1", "--json"]).json();
    assert_eq!(status["run"]["command"], line);
    let words = ["sh", "-c", "echo oops >&2; exit 3"];
    assert_eq!(status["job"]["tasks"][0]["command"], serde_json::json!(words));
}

/// On a screen what failed comes first, and the run's own lines stay on it.
#[test]
fn an_array_fits_the_screen() {
    let node = Home::new().up();
    let script = "test $WINDLASS_INDEX -ne 70";
    node.windlass(&["run", "--array", "1-80", "--cpus", "0.1", "--", "sh", "-c", script]);
    let (_, shown) = Terminal::start(&node.command(&["status", "1"])).ended();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines.len() < 24 && lines[0].starts_with("run "), "{shown}");
    let first = lines.iter().find(|line| line.starts_with("1/main[")).unwrap();
    assert!(first.starts_with("1/main[70]"), "{shown}");
    assert!(shown.contains("`--all` shows them all"), "{shown}");
    let elements = |args: &[&str]| {
        let shown = node.windlass(&[&["status", "1"], args].concat()).stdout();
        shown.lines().filter(|line| line.starts_with("1/main[")).map(str::to_owned).collect()
    };
    let piped: Vec<String> = elements(&[]);
    assert_eq!(piped.len(), 50);
    assert!(piped[0].starts_with("1/main[70]"), "{piped:?}");
    let all: Vec<String> = elements(&["--all"]);
    assert_eq!(all.len(), 80);
}
