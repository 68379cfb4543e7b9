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
    check!(nobody, ["up", "--api", "0.0.0.0:7400"], @r"
    exit code: 2
    --- stderr ---
    error: will not listen at `0.0.0.0:7400`: others could read along
    hint: listen on loopback, `--api 127.0.0.1:7400`; encryption comes with clusters
    ");
    check!(nobody, ["up", "--label", "novalue"], @r"
    exit code: 2
    --- stderr ---
    error: invalid value 'novalue' for '--label <KEY=VALUE>': a label is written KEY=VALUE, the key of letters, digits and `._-/`

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
fn help_and_version_are_data() {
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
    check!(nobody, ["-h"], @r"
    exit code: 0
    --- stdout ---
    Run commands on this machine and keep every result

    Usage: windlass [OPTIONS] <COMMAND>

    Commands:
      up  Start a node here
      down  End the node and its tasks
      run  Run a command, show its output, exit with its code
      ps  List runs
      status  Show a run and its elements
      logs  Show the output of a run
      wait  Wait for runs to end, exit with their code
      cancel  Stop runs, or parts of them
      rerun  Repeat what has ended, as a new run
      purge  Forget runs that have ended
      node  List nodes [alias: workers]
      token  Make, list and revoke tokens
      version  Show the version
      help  Print this message or the help of the given subcommand(s)

    Options:
      -h, --help  Print help
      -V, --version  Print version

    Every command:
      -N, --node <ADDR>  Speak to the node at ADDR (else at WINDLASS_NODE)
      [default: 127.0.0.1:7400]
      --token-file <FILE>  Take the token from FILE (else from WINDLASS_TOKEN,
      else where `up` left it)
      -v, --verbose...  Say more on stderr
      --color <WHEN>  Color states: `always`, `never`, or `auto`, where a
      terminal looks on

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no node answers.
    `run` and `wait` exit with the task's own code; see their help.
    ");
    check!(nobody, ["up", "-h"], @r"
    exit code: 0
    --- stdout ---
    Start a node here

    Usage: windlass up [OPTIONS]

    Options:
      --data-dir <DIR>  Keep the node's data in DIR
      --api <ADDR>  Listen at ADDR for people and programs; port 0 is any
      free one [default: 127.0.0.1:7400]
      --name <NAME>  Name the node (else as the machine)
      --label <KEY=VALUE>  Label the node, any number of times
      --cpus <N>  Offer N processors to tasks (else all)
      --memory <SIZE>  Offer SIZE of memory to tasks (else all)
      --ready-file <FILE>  Write addresses and pids to FILE as JSON once the
      node serves
      -h, --help  Print help (see more with '--help')

    Every command:
      -N, --node <ADDR>  Speak to the node at ADDR (else at WINDLASS_NODE)
      [default: 127.0.0.1:7400]
      --token-file <FILE>  Take the token from FILE (else from WINDLASS_TOKEN,
      else where `up` left it)
      -v, --verbose...  Say more on stderr
      --color <WHEN>  Color states: `always`, `never`, or `auto`, where a
      terminal looks on
    ");
    check!(nobody, ["run", "-h"], @r"
    exit code: 0
    --- stdout ---
    Run a command, show its output, exit with its code

    Usage: windlass run [OPTIONS] [-- <COMMAND>...]

    Arguments:
      [COMMAND]...  The command and its arguments

    Options:
      -d, --detach  Print the run's number and do not wait
      --name <NAME>  Name the run
      --array <FIRST-LAST>  One element an index: `1-100`, with a step `0-98:2`,
      at most 8 at once `1-100%8`
      --each-line <FILE>  One element a line of FILE (`-`: stdin), which it
      finds as WINDLASS_ITEM
      --label <KEY=VALUE>  Label the run, any number of times, to find it by
      -e, --env <NAME[=VALUE]>  Set a variable for the task; without a value, take
      it from here
      --cwd <DIR>  Run in DIR (else in the current directory)
      --timeout <TIME>  Stop an attempt that runs longer: `90s`, `1h30m`
      --grace <TIME>  From SIGTERM to SIGKILL when it is stopped (30s)
      --retries <N>  Try an element that failed up to N more times
      --max-failed <N|N%>  End the rest once more elements than N, or N% of
      them, have failed
      --priority <N>  Start before those with a lower number (0 to 100,
      50)
      --cpus <N>  Reserve processors for each element (1)
      --memory <SIZE>  Reserve memory for each element: `256MiB` (0)
      --raw  Leave lines as they were written, without the index
      before them
      --json  Print JSON: an object a line, or one with `--detach`
      -h, --help  Print help (see more with '--help')

    Every command:
      -N, --node <ADDR>  Speak to the node at ADDR (else at WINDLASS_NODE)
      [default: 127.0.0.1:7400]
      --token-file <FILE>  Take the token from FILE (else from WINDLASS_TOKEN,
      else where `up` left it)
      -v, --verbose...  Say more on stderr
      --color <WHEN>  Color states: `always`, `never`, or `auto`, where a
      terminal looks on

    Exit codes: the task's own, 128+N for signal N, 124 after `--timeout`, 125 if
    Windlass itself failed. `--help` tells of more flags, Ctrl-C and arrays.
    ");
    check!(nobody, ["ps", "--help"], @r"
    exit code: 0
    --- stdout ---
    List runs

    Usage: windlass ps [OPTIONS]

    Options:
      -a, --all
      Show ended runs too

      -n, --limit <N>
      Show at most N runs
      
      [default: 50]

      --before <RUN>
      Show only runs before this one, to go on where a list ended

      -h, --help
      Print help (see a summary with '-h')

    Which runs:
      --state <STATES>
      In one of these states: `failed,timed_out`

      --name <NAME>
      Of the job NAME

      --owner <NAME>
      Of the owner NAME

      --label <KEY=VALUE>
      With this label, and all others that are given

      --since <WHEN>
      That lived since then: `2h`, `2026-11-20`, `2026-11-20T16:50`, in UTC

      --until <WHEN>
      Submitted by then

      --exit-code <N>
      Ended with this code

      --json
      Print JSON

    Every command:
      -N, --node <ADDR>
      Speak to the node at ADDR (else at WINDLASS_NODE)
      
      [default: 127.0.0.1:7400]

      --token-file <FILE>
      Take the token from FILE (else from WINDLASS_TOKEN, else where `up`
      left it)

      -v, --verbose...
      Say more on stderr

      --color <WHEN>
      Color states: `always`, `never`, or `auto`, where a terminal looks on

    Examples:
      windlass ps  what is queued or runs
      windlass ps --all -n 10  the last ten runs, ended ones too
      windlass ps --state failed --since 2h
      windlass ps --all --name nightly --label team=a
      windlass ps --json | jq '.runs[].run'
    ");
}
