//! What a real supervisor writes: segments with the output and the ends of a few attempts, and files of their own.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use model::{Attempt, Element, Ending, Outcome, RunId};
use runner::output::{Config, Stream, Writer, Written};

const PATIENCE: Duration = Duration::from_secs(10);

/// Target, name and bytes of each file.
pub(crate) fn all() -> io::Result<Vec<(&'static str, String, Vec<u8>)>> {
    let directory = std::env::temp_dir().join(format!("windlass-seeds-{}", std::process::id()));
    let config = Config {
        dir: directory.clone(),
        segment_bytes: 2_000,
        shared_bytes_max: 600,
        own_file_bytes: 400,
        own_files: 2,
        ..Config::default()
    };
    write(Writer::start(config)?);
    let mut files = Vec::new();
    let entries = fs::read_dir(&directory)?.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = entries.collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    for path in paths {
        let target = match path.extension().and_then(|extension| extension.to_str()) {
            Some("seg") => "output_segment",
            _ => "output_lists",
        };
        if path.is_file() {
            files.push((target, format!("seed-{}", files.len()), fs::read(&path)?));
        }
    }
    fs::remove_dir_all(&directory)?;
    Ok(files)
}

fn write(mut writer: Writer) {
    for index in 0..4 {
        let element = Element { run: RunId(812), task: 0, index };
        let attempt = Attempt { element, number: 1 };
        for line in 0..4 {
            let stream = if line % 2 == 0 { Stream::Stdout } else { Stream::Stderr };
            let bytes = vec![b'a' + line; 20 * (index as usize + 1)];
            writer.append(attempt, stream, 1_000 + u64::from(line), &bytes);
        }
        writer.end(attempt, Outcome::bare(Ending::Exited { code: 0 }));
    }
    let deadline = Instant::now() + PATIENCE;
    let mut ends = 0;
    while ends < 4 && Instant::now() < deadline {
        ends += writer.poll().iter().filter(|one| matches!(one, Written::Ended { .. })).count();
    }
    assert_eq!(ends, 4, "all is written");
}
