//! Wrong usage, and no node at all: what is said, and the exit code.

use crate::node::{Home, Shown, filters};

/// A home without a node, at an address where nobody listens.
struct Nobody {
    home: Home,
    api: String,
}

impl Nobody {
    fn new() -> Nobody {
        // Bound and let go again: nobody is there.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Nobody { home: Home::new(), api: listener.local_addr().unwrap().to_string() }
    }

    fn windlass(&self, args: &[&str]) -> Shown {
        Shown(self.home.command(args).env("WINDLASS_NODE", &self.api).output().unwrap())
    }

    fn filters(&self) -> insta::Settings {
        filters(&self.home, &self.api)
    }
}

#[test]
fn without_a_node_it_is_said_how_to_start_one() {
    let nobody = Nobody::new();
    check!(nobody, ["ps"], @r"
    exit code: 3
    --- stderr ---
    error: no node answers at [API]: connection refused
    hint: start one with `windlass up`, or name another with `--node ADDR`
    ");
    check!(nobody, ["run", "--", "true"], @r"
    exit code: 125
    --- stderr ---
    error: no node answers at [API]: connection refused
    hint: start one with `windlass up`, or name another with `--node ADDR`
    ");
    check!(nobody, ["run", "-d", "--", "true"], @r"
    exit code: 125
    --- stderr ---
    error: no node answers at [API]: connection refused
    hint: start one with `windlass up`, or name another with `--node ADDR`
    ");
    check!(nobody, ["wait", "1"], @r"
    exit code: 125
    --- stderr ---
    error: no node answers at [API]: connection refused
    hint: start one with `windlass up`, or name another with `--node ADDR`
    ");
    for verb in [&["status", "1"][..], &["logs", "1"], &["cancel", "1"], &["node", "ls"], &["down"]]
    {
        assert_eq!(nobody.windlass(verb).0.status.code(), Some(3), "{verb:?}");
    }
}

#[test]
fn wrong_usage_exits_with_2_everywhere() {
    let nobody = Nobody::new();
    check!(nobody, ["run", "ls"], @r"
    exit code: 2
    --- stderr ---
    error: `ls` is no registered job
    hint: to run a command, put `--` before it: windlass run -- ls
    ");
    check!(nobody, ["run"], @r"
    exit code: 2
    --- stderr ---
    error: nothing to run
    hint: put a command after `--`: windlass run -- echo hello
    ");
    check!(nobody, ["run", "--array", "5-1", "--", "true"], @r"
    exit code: 2
    --- stderr ---
    error: invalid value '5-1' for '--array <FIRST-LAST>': `5-1` is not an array such as `1-1000`, `0-98:2` (step) or `1-1000%50` (at most 50 at once)

    For more information, try '--help'.
    ");
    check!(nobody, ["run", "--env", "NOT_SET_HERE", "--env", "A=1", "--", "true"], @r"
    exit code: 2
    --- stderr ---
    error: `--env NOT_SET_HERE`: there is no such variable here
    hint: give its value: `--env NOT_SET_HERE=VALUE`
    ");
    check!(nobody, ["run", "--name", "8x", "--env", "WINDLASS_X=1", "--array", "1-20000000", "--", "true"], @r"
    exit code: 2
    --- stderr ---
    error: name: `8x` is not a name: letters, digits, `.`, `_` and `-`, a letter first, at most 200, and not `last`
    error: env: `WINDLASS_X`: names in WINDLASS_ are Windlass's own
    error: array: has 20000000 elements; 1 to 10000000 are allowed
    ");
    check!(nobody, ["wait", "8 12"], @r"
    exit code: 2
    --- stderr ---
    error: `8 12` is no id: expected a run number (`812`), a task (`812/crunch`), elements (`812/crunch[3,7-9]`), an attempt (`812#2`), `last`, a job's name, or an element's UUID
    ");
    check!(nobody, ["ps", "-N", "a b"], @r"
    exit code: 2
    --- stderr ---
    error: `a b` is no address of a node
    hint: write HOST:PORT, such as `127.0.0.1:7400`
    ");
    check!(nobody, ["up", "--api-name", "alpha"], @r"
    exit code: 2
    --- stderr ---
    error: `--api-name` says nothing at 127.0.0.1:7400
    hint: a node issues a certificate for itself where others reach it, such as `--api 0.0.0.0:7400`
    ");
    check!(nobody, ["up", "--label", "novalue"], @r"
    exit code: 2
    --- stderr ---
    error: invalid value 'novalue' for '--label <KEY=VALUE>': a label is written KEY=VALUE, the key of letters, digits and `._-/`

    For more information, try '--help'.
    ");
    check!(nobody, ["purge", "3"], @r"
    exit code: 2
    --- stderr ---
    error: `purge` takes no ids, such as `3`
    hint: say which ended runs go: `--name NAME`, `--state failed`, `--label KEY=VALUE` or `--older-than 30d`
    ");
    check!(nobody, ["run", "--timeout", "5", "--", "true"], @r"
    exit code: 2
    --- stderr ---
    error: invalid value '5' for '--timeout <TIME>': `5` is not a duration with a unit: write `s`, `m`, `h`, `d` or `ms` after the number, as in `90s`

    For more information, try '--help'.
    ");
    check!(nobody, ["purge", "--older-than", "5", "--dry-run"], @r"
    exit code: 2
    --- stderr ---
    error: invalid value '5' for '--older-than <TIME>': `5` is not a duration with a unit: write `s`, `m`, `h`, `d` or `ms` after the number, as in `90s`

    For more information, try '--help'.
    ");
    for line in [
        &["fly"][..],
        &[],
        &["cancel", "8 12"],
        &["run", "ls", "-l"],
        &["wait"],
        &["logs", "--stdout", "--stderr", "1"],
    ] {
        assert_eq!(nobody.windlass(line).0.status.code(), Some(2), "{line:?}");
    }
}

#[test]
fn version_is_data() {
    let nobody = Nobody::new();
    check!(nobody, ["version"], @r"
    exit code: 0
    --- stdout ---
    client  0.1.0, level [LEVEL]
    --- stderr ---
    windlass: no node answers at [API]: connection refused
    ");
    check!(nobody, ["--version"], @r"
    exit code: 0
    --- stdout ---
    windlass 0.1.0
    ");
}
