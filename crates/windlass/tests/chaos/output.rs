//! What a node tells of the output of a run, put together again.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What a run wrote: stdout and stderr of each index and attempt.
pub(crate) struct Outputs {
    pub(crate) bytes: BTreeMap<(u32, u64), [Vec<u8>; 2]>,
    /// Words of Windlass itself.
    pub(crate) marks: Vec<String>,
    /// Pieces before which something is missing, or which were told before.
    pub(crate) gaps: Vec<String>,
}

impl Outputs {
    pub(crate) fn read(lines: &[u8]) -> Outputs {
        let mut outputs = Outputs { bytes: BTreeMap::new(), marks: Vec::new(), gaps: Vec::new() };
        for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let piece: Value = serde_json::from_slice(line).unwrap();
            // `run` also says what it has submitted, and how it ended.
            if piece["event"] != "output" {
                continue;
            }
            let data = piece["data"].as_str().unwrap();
            let stream = match piece["stream"].as_str().unwrap() {
                "stdout" => 0,
                "stderr" => 1,
                _ => {
                    outputs.marks.push(piece.to_string());
                    continue;
                }
            };
            assert_eq!(piece["encoding"], "utf-8");
            let of = (piece["index"].as_u64().unwrap() as u32, piece["attempt"].as_u64().unwrap());
            let written = &mut outputs.bytes.entry(of).or_default()[stream];
            if piece["offset"] != written.len() {
                outputs.gaps.push(format!("{:?} of {of:?} at {}", piece["offset"], written.len()));
            }
            written.extend_from_slice(data.as_bytes());
        }
        outputs
    }

    /// Where another node tells something else of the last attempt of an element. Those before were
    /// lost with their nodes, and what is left of their output is where they ran.
    pub(crate) fn differs(&self, other: &Outputs) -> Vec<String> {
        let all = self.bytes.keys().chain(other.bytes.keys());
        let last: BTreeMap<u32, u64> = all.copied().collect::<BTreeSet<_>>().into_iter().collect();
        let of: Vec<(u32, u64)> = last.into_iter().collect();
        let bytes = |outputs: &Outputs, of| outputs.bytes.get(of).cloned().unwrap_or_default();
        let differ = of.iter().filter(|of| bytes(self, of) != bytes(other, of));
        let lens = |outputs: &Outputs, of| bytes(outputs, of).map(|stream| stream.len());
        let told = |of| format!("{of:?} has {:?} bytes and {:?}", lens(self, of), lens(other, of));
        let mut differ: Vec<String> = differ.map(told).collect();
        if !differ.is_empty() {
            differ.extend(self.marks.iter().map(|mark| format!("the first: {mark}")));
            differ.extend(other.marks.iter().map(|mark| format!("the other: {mark}")));
        }
        differ
    }

    pub(crate) fn take(&mut self, index: u32, attempt: u64) -> [Vec<u8>; 2] {
        self.bytes.remove(&(index, attempt)).unwrap_or_default()
    }
}
