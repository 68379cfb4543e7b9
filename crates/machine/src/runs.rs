//! The runs that have not ended.
//!
//! A run nobody has touched since it was submitted is kept as the bytes of its job, a tenth of what
//! it takes in full: a million different jobs may wait. It is opened at the first change.

use std::sync::Arc;

use imbl::OrdMap;
use model::{JobSpec, RunId};
use prost::Message;

use crate::run::Run;

/// The runs that have not ended, by their number.
#[derive(Clone, Debug, Default)]
pub struct Runs {
    by_id: OrdMap<RunId, Kept>,
    bytes: u64,
}

#[derive(Clone, Debug)]
pub(crate) enum Kept {
    /// When it was submitted, in 8 bytes, and its job as on the wire.
    Fresh(Arc<[u8]>),
    /// A run, and the bytes it had when it was fresh.
    Open(Arc<Run>, u64),
}

impl Kept {
    pub(crate) fn fresh(submitted_ms: u64, job: &proto::job::Job) -> Kept {
        let mut bytes = Vec::with_capacity(8 + job.encoded_len());
        bytes.extend_from_slice(&submitted_ms.to_le_bytes());
        job.encode(&mut bytes).expect("a vector grows");
        Kept::Fresh(bytes.into())
    }

    /// The same of a job that is encoded already, and known to be one.
    pub(crate) fn fresh_encoded(submitted_ms: u64, job: &[u8]) -> Kept {
        Kept::Fresh([&submitted_ms.to_le_bytes()[..], job].concat().into())
    }

    /// A run of which something has happened.
    pub(crate) fn opened(run: Run) -> Kept {
        let bytes = proto::job::Job::from(&*run.spec).encoded_len();
        Kept::Open(Arc::new(run), 8 + bytes as u64)
    }

    fn bytes(&self) -> u64 {
        match self {
            Kept::Fresh(bytes) => bytes.len() as u64,
            Kept::Open(_, bytes) => *bytes,
        }
    }

    fn open(&self) -> Arc<Run> {
        match self {
            Kept::Open(run, _) => run.clone(),
            Kept::Fresh(bytes) => {
                let (submitted_ms, job) = split(bytes);
                let job = proto::job::Job::decode(job).expect("it was encoded here");
                let spec = JobSpec::try_from(job).expect("it was a job when it was taken");
                Arc::new(Run::new(Arc::new(spec), submitted_ms))
            }
        }
    }
}

/// When a fresh run was submitted, and the bytes of its job.
pub(crate) fn split(bytes: &[u8]) -> (u64, &[u8]) {
    let (time, job) = bytes.split_first_chunk().expect("a fresh run begins with its time");
    (u64::from_le_bytes(*time), job)
}

impl Runs {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// What their jobs take, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether `run` is one of them.
    pub fn contains(&self, run: RunId) -> bool {
        self.by_id.contains_key(&run)
    }

    /// One run.
    pub fn get(&self, run: RunId) -> Option<Arc<Run>> {
        self.by_id.get(&run).map(Kept::open)
    }

    /// One run, if anything has happened to it since it was submitted.
    pub(crate) fn touched(&self, run: RunId) -> Option<&Run> {
        match self.by_id.get(&run)? {
            Kept::Open(run, _) => Some(run),
            Kept::Fresh(_) => None,
        }
    }

    /// The numbers, in order.
    pub fn ids(&self) -> impl DoubleEndedIterator<Item = RunId> + '_ {
        self.by_id.keys().copied()
    }

    /// The runs, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (RunId, Arc<Run>)> + '_ {
        self.by_id.iter().map(|(id, kept)| (*id, kept.open()))
    }

    /// The runs with a lower number than `before`, the latest first.
    pub fn before(&self, before: RunId) -> impl Iterator<Item = (RunId, Arc<Run>)> + '_ {
        self.by_id.range(..before).rev().map(|(id, kept)| (*id, kept.open()))
    }

    pub(crate) fn kept(&self) -> impl Iterator<Item = (RunId, &Kept)> {
        self.by_id.iter().map(|(id, kept)| (*id, kept))
    }

    pub(crate) fn insert(&mut self, run: RunId, kept: Kept) {
        self.bytes += kept.bytes();
        self.by_id.insert(run, kept);
    }

    pub(crate) fn get_mut(&mut self, run: RunId) -> Option<&mut Run> {
        let kept = self.by_id.get_mut(&run)?;
        if let Kept::Fresh(_) = kept {
            *kept = Kept::Open(kept.open(), kept.bytes());
        }
        match kept {
            Kept::Open(run, _) => Some(Arc::make_mut(run)),
            Kept::Fresh(_) => None,
        }
    }

    pub(crate) fn remove(&mut self, run: RunId) -> Option<Arc<Run>> {
        let kept = self.by_id.remove(&run)?;
        self.bytes -= kept.bytes();
        Some(kept.open())
    }
}
