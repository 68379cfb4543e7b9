//! The life of a node: `up`, what stands in its way, how it ends, `down`.

use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;

use crate::node::{Home, exists, filters, runs};

#[test]
fn a_node_says_where_it_is() {
    let node = Home::new().up();
    node.filters().bind(|| {
        insta::assert_snapshot!(node.said, @r"
    node alpha is ready
      api  [API]
      data  [DIR]/data

    next: windlass run -N [API] -- echo hello
    ")
    });
    assert_eq!(node.ready["data_dir"], node.home().path().join("data").to_str().unwrap());
    let state = node.home().path().join("state/windlass/nodes");
    let files: Vec<_> = std::fs::read_dir(&state).unwrap().map(|file| file.unwrap()).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(state.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn what_is_in_the_data_directory_is_its_owners_alone() {
    let home = Home::new();
    let data = home.path().join("data");
    // Others made these, as a volume or an older version did.
    for dir in ["", "history", "blobs"] {
        std::fs::create_dir_all(data.join(dir)).unwrap();
        std::fs::set_permissions(data.join(dir), PermissionsExt::from_mode(0o755)).unwrap();
    }
    let node = home.up();
    assert!(node.windlass(&["run", "--", "echo", "hello"]).0.status.success());
    let mut names = Vec::new();
    for file in std::fs::read_dir(&data).unwrap() {
        let file = file.unwrap();
        let mode = file.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{:?} has the mode {mode:o}", file.path());
        names.push(file.file_name().into_string().unwrap());
    }
    for name in ["journal", "history", "output", "blobs", "token", "secrets.key"] {
        assert!(names.iter().any(|found| found == name), "{name} in {names:?}");
    }
}

#[test]
fn systemd_hears_when_the_node_serves_and_when_it_stops() {
    let home = Home::new();
    let path = home.path().join("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let args = ["up", "--data-dir", "data", "--api", "127.0.0.1:0", "--ready-file", "ready"];
    let mut node = home.command(&args).env("NOTIFY_SOCKET", &path).spawn().unwrap();
    let hear = || {
        let mut said = [0; 256];
        let length = socket.recv(&mut said).unwrap();
        String::from_utf8_lossy(&said[..length]).trim().to_owned()
    };
    assert_eq!(hear(), "READY=1");
    assert!(home.path().join("ready").exists());
    let pid = rustix::process::Pid::from_raw(node.id() as i32).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(hear(), "STOPPING=1");
    assert!(node.wait().unwrap().success());
}

#[test]
fn a_second_node_on_the_same_directory_is_refused() {
    let node = Home::new().up();
    check!(node, ["up", "--data-dir", "data", "--api", "127.0.0.1:0"], @r"
    exit code: 1
    --- stderr ---
    error: the data directory `[DIR]/data` is in use by the node with pid [PID]
    hint: use that node, end it with `windlass down`, or name another directory with `--data-dir`
    ");
    let pid = node.ready["pid"].to_string();
    let shown = node.windlass(&["up", "--data-dir", "data", "--api", node.api()]).to_string();
    assert!(shown.contains(&pid), "the directory comes before the port: {shown}");
}

#[test]
fn a_busy_port_is_named() {
    let node = Home::new().up();
    check!(node, ["up", "--data-dir", "other", "--api", node.api()], @r"
    exit code: 1
    --- stderr ---
    error: cannot listen at [API]: another program does
    hint: end it (another node: `windlass down`), or take any free port: `--api 127.0.0.1:0`
    ");
    assert!(!exists(node.home().path().join("other/ready")));
}

#[test]
fn a_directory_that_cannot_be_used_is_named() {
    let home = Home::new();
    std::fs::write(home.path().join("file"), "").unwrap();
    let shown = home.windlass(&["up", "--data-dir", "file/data", "--api", "127.0.0.1:0"]);
    filters(&home, "127.0.0.1:0").bind(|| insta::assert_snapshot!(shown, @r"
    exit code: 1
    --- stderr ---
    error: cannot use the data directory `[DIR]/file/data`: cannot create it: Not a directory (os error 20)
    hint: make it writable for this user, or name another one with `--data-dir`
    "));
    let shown = home.windlass(&["up", "--data-dir", "/proc/data", "--api", "127.0.0.1:0"]);
    assert_eq!(shown.0.status.code(), Some(1));
}

#[test]
fn tasks_go_on_over_a_restart() {
    let mut node = Home::new().up();
    node.windlass(&["run", "-d", "--", "sleep", "600"]);
    node.until(&["ps", "--json"], |runs| runs["runs"][0]["state"] == "running");
    node.signal(Signal::INT);
    let (code, stderr) = node.ended();
    let pid = node.ready["supervisor_pid"].as_u64().unwrap();
    node.filters().bind(|| insta::assert_snapshot!(stderr, @r"windlass: 1 task goes on without the node; `windlass up` on the same directory adopts it, and `windlass down` after that ends it"));
    assert_eq!(code, Some(0));
    assert!(runs(pid), "the task went on under its supervisor");
    let pointers = node.home().path().join("state/windlass/nodes");
    assert_eq!(std::fs::read_dir(pointers).unwrap().count(), 0);

    let node = node.into_home().up();
    assert_eq!(node.ready["supervisor_pid"].as_u64(), Some(pid), "the task was adopted");
    node.until(&["ps", "--json"], |runs| runs["runs"][0]["state"] == "running");
}

#[test]
fn down_ends_the_node_and_its_tasks() {
    let mut node = Home::new().up();
    node.windlass(&["run", "-d", "--array", "1-2", "--", "sleep", "600"]);
    node.until(&["ps", "--json"], |runs| runs["runs"][0]["counts"]["running"] == 2);
    check!(node, ["down"], @r"
    exit code: 0
    --- stderr ---
    windlass: node alpha is down; 2 tasks were stopped
    ");
    let (code, stderr) = node.ended();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    for process in ["pid", "supervisor_pid"] {
        assert!(!runs(node.ready[process].as_u64().unwrap()), "{process} is still there");
    }
    check!(node, ["ps"], @r"
    exit code: 3
    --- stderr ---
    error: no node answers at [API]: connection refused
    hint: start one with `windlass up`, or name another with `--node ADDR`
    ");
    node.into_home();
}

#[test]
fn sigterm_is_a_clean_end() {
    let mut node = Home::new().up();
    node.signal(Signal::TERM);
    let (code, stderr) = node.ended();
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    node.into_home();
}

#[test]
fn what_down_stopped_runs_again_or_is_lost_as_its_job_says() {
    let mut node = Home::new().up();
    node.windlass(&["run", "-d", "--", "sleep", "600"]);
    node.windlass(&["run", "-d", "--on-lost", "fail", "--", "sleep", "600"]);
    node.until(&["ps", "--json"], |runs| runs["runs"][1]["state"] == "running");
    node.until(&["ps", "--json"], |runs| runs["runs"][0]["state"] == "running");
    node.windlass(&["down"]);
    node.ended();
    let node = node.into_home().up();
    node.until(&["ps", "--json"], |runs| runs["runs"][0]["state"] == "running");
    let first = node.windlass(&["status", "--json", "1"]).json();
    let attempts = first["elements"][0]["attempts"].as_array().unwrap();
    let told: Vec<_> = attempts.iter().map(|a| (a["number"].clone(), a["state"].clone())).collect();
    assert_eq!(told, [(1.into(), "lost".into()), (2.into(), "running".into())]);
    let second = node.windlass(&["status", "--json", "2"]).json();
    assert_eq!(second["run"]["state"], "lost");
}
