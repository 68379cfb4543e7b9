//! Configuration: which layer wins, what is said of a bad file, and that nothing starts with one.

use std::fs;

use serde_json::Value;

use crate::node::{Home, Shown, filters};

/// A home whose user has a file of settings.
struct Configured(Home);

impl Configured {
    fn new(text: &str) -> Configured {
        let home = Home::new();
        let dir = home.path().join(".config/windlass");
        fs::create_dir_all(&dir).unwrap();
        fs::write(dir.join("windlass.yaml"), text).unwrap();
        Configured(home)
    }

    fn windlass(&self, args: &[&str]) -> Shown {
        self.0.windlass(args)
    }

    fn filters(&self) -> insta::Settings {
        filters(&self.0, "127.0.0.1:7400")
    }

    /// What holds for a setting, and where it comes from.
    fn holds(&self, name: &str, args: &[&str], variables: &[(&str, &str)]) -> (String, String) {
        let mut command = self.0.command(&[&["config", "show", "--json"], args].concat());
        let shown = Shown(command.envs(variables.iter().copied()).output().unwrap()).json();
        let settings = shown["settings"].as_array().unwrap();
        let setting = settings.iter().find(|one| one["name"] == name).unwrap();
        let values: Vec<_> =
            setting["values"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        let home = self.0.path().display().to_string();
        (values.join(" "), setting["from"].as_str().unwrap().replace(&home, "~"))
    }
}

#[test]
fn what_is_said_nearer_to_the_command_wins() {
    let home = Configured::new("up:\n  cpus: 3\n  labels: { a: x, b: y }\nnode: localhost:1\n");
    let from_file = |line| format!("~/.config/windlass/windlass.yaml:{line}");
    let pair = |value: &str, from: String| (value.to_owned(), from);
    assert_eq!(home.holds("up.cpus", &[], &[]), pair("3", from_file(2)));
    assert_eq!(home.holds("up.label", &[], &[]), pair("a=x b=y", from_file(3)));
    assert_eq!(home.holds("up.api", &[], &[]), pair("127.0.0.1:7400", "default".into()));
    let variables = [("WINDLASS_UP_CPUS", "2"), ("WINDLASS_UP_LABEL", "c=1\nd=2")];
    assert_eq!(home.holds("up.cpus", &[], &variables), pair("2", "$WINDLASS_UP_CPUS".into()));
    assert_eq!(
        home.holds("up.label", &[], &variables),
        pair("c=1 d=2", "$WINDLASS_UP_LABEL".into())
    );
    let none = [("WINDLASS_CONFIG", "")];
    assert_eq!(home.holds("node", &[], &none), pair("127.0.0.1:7400", "default".into()));
    fs::write(home.0.path().join("other.yaml"), "node: localhost:2\n").unwrap();
    let other = home.holds("node", &["-c", "other.yaml"], &[]);
    assert_eq!(other, pair("localhost:2", "other.yaml:1".into()));
}

/// The whole way: a node that is told everything by a file, and clients that find it by a variable.
#[test]
fn a_node_and_its_clients_are_configured() {
    let home = Configured::new(
        "up:\n  data-dir: data\n  name: configured\n  labels: { disk: ssd }\n  cpus: 1.5\nrun:\n  retries: 2\njson: true\n",
    );
    // `--name` and `--cpus` of the command line win; the rest is the file's.
    let node = home.0.up();
    let shown = node.windlass(&["node", "ls"]).json();
    assert_eq!(shown["nodes"][0]["labels"]["disk"], "ssd");
    assert_eq!(shown["nodes"][0]["capacity"]["cpu_milli"], 4000);
    let run = node.windlass(&["run", "-d", "--", "true"]).json();
    let id = run["run"].to_string();
    let status = node.windlass(&["status", &id]).json();
    assert_eq!(status["job"]["tasks"][0]["retries"]["attempts"], 2);
    // A flag that needs `--retries` finds it in the file.
    let needs = node.windlass(&["run", "-d", "--retry-on", "75", "--", "true"]);
    assert!(needs.0.status.success(), "{}", String::from_utf8_lossy(&needs.0.stderr));
}

#[test]
fn nothing_starts_with_a_bad_file() {
    let home = Configured::new("up:\n  data-dri: data\n  cpus: many\n");
    check!(home, ["up", "--data-dir", "data"], @r"
    exit code: 2
    --- stderr ---
    error: the configuration is wrong
    [DIR]/.config/windlass/windlass.yaml:2:3: there is no setting `data-dri` of `up`
      2 |  data-dri: data
      |  ^^^^^^^^
    hint: is `data-dir` meant?
    [DIR]/.config/windlass/windlass.yaml:3:9: cpus: `many` is not a number of processors such as `2` or `0.5` (three decimals at most)
      3 |  cpus: many
      |  ^^^^
    hint: `windlass config check` looks again; nothing was done
    ");
    assert!(!home.0.path().join("data").exists());
    check!(home, ["run", "--", "true"], @r"
    exit code: 2
    --- stderr ---
    error: the configuration is wrong
    [DIR]/.config/windlass/windlass.yaml:2:3: there is no setting `data-dri` of `up`
      2 |  data-dri: data
      |  ^^^^^^^^
    hint: is `data-dir` meant?
    [DIR]/.config/windlass/windlass.yaml:3:9: cpus: `many` is not a number of processors such as `2` or `0.5` (three decimals at most)
      3 |  cpus: many
      |  ^^^^
    hint: `windlass config check` looks again; nothing was done
    ");
    check!(home, ["config", "check"], @r"
    exit code: 1
    --- stdout ---
    [DIR]/.config/windlass/windlass.yaml:2:3: there is no setting `data-dri` of `up`
      2 |  data-dri: data
      |  ^^^^^^^^
    hint: is `data-dir` meant?
    [DIR]/.config/windlass/windlass.yaml:3:9: cpus: `many` is not a number of processors such as `2` or `0.5` (three decimals at most)
      3 |  cpus: many
      |  ^^^^
    ");
    // What helps to mend it works.
    assert!(home.windlass(&["--help"]).0.status.success());
    assert!(home.windlass(&["up", "--help"]).0.status.success());
    let absent = home.windlass(&["ps", "--config", "absent.yaml"]);
    assert_eq!(absent.0.status.code(), Some(2));
}

#[test]
fn a_good_file_is_said_to_be_good() {
    let home = Configured::new("up: { cpus: 1 }\n");
    check!(home, ["config", "check"], @r"
    exit code: 0
    --- stdout ---
    [DIR]/.config/windlass/windlass.yaml: ok
    ");
    let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../contrib/windlass.yaml");
    assert!(home.windlass(&["config", "check", example]).0.status.success());
    let show = home.windlass(&["config", "show"]);
    let line = String::from_utf8(show.0.stdout.clone()).unwrap();
    let line = line.lines().find(|line| line.starts_with("up.cpus")).unwrap().to_owned();
    assert!(line.contains("windlass.yaml:1"), "{line}");
}

/// Variables are checked as files are, and named in what is said.
#[test]
fn a_bad_variable_is_named() {
    let home = Home::new();
    let mut command = home.command(&["up"]);
    let output = command.env("WINDLASS_UP_MEMORY", "lots").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("$WINDLASS_UP_MEMORY: `lots`"));
}

/// A slip sets nothing: it is told, and the command goes on.
#[test]
fn a_misspelt_variable_is_told() {
    let home = Home::new();
    let told = |variable: &str| {
        let output = home.command(&["config", "check"]).env(variable, "1").output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{variable}");
        String::from_utf8(output.stderr).unwrap()
    };
    let slip = told("WINDLASS_RUN_CPU");
    assert_eq!(slip, "windlass: $WINDLASS_RUN_CPU sets nothing; is $WINDLASS_RUN_CPUS meant?\n");
    // A task finds these, and may call `windlass`.
    for own in ["WINDLASS_RUN", "WINDLASS_TASK", "WINDLASS_INDEX", "WINDLASS_RUN_CPUS"] {
        assert_eq!(told(own), "");
    }
    let mut command = home.command(&["ps", "-N", "127.0.0.1:1"]);
    let output = command.env("WINDLASS_PS_LIMITS", "1").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("is $WINDLASS_PS_LIMIT meant?"));
}

#[test]
fn a_value_that_a_comma_has_parted_is_told() {
    let home = Configured::new("run:\n  label: [team=5,50]\n");
    check!(home, ["config", "check"], @r"
    exit code: 1
    --- stdout ---
    [DIR]/.config/windlass/windlass.yaml:2:10: label: a label is written KEY=VALUE
      2 |  label: [team=5,50]
      |  ^
    hint: in `[…]` a comma parts two values: quote what has one, as in `['team=5,50']`
    ");
}

#[test]
fn what_is_set_is_shown_and_all_else_when_asked_for() {
    let home = Configured::new("up: { cpus: 3 }\n");
    check!(home, ["config", "show"], @r"
    exit code: 0
    --- stdout ---
    SETTING  FROM  VALUE
    up.cpus  [DIR]/.config/windlass/windlass.yaml:1  3
    --- stderr ---
    windlass: all else is as by default; `--all` shows it too
    ");
    let all = home.windlass(&["config", "show", "--all"]).stdout();
    assert!(all.lines().count() > 100 && all.contains("up.cpus"), "{all}");
    let json = home.windlass(&["config", "show", "--json"]).json();
    assert!(json["settings"].as_array().unwrap().len() > 100);
    check!(Configured::new(""), ["config", "show"], @r"
    exit code: 0
    --- stderr ---
    windlass: nothing is set; `--all` shows every setting with its default
    ");
}
