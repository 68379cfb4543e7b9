//! Reads a run: which nodes are read when, and what is said where one cannot be.
//!
//! First what is there, and for whoever follows what comes; then, once everything selected has
//! ended, the rest: what ended between two looks, and what a follower was never told of, for a
//! supervisor does not speak of output while its daemon is slow to listen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use history::History;
use model::{Attempt, NodeId, RangeSet, TaskPosition};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::Instant;

use super::LogsRequest;
use super::away::{Away, Entry, Fate};
use super::whereabouts::{self, EndedBy};
use crate::error::Refused;
use crate::info::Stopped;
use crate::output::{Absent, Chunk, Ended, Gather, LISTED_MAX, List, Over, Step, Wanted, Ways};
use crate::query::{self, Resolved};
use crate::shared::aside;
use crate::view::View;
use crate::watchers::Watchers;

/// How long what is on its way is waited for once everything has ended; then the rest is asked for.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a reader looks at.
pub(super) struct Desk {
    pub(super) views: watch::Receiver<Arc<View>>,
    pub(super) watchers: Arc<Watchers>,
    pub(super) history: Arc<History>,
    /// Bounds how many read history at once.
    pub(super) readers: Arc<Semaphore>,
    pub(super) ways: Arc<Ways>,
    pub(super) stopped: watch::Receiver<Option<Stopped>>,
}

/// The reader has left: nothing more is read for it.
struct Left;

/// Why reading ends early.
enum Early {
    Left,
    Refused(Refused),
}

impl From<Refused> for Early {
    fn from(refused: Refused) -> Early {
        Early::Refused(refused)
    }
}

impl From<Left> for Early {
    fn from(Left: Left) -> Early {
        Early::Left
    }
}

pub(super) struct Reader {
    desk: Desk,
    resolved: Resolved,
    request: LogsRequest,
    sender: mpsc::Sender<Result<Chunk, Refused>>,
    gather: Gather,
    away: Away,
    /// The selected indices by task.
    selected: BTreeMap<TaskPosition, RangeSet>,
    /// Nodes whose live attempts are read.
    followed: BTreeSet<NodeId>,
    /// Attempts without a list whose node was given up; that has been said.
    settled: BTreeSet<Attempt>,
}

impl Reader {
    pub(super) fn new(
        desk: Desk,
        resolved: Resolved,
        request: LogsRequest,
        sender: mpsc::Sender<Result<Chunk, Refused>>,
    ) -> Reader {
        Reader {
            away: Away::new(&desk.ways),
            selected: whereabouts::indices(&resolved),
            gather: Gather::default(),
            followed: BTreeSet::new(),
            settled: BTreeSet::new(),
            desk,
            resolved,
            request,
            sender,
        }
    }

    /// Reads until there is no more, or the reader has left.
    pub(super) async fn run(mut self) -> Result<(), Refused> {
        match self.read().await {
            Ok(()) | Err(Early::Left) => Ok(()),
            Err(Early::Refused(refused)) => Err(refused),
        }
    }

    async fn read(&mut self) -> Result<(), Early> {
        let mut news = self.desk.watchers.subscribe(self.resolved.run);
        let view = self.view();
        let was_over = self.is_over(&view).await?;
        let ended = self.ended().await?;
        self.open(&view, ended, !was_over);
        if was_over {
            return self.finish().await;
        }
        match self.request.follow {
            true => self.follow(&mut news).await?,
            false => self.finish().await?,
        }
        self.rest().await
    }

    /// Reads what is there of these and, where the run is not over, of attempts that live.
    fn open(&mut self, view: &View, mut ended: EndedBy, with_live: bool) {
        if with_live {
            // What this node's supervisor has told may be news to everybody else.
            ended.entry(self.desk.ways.own).or_default();
            for node in whereabouts::placed(&self.resolved, view).into_keys() {
                ended.entry(node).or_default();
            }
            self.followed = ended.keys().copied().collect();
        }
        for (node, ended) in ended {
            self.open_node(node, ended, with_live);
        }
    }

    /// Reads on with nodes that have got an attempt since.
    fn follow_more(&mut self, view: &View) {
        if view.state.nodes().keys().all(|node| self.followed.contains(node)) {
            return;
        }
        for node in whereabouts::placed(&self.resolved, view).into_keys() {
            if self.followed.insert(node) {
                self.open_node(node, Vec::new(), true);
            }
        }
    }

    fn open_node(&mut self, node: NodeId, ended: Vec<Ended>, with_live: bool) {
        let mut with_live = with_live;
        let mut rest = ended;
        loop {
            let next = rest.split_off(rest.len().min(LISTED_MAX));
            self.ask(node, self.wanted(rest, std::mem::take(&mut with_live)));
            rest = next;
            if rest.is_empty() {
                return;
            }
        }
    }

    fn wanted(&self, ended: Vec<Ended>, with_live: bool) -> Wanted {
        Wanted {
            run: self.resolved.run,
            live: if with_live { self.selected.clone() } else { BTreeMap::new() },
            attempt: self.resolved.attempt,
            streams: self.request.streams,
            follow: with_live && self.request.follow,
            ended,
            places: BTreeMap::new(),
        }
    }

    /// Begins a reading, from where its attempts have been read to.
    fn ask(&mut self, node: NodeId, mut wanted: Wanted) {
        wanted.ended.retain(|ended| self.is_unread(ended));
        self.put_places(node, &mut wanted);
        match self.desk.ways.read(node, &wanted) {
            Some(reading) => self.gather.add(node, wanted, reading),
            None => self.away.add(node, wanted, "it has no session".to_owned(), false),
        }
    }

    fn put_places(&self, node: NodeId, wanted: &mut Wanted) {
        let known = |attempt: Attempt| Some((attempt, self.gather.place(attempt)?));
        wanted.places = wanted.ended.iter().filter_map(|ended| known(ended.attempt)).collect();
        if !wanted.live.is_empty() && self.gather.has_places() {
            let mut placed = whereabouts::placed(&self.resolved, &self.view());
            let placed = placed.remove(&node).unwrap_or_default();
            wanted.places.extend(placed.into_iter().filter_map(known));
        }
    }

    /// Reads what comes until everything selected has ended.
    async fn follow(&mut self, news: &mut watch::Receiver<()>) -> Result<(), Early> {
        let mut over_since = None;
        loop {
            news.mark_unchanged();
            let view = self.view();
            if over_since.is_none() && self.is_over(&view).await? {
                over_since = Some(Instant::now());
            }
            match over_since {
                Some(_) if self.gather.is_caught_up() => return Ok(()),
                Some(_) => {}
                None => self.follow_more(&view),
            }
            while let Some(()) = self.next(Some(news), over_since).await? {
                if over_since.is_some() && self.gather.is_caught_up() {
                    return Ok(());
                }
            }
            if over_since.is_some_and(|since| since.elapsed() >= LAST_WORDS) {
                return Ok(());
            }
        }
    }

    /// Reads until nothing is read any more.
    async fn finish(&mut self) -> Result<(), Early> {
        while !self.gather.is_empty() || !self.away.is_empty() {
            self.next(None, None).await?;
        }
        Ok(())
    }

    /// Reads what is left of what has ended.
    async fn rest(&mut self) -> Result<(), Early> {
        self.gather.clear();
        self.away.clear();
        let mut ended = self.ended().await?;
        for ended in ended.values_mut() {
            ended.retain(|ended| self.is_unread(ended));
        }
        ended.retain(|_, ended| !ended.is_empty());
        self.open(&self.view(), ended, false);
        self.finish().await
    }

    /// Whether there may be more of what has ended than was read.
    fn is_unread(&self, ended: &Ended) -> bool {
        match ended.list {
            List::Lost { .. } => !self.settled.contains(&ended.attempt),
            List::End(_) | List::Damaged => {
                self.gather.place(ended.attempt).unwrap_or_default().bytes < ended.bytes
            }
        }
    }

    /// One step of reading; `None` where there is other news, of the run or of its end.
    async fn next(
        &mut self,
        news: Option<&mut watch::Receiver<()>>,
        over_since: Option<Instant>,
    ) -> Result<Option<()>, Early> {
        let changed = async {
            match news {
                Some(news) if over_since.is_none() => _ = news.changed().await,
                _ => std::future::pending().await,
            }
        };
        let last_words = async {
            match over_since {
                Some(since) => tokio::time::sleep_until(since + LAST_WORDS).await,
                None => std::future::pending().await,
            }
        };
        let mut stopped = self.desk.stopped.clone();
        let stops = async { _ = stopped.wait_for(|stopped| stopped.is_some()).await };
        tokio::select! {
            step = self.gather.next() => self.step(step).await?,
            () = self.away.woken() => self.look(),
            () = changed => return Ok(None),
            () = last_words => return Ok(None),
            () = self.sender.closed() => return Err(Early::Left),
            () = stops => {
                return Err(Refused::Unavailable("the node stops".to_owned()).into());
            }
        }
        Ok(Some(()))
    }

    async fn step(&mut self, step: Step) -> Result<(), Early> {
        match step {
            Step::Chunk(chunk) => Ok(self.send(chunk).await?),
            Step::CaughtUp => Ok(()),
            Step::Over(over) => self.over(*over),
        }
    }

    fn over(&mut self, over: Over) -> Result<(), Early> {
        let Over { node, wanted, was_alive, end } = over;
        match end {
            Ok(()) => {}
            Err(broken) if broken.retry => self.away.add(node, wanted, broken.why, was_alive),
            Err(broken) if node == self.desk.ways.own => {
                return Err(Refused::Failed(broken.why).into());
            }
            Err(broken) => {
                let name = self.view().node_name(node);
                let why = format!("node {name} cannot read some output: {}", broken.why);
                return Err(Refused::Failed(why).into());
            }
        }
        Ok(())
    }

    /// Looks after the readings that wait for their nodes.
    fn look(&mut self) {
        let view = self.view();
        for entry in self.away.take() {
            let is_gone = view.state.node(entry.node).is_none_or(|node| node.is_lost);
            match self.away.fate(&entry, &self.desk.ways, is_gone) {
                Fate::Waits => self.away.put_back(entry),
                Fate::AsksAgain => self.ask(entry.node, entry.wanted),
                Fate::IsGivenUp => self.give_up(&view, entry, is_gone),
            }
        }
    }

    /// Reads what was kept of a node's output, and says what is missing.
    fn give_up(&mut self, view: &View, mut entry: Entry, is_gone: bool) {
        let (node, name) = (entry.node, view.node_name(entry.node));
        let words = match is_gone {
            true => format!("node {name}, which is gone"),
            false => format!("node {name}, which cannot be reached: {}", entry.why),
        };
        let lost =
            entry.wanted.ended.iter().filter(|ended| matches!(ended.list, List::Lost { .. }));
        self.settled.extend(lost.map(|ended| ended.attempt));
        let live = std::mem::take(&mut entry.wanted.live);
        let ended = std::mem::take(&mut entry.wanted.ended);
        let running = match live.is_empty() || entry.wanted.follow {
            true => BTreeSet::new(),
            false => whereabouts::placed(&self.resolved, view).remove(&node).unwrap_or_default(),
        };
        let mut wanted = self.wanted(ended, false);
        self.put_places(node, &mut wanted);
        let absent = Absent { node, words, running };
        let reading = self.desk.ways.read_kept(absent, wanted.clone());
        self.gather.add(node, wanted, reading);
        if entry.wanted.follow {
            // What is still to come may be read once the node is back.
            entry.wanted.live = live;
            entry.is_given_up = true;
            self.away.put_back(entry);
        }
    }

    async fn send(&self, chunk: Chunk) -> Result<(), Left> {
        self.sender.send(Ok(chunk)).await.map_err(|_| Left)
    }

    fn view(&self) -> Arc<View> {
        self.desk.views.borrow().clone()
    }

    /// What lists the output of the selected attempts that history knows.
    async fn ended(&self) -> Result<EndedBy, Refused> {
        let look = || whereabouts::ended(&self.resolved, &self.desk.history, self.desk.ways.own);
        aside(&self.desk.readers, look).await
    }

    async fn is_over(&mut self, view: &View) -> Result<bool, Refused> {
        if !self.resolved.is_current(view) {
            let (resolved, history) = (&mut self.resolved, &self.desk.history);
            aside(&self.desk.readers, || resolved.refresh(history)).await??;
        }
        let progress = query::progress(view, &self.resolved);
        Ok(progress.ended >= progress.total)
    }
}
