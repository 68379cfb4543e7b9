//! Writes the seeds of each corpus: what real code encodes, small.
//!
//! `cargo run --manifest-path fuzz/Cargo.toml --example seeds`, whenever a form has changed.

#[path = "seeds/history.rs"]
mod history_files;
#[path = "seeds/journal.rs"]
mod journal_files;
#[path = "seeds/output.rs"]
mod output;
#[path = "../checks/prepared.rs"]
mod prepared;

use std::fs;
use std::io;
use std::path::Path;

use machine::State;
use machine::snapshot::encode;

fn main() -> io::Result<()> {
    let mut state = State::new();
    for (number, batch) in prepared::batches().iter().enumerate() {
        write("record", &format!("seed-{number}"), &machine::encode(batch))?;
        state.apply(number as u64 + 1, prepared::LEADER, batch);
        let snapshot: Vec<u8> = encode(&state).flatten().collect();
        write("state", &format!("seed-{number}"), &snapshot)?;
        let snapshot = node::fuzz::cluster_snapshot_of(&state);
        write("cluster_snapshot", &format!("seed-{number}"), &snapshot)?;
    }
    for (target, name, bytes) in
        [journal_files::all()?, output::all()?, history_files::all()?].concat()
    {
        write(target, &name, &bytes)?;
    }
    // The first two bytes or so decide what is read; the rest a fuzzer finds by itself.
    write("output_lists", "seed-zeros", &[0; 24])?;
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(name), bytes)
}
