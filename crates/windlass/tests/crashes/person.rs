//! A person at a terminal, who runs one command after the other and need not know that the node
//! dies meanwhile.

use std::time::{Duration, Instant};

use crate::chance::Chance;
use crate::ground;
use crate::node::{Home, Shown};
use crate::patience::find;
use crate::victim::Victim;

pub(crate) struct Person {
    home: Home,
    api: String,
    token: String,
}

impl Person {
    pub(crate) fn at(victim: &Victim) -> Person {
        Person { home: Home::new(), api: victim.api.clone(), token: victim.token() }
    }

    /// Runs a command that writes, sleeps and ends with a code, and sees all of it.
    pub(crate) fn run_something(&self, chance: &mut Chance) {
        let (lines, code) = (chance.from(1, 3_000) as u32, chance.from(0, 4) as i32);
        let ms = chance.from(0, 600);
        let half = lines / 2;
        let script =
            format!("seq 1 {half}; sleep 0.{ms:03}; seq {} {lines}; exit {code}", half + 1);
        let shown = find(|| self.run(&script));
        let told = format!("`{script}` showed {} bytes: {shown}", shown.0.stdout.len());
        assert_eq!(shown.0.status.code(), Some(code), "{told}");
        assert!(shown.0.stdout == ground::stdout(lines), "{told}");
    }
    /// A command that finds no node at all gives up at once, and a person tries again; one that
    /// has found it must go on until it knows.
    fn run(&self, script: &str) -> Result<Shown, String> {
        let begin = Instant::now();
        let mut command = self.home.command(&["run", "-N", &self.api, "--cpus", "0.5", "--"]);
        command.args(["sh", "-c", script]).env("WINDLASS_TOKEN", &self.token);
        let shown = Shown(command.output().unwrap());
        let at_once = begin.elapsed() < Duration::from_secs(5) && shown.0.stdout.is_empty();
        let no_node = shown.0.stderr.starts_with(b"error: no node answers");
        if at_once && no_node { Err(shown.to_string()) } else { Ok(shown) }
    }
}
