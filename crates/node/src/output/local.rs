//! Reads the output that lies on this node: what has ended by its last frames, what has not by what
//! the supervisor tells.
//!
//! A reader that is slow keeps only itself waiting: what it has not taken stays on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::Attempt;
use proto::supervisor::Extent;
use runner::output::{Merge, Store};
use tokio::sync::mpsc;

use super::reading::{Broken, Reading};
use super::{Chunk, Ended, List, Piece, Placed, Streams, Wanted};
use crate::live::{Follower, LiveOutput, News};

/// Pieces between the disk and a reader.
const PIECES_MAX: usize = 2;
/// Chunks, and frames that are passed over, that one stay on a blocking thread reads.
const CHUNKS_AT_ONCE: usize = 16;
const FRAMES_AT_ONCE: usize = 256;
/// A piece has so many bytes, beyond its last chunk.
const PIECE_BYTES: usize = 128 << 10;

/// What is said in place of output whose facts are damaged.
const DAMAGED: &str = "history is damaged there: the output of this element, and perhaps of some that follow, cannot be found";

/// What is said in place of output that an attempt wrote whose node was given up before its end was heard.
const GIVEN_UP: &str = "its node was given up while it ran, and nothing tells where it wrote";

/// The output of this node.
#[derive(Clone)]
pub(crate) struct Local {
    pub(crate) store: Arc<Store>,
    pub(crate) live: Arc<LiveOutput>,
}

/// More of an attempt's output.
enum More {
    /// It lies there.
    Extents(Vec<Extent>),
    /// All that was found of an attempt that ended with its supervisor lies there.
    Lost(Vec<Extent>),
    /// Nothing says where it lies, for this reason.
    Unlisted(String),
}

/// What was found, by attempt.
type Found = BTreeMap<Attempt, More>;

impl Local {
    /// Starts reading.
    pub(crate) fn read(&self, wanted: Wanted) -> Reading {
        let (sender, pieces) = mpsc::channel(PIECES_MAX);
        let work = Work {
            local: self.clone(),
            wanted,
            follower: None,
            merge: Some(Merge::default()),
            sender: sender.clone(),
            is_told: false,
        };
        // It ends with its reader.
        tokio::spawn(async move {
            if let Err(broken) = work.run().await {
                let _ = sender.send(Err(broken)).await; // The reader may have gone.
            }
        });
        Reading::new(pieces)
    }
}

struct Work {
    local: Local,
    wanted: Wanted,
    follower: Option<Arc<Follower>>,
    /// `None` while a blocking thread reads with it.
    merge: Option<Merge>,
    sender: mpsc::Sender<Result<Piece, Broken>>,
    /// That all that is there was given has been said.
    is_told: bool,
}

impl Work {
    async fn run(mut self) -> Result<(), Broken> {
        let mut live = BTreeMap::new();
        if !self.wanted.live.is_empty() {
            // Followed first: nothing comes in between.
            let (there, follower) = self.local.live.follow(self.wanted.run);
            (live, self.follower) = (there, Some(follower));
        }
        let mut found = self.listed().await?;
        for (attempt, extents) in live.into_iter().filter(|(a, _)| self.wanted.selects(*a)) {
            found.entry(attempt).or_insert(More::Extents(extents));
        }
        self.read(found).await?;
        loop {
            let fresh = self.follower.as_ref().map(|follower| follower.take()).unwrap_or_default();
            let fresh: Found = fresh
                .into_iter()
                .filter(|(attempt, _)| self.wanted.selects(*attempt))
                .map(|(attempt, news)| (attempt, More::from(news)))
                .collect();
            if !fresh.is_empty() {
                self.read(fresh).await?;
            } else if !self.wanted.follow {
                return Ok(());
            }
            if self.sender.is_closed() {
                return Ok(());
            }
            self.tell_caught_up().await;
            let rung = async {
                match &self.follower {
                    Some(follower) => follower.rung().await,
                    None => std::future::pending().await,
                }
            };
            if self.wanted.follow {
                tokio::select! {
                    () = rung => {}
                    () = self.sender.closed() => return Ok(()),
                }
            }
        }
    }

    async fn tell_caught_up(&mut self) {
        if self.wanted.follow && !std::mem::replace(&mut self.is_told, true) {
            let _ = self.sender.send(Ok(Piece { chunks: Vec::new(), caught_up: true })).await;
        }
    }

    /// Reads where all output of what has ended lies: a file is opened for each, so a thread that
    /// may wait does. What cannot be found for one is said of that one, and keeps nobody from the
    /// others. Where others have stopped reading is where this begins.
    async fn listed(&mut self) -> Result<Found, Broken> {
        let Local { store, live } = self.local.clone();
        let (ended, places) =
            (std::mem::take(&mut self.wanted.ended), std::mem::take(&mut self.wanted.places));
        let Some(mut merge) = self.merge.take() else { return Ok(Found::new()) };
        let work = move || {
            for (attempt, place) in places {
                merge.begin_at(&store, attempt, place);
            }
            let found =
                ended.iter().filter_map(|ended| Some((ended.attempt, find(&store, &live, ended)?)));
            let found = found.collect();
            (merge, found)
        };
        let (merge, found) = tokio::task::spawn_blocking(work).await.map_err(panicked)?;
        self.merge = Some(merge);
        Ok(found)
    }

    /// Reads these stretches and gives them out. A thread that may wait reads, but never for whoever
    /// takes what was read: many who do not would use up all of those threads.
    async fn read(&mut self, mut found: Found) -> Result<(), Broken> {
        if found.is_empty() {
            return Ok(());
        }
        loop {
            let Some(merge) = self.merge.take() else { return Ok(()) };
            let (store, streams) = (self.local.store.clone(), self.wanted.streams);
            let found = std::mem::take(&mut found);
            let stay = move || stay(merge, &store, found, streams);
            let stay = tokio::task::spawn_blocking(stay).await.map_err(panicked)?;
            self.merge = Some(stay.merge);
            if !stay.chunks.is_empty() {
                self.is_told = false;
                let piece = Piece { chunks: stay.chunks, caught_up: false };
                if self.sender.send(Ok(piece)).await.is_err() {
                    return Ok(());
                }
            }
            if let Some(why) = stay.failed {
                return Err(Broken::failed(why));
            }
            if !stay.more || self.sender.is_closed() {
                return Ok(());
            }
        }
    }
}

fn panicked(error: tokio::task::JoinError) -> Broken {
    Broken::failed(error.to_string())
}

impl From<News> for More {
    fn from(news: News) -> More {
        if news.lost { More::Lost(news.extents) } else { More::Extents(news.extents) }
    }
}

/// Where the output of an attempt that has ended lies, if it has any.
fn find(store: &Store, live: &LiveOutput, ended: &Ended) -> Option<More> {
    let attempt = ended.attempt;
    let found = match ended.list {
        List::End(at) => store.ended(at).map(|extents| Some(More::Extents(extents))),
        List::Lost { unheard } => store.lost(attempt).map(|kept| {
            // A node that was given up while it ran on knows of what nobody else does.
            let told = || live.so_far(&BTreeSet::from([attempt])).remove(&attempt);
            // Nothing may be missing without a word.
            let nothing = unheard.then(|| More::Unlisted(GIVEN_UP.to_owned()));
            kept.or_else(told).map(More::Lost).or(nothing)
        }),
        List::Damaged => Ok(Some(More::Unlisted(DAMAGED.to_owned()))),
    };
    found.unwrap_or_else(|error| Some(More::Unlisted(describe(&error))))
}

/// What one stay on a blocking thread came to.
struct Stay {
    merge: Merge,
    chunks: Vec<Placed>,
    more: bool,
    failed: Option<String>,
}

fn stay(merge: Merge, store: &Store, found: Found, streams: Streams) -> Stay {
    let mut stay = Stay { merge, chunks: Vec::new(), more: true, failed: None };
    for (attempt, more) in found {
        match more {
            More::Extents(extents) => stay.merge.extend(store, attempt, &extents),
            More::Lost(extents) => stay.merge.lost(store, attempt, &extents),
            More::Unlisted(why) => stay.merge.unlisted(store, attempt, &why),
        }
    }
    let (mut bytes, mut frames) = (0, 0);
    while stay.chunks.len() < CHUNKS_AT_ONCE && frames < FRAMES_AT_ONCE && bytes < PIECE_BYTES {
        match stay.merge.next() {
            Some(Ok(chunk)) => {
                frames += 1;
                bytes += stay.add(chunk, streams);
            }
            Some(Err(error)) => {
                stay.failed = Some(describe(&error));
                break;
            }
            None => {
                stay.more = false;
                break;
            }
        }
    }
    stay
}

impl Stay {
    fn add(&mut self, chunk: runner::output::Chunk, streams: Streams) -> usize {
        let place = self.merge.place(chunk.attempt);
        let (attempt, stream, time_us) = (chunk.attempt, chunk.stream as u8, chunk.time_us);
        if streams.wants(stream) {
            let length = chunk.data.len();
            let chunk = Chunk { attempt, stream, time_us, data: chunk.data };
            self.chunks.push(Placed { chunk, place });
            return length;
        }
        // Nothing to show, but what follows must not seem to be missing something.
        match self.chunks.last_mut() {
            Some(last) if last.chunk.attempt == attempt && last.chunk.data.is_empty() => {
                last.place = place;
            }
            _ => {
                let chunk = Chunk { attempt, stream, time_us, data: Vec::new() };
                self.chunks.push(Placed { chunk, place });
            }
        }
        0
    }
}

pub(super) fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
