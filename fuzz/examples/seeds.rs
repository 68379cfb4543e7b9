//! Writes the seeds of each corpus: what real code encodes, small.
//!
//! `cargo run --manifest-path fuzz/Cargo.toml --example seeds`, whenever a form has changed.

#[path = "../checks/prepared.rs"]
mod prepared;

use std::fs;
use std::path::Path;

fn main() -> std::io::Result<()> {
    for (number, batch) in prepared::batches().iter().enumerate() {
        write("record", &format!("seed-{number}"), &machine::encode(batch))?;
    }
    prepared::state();
    Ok(())
}

fn write(target: &str, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&directory)?;
    fs::write(directory.join(name), bytes)
}
