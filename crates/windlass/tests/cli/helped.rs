//! Help for people: topics, completions, manual pages.

use std::process::Command;

use crate::node::{Home, Shown};
use crate::terminal::Terminal;

#[test]
fn help_explains_commands_and_topics() {
    let home = Home::new();
    let shown = home.windlass(&["help", "selectors"]).stdout();
    assert!(shown.starts_with("HOW RUNS, ELEMENTS AND ATTEMPTS ARE NAMED\n"), "{shown}");
    assert!(shown.contains("`812/main[3,7-9]`"), "{shown}");
    let long = home.windlass(&["help", "ps"]).stdout();
    assert_eq!(long, home.windlass(&["ps", "--help"]).stdout());
    assert!(home.windlass(&["help"]).stdout().contains("exit-codes"));
    let wrong = home.windlass(&["help", "weather"]);
    assert_eq!(
        wrong.to_string(),
        "exit code: 2\n--- stderr ---\nerror: `weather` is no command and no topic\n\
         hint: `windlass help` lists both\n"
    );
}

#[test]
fn a_shell_completes_numbers_names_and_commands() {
    let node = Home::new().up();
    node.windlass(&["run", "--name", "nightly", "--label", "team=web", "--", "true"]);
    // The shell's own words: what bash sets when somebody presses the tab key.
    let complete = |words: &[&str]| -> String {
        let script = "source <(\"$0\" completions bash); \
            COMP_WORDS=(windlass \"$@\"); COMP_CWORD=$#; COMP_TYPE=9; \
            _clap_complete_windlass windlass \"${!#}\" \"\"; printf '%s\\n' \"${COMPREPLY[@]}\"";
        let windlass = node.command(&[]);
        let mut bash = Command::new("bash");
        bash.args(["--norc", "-c", script]).arg(windlass.get_program()).args(words);
        bash.env_clear().envs(windlass.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let shown = Shown(bash.output().unwrap());
        assert!(shown.0.stderr.is_empty(), "{shown}");
        shown.stdout()
    };
    let lines = |words: &[&str]| complete(words).lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&["stat"]), ["status"]);
    // Flags are offered where one is begun, or where there is nothing else.
    assert_eq!(lines(&["status", ""]), ["1", "nightly", "last"]);
    assert!(lines(&["status", "--st"]).contains(&"--state".to_owned()));
    assert_eq!(lines(&["ps", "--label", ""]), ["team=web"]);
    assert_eq!(lines(&["ps", "--owner", ""]).len(), 1);
    assert_eq!(lines(&["status", "ni"]), ["nightly"]);
    assert_eq!(lines(&["ps", "--state", "su"]), ["succeeded"]);
    assert_eq!(lines(&["events", "--on", ""]), ["alpha"]);
    let nobody = lines(&["-N", "127.0.0.1:1", "status", "n"]);
    assert_eq!(nobody, [""], "where no node answers nothing is said");
}

/// What the scripts of zsh and fish are given: values with what they are. The shells themselves
/// are not part of the tests.
#[test]
fn zsh_and_fish_are_given_values_and_what_they_are() {
    let node = Home::new().up();
    node.windlass(&["run", "--name", "nightly", "--", "true"]);
    node.windlass(&["token", "create", "ci", "--role", "submitter"]);
    let given = |shell: &str, words: &[&str]| {
        let mut command = node.command(&["--", "windlass"]);
        command.args(words).env("WINDLASS_COMPLETE", shell);
        let command = command.env("_CLAP_COMPLETE_INDEX", words.len().to_string());
        let shown = Shown(command.env("_CLAP_IFS", "\n").output().unwrap());
        assert!(shown.0.stderr.is_empty(), "{shown}");
        shown.stdout().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    // A key pressed while the machine is busy may bring nothing; the next one does.
    let until = |shell: &str, words: &[&str], line: &str| {
        let found = || given(shell, words).iter().any(|given| given == line);
        assert!((0..20).any(|_| found()), "{shell} {words:?}: {:?}", given(shell, words));
    };
    for (shell, between) in [("zsh", ":"), ("fish", "\t")] {
        let script = node.windlass(&["completions", shell]).stdout();
        assert!(script.contains("WINDLASS_COMPLETE"), "{script}");
        until(shell, &["logs", ""], &format!("1{between}succeeded: nightly"));
        until(shell, &["token", "revoke", ""], &format!("ci{between}submitter"));
        until(shell, &["events", "--on", ""], &format!("alpha{between}ready"));
        let nobody = given(shell, &["-N", "127.0.0.1:1", "logs", "n"]);
        assert!(nobody.is_empty(), "{nobody:?}");
    }
}

/// A person's own bash: keys and what comes of them.
#[test]
fn the_tab_key_completes_in_bash() {
    let node = Home::new().up();
    node.windlass(&["run", "--name", "nightly", "--", "true"]);
    node.windlass(&["token", "create", "deploy", "--role", "submitter"]);
    let windlass = node.command(&[]);
    let mut bash = Command::new("bash");
    bash.args(["--norc", "--noprofile", "-i"]).current_dir(node.home().path());
    bash.envs(windlass.get_envs().filter_map(|(name, value)| Some((name, value?))));
    bash.env("PS1", "ready> ");
    let mut bash = Terminal::start(&bash);
    bash.until_shown("ready> ", 1);
    let program = windlass.get_program().to_str().unwrap();
    bash.press(&format!("source <({program} completions bash); echo so\\urced\n"));
    bash.until_shown("sourced", 1);
    let mut complete = |line: &str, whole: &str| {
        bash.press(line);
        // A node that is busy may answer too late for one key, but not for many.
        bash.press_until_shown("\t", whole);
        // Ctrl-U forgets the line.
        bash.press("\x15");
    };
    complete("windlass stat", "windlass status ");
    complete("windlass logs ni", "windlass logs nightly ");
    complete("windlass token revoke dep", "windlass token revoke deploy ");
    complete("windlass events --on al", "windlass events --on alpha ");
}

#[test]
fn manual_pages_are_written() {
    let home = Home::new();
    assert_eq!(home.windlass(&["man", "pages"]).0.status.code(), Some(0));
    let page = |name: &str| std::fs::read_to_string(home.path().join("pages").join(name)).unwrap();
    assert!(page("windlass.1").contains("windlass\\-run(1)"));
    assert!(page("windlass-run.1").contains("WINDLASS_ITEM"));
    for entry in std::fs::read_dir(home.path().join("pages")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let page = page(&name);
        let items: Vec<_> = page.split("\n.TP\n").skip(1).collect();
        for item in items {
            // The first line names a flag, the rest says what it is for.
            let mut lines = item.lines();
            let flag = lines.next().unwrap();
            let told = lines.next().is_some_and(|line| !line.is_empty() && !line.starts_with('.'));
            assert!(told, "{name} does not say what `{flag}` is for");
        }
    }
}
