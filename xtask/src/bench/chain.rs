//! A chain of short tasks: one client submits each when the one before has ended.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use super::ground::{Ground, number};
use super::pairs;
use super::run_well;
use super::table::Row;

const LINKS: u32 = 200;
const ROUNDS: usize = 5;
const OVER_SPAWN_MS_MAX: f64 = 3.0;

/// Runs the chain in turn with the bare spawn of as many processes.
pub(super) fn rows(ground: &Ground) -> Result<Vec<Row>> {
    let node = ground.node("chain", &[])?;
    let (mut over, mut links, mut spawns) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let link = number(&node.load(&["chain", "--links", &LINKS.to_string()])?, "mean_ms")?;
        let spawn = spawn_ms()?;
        over.push(link - spawn);
        links.push(link);
        spawns.push(spawn);
    }
    ground.end(node)?;
    let over = pairs::median(&over);
    let row = Row::new(
        format!("chain of {LINKS}, a link over the spawn itself"),
        format!("{over:.2} ms ({:.2} ms in all)", pairs::median(&links)),
    );
    let row = row.beside(format!("{:.2} ms (spawn alone)", pairs::median(&spawns)));
    let target = format!("at most {OVER_SPAWN_MS_MAX} ms");
    Ok(vec![row.target(target, ground.verdict(over <= OVER_SPAWN_MS_MAX))])
}

/// How long it takes to start a process and wait for its end, one after the other.
fn spawn_ms() -> Result<f64> {
    let start = Instant::now();
    for _ in 0..LINKS {
        run_well(&mut Command::new("/bin/true"), "/bin/true")?;
    }
    Ok(start.elapsed().as_secs_f64() * 1e3 / f64::from(LINKS))
}
