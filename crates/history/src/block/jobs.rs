//! What was submitted, for each run: opaque bytes, the same job once a block.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Key, Kind, Table};
use crate::bytes::{In, Out};

/// The table of jobs, by run.
pub(crate) struct Jobs;

/// The job of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) run: u64,
    pub(crate) job: Arc<[u8]>,
}

impl Table for Jobs {
    type Row = Job;
    const KIND: Kind = Kind::Jobs;

    fn key(row: &Job) -> Key {
        Key::of_run(row.run)
    }

    fn weight(row: &Job) -> usize {
        std::mem::size_of::<Job>() + row.job.len()
    }

    fn encode(rows: &[&Job]) -> Vec<u8> {
        let mut numbers: HashMap<&[u8], u64> = HashMap::new();
        let mut jobs: Vec<&[u8]> = Vec::new();
        let mut body = Out::default();
        let mut run = 0;
        for row in rows {
            let next = jobs.len() as u64;
            let number = *numbers.entry(&*row.job).or_insert(next);
            if number == next {
                jobs.push(&*row.job);
            }
            body.number(number);
            body.number(row.run.wrapping_sub(run));
            run = row.run;
        }
        let mut out = Out::default();
        out.number(jobs.len() as u64);
        jobs.iter().for_each(|job| out.bytes(job));
        out.0.extend_from_slice(&body.0);
        out.0
    }

    fn decode(bytes: &[u8], rows: usize) -> Option<Vec<Job>> {
        let mut bytes = In(bytes);
        let count = bytes.count()?;
        let jobs: Vec<Arc<[u8]>> =
            (0..count).map(|_| Some(bytes.bytes()?.into())).collect::<Option<_>>()?;
        let mut run = 0u64;
        let mut found = Vec::with_capacity(rows);
        for _ in 0..rows {
            let job = jobs.get(usize::try_from(bytes.number()?).ok()?)?.clone();
            run = run.wrapping_add(bytes.number()?);
            found.push(Job { run, job });
        }
        bytes.is_empty().then_some(found)
    }
}
