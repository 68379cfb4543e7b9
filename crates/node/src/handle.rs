//! The one way to ask a node anything.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use history::{ChangeFilter, Changes, Position};
use machine::Answer;
use model::job::Fault;
use model::job::limits::{NAME_BYTES_MAX, REASON_BYTES_MAX};
use model::{Because, JobSpec, RunId, TaskState};
use proto::record::{self, command::Kind};
use sha2::{Digest, Sha256};

use crate::admission;
use crate::error::Refused;
use crate::info::{Info, Stopped};
use crate::logs::{self, Logs, LogsRequest};
use crate::metrics::Metrics;
use crate::people::People;
use crate::query::{
    self, NodeStatus, Progress, Purged, Resolved, RunDetail, RunEnd, RunFilter, RunPage,
};
use crate::secrets;
use crate::shared::Shared;
use crate::traces::{self, SpanRef};
use crate::unmeetable;
use crate::view::View;

/// What the audit's word of a node going down may take.
const NOTE_WITHIN: Duration = Duration::from_secs(2);

/// Asks a node; cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
    /// Through what its holder asks for changes.
    pub(crate) from: Option<record::From>,
    /// The span of its holder's that asks.
    pub(crate) span: Option<SpanRef>,
    /// It answers from what this node knows, without asking the leader.
    pub(crate) is_stale: bool,
}

/// The answer to a submit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Submitted {
    /// The run.
    pub run: RunId,
    /// The idempotency key was used before; this is the run it made then.
    pub repeated: bool,
}

/// The answer to a cancel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Canceled {
    /// The run.
    pub run: RunId,
    /// Elements that had not started and have ended now.
    pub ended: u64,
    /// Elements that are being stopped.
    pub stopping: u64,
    /// Elements that had ended before.
    pub already_ended: u64,
}

impl Handle {
    /// What does not change while the node serves.
    pub fn info(&self) -> &Info {
        &self.shared.info
    }

    /// The same handle for whoever brought the token with this id (empty: the data directory's)
    /// from this address, so that the audit tells it of what they change.
    #[must_use]
    pub fn through(&self, token: &str, address: &str) -> Handle {
        let from = record::From { token: token.to_owned(), address: address.to_owned() };
        Handle { from: Some(from), span: None, ..self.clone() }
    }

    /// The same handle for whoever wants an answer from what this node knows, without asking the
    /// leader: it may lack what was acknowledged since [`Handle::age`].
    #[must_use]
    pub fn stale(&self) -> Handle {
        Handle { is_stale: true, ..self.clone() }
    }

    /// How old what this node knows may be.
    pub fn age(&self) -> Duration {
        self.shared.journal.age()
    }

    /// The same handle for whoever asks in this span of a trace of theirs.
    #[must_use]
    pub fn within(self, span: Option<SpanRef>) -> Handle {
        Handle { span, ..self }
    }

    /// From now on requests are answered too that were made at nodes which only work.
    pub fn answer_people(&self, people: Arc<dyn People>) {
        self.shared.set_people(Some(people));
    }

    /// What the node measures.
    pub fn metrics(&self) -> &Metrics {
        &self.shared.metrics
    }

    /// Attempts that run on this node.
    pub fn running(&self) -> u64 {
        self.shared.running.load(Ordering::Relaxed)
    }

    /// Submits a job; answers once it is committed. The same key with the same job gives the same
    /// run again.
    pub async fn submit(&self, spec: JobSpec, key: &str) -> Result<Submitted, Refused> {
        self.submit_with(spec, key, None).await
    }

    /// Submits a job, or the repetition of a part of one.
    pub(crate) async fn submit_with(
        &self,
        mut spec: JobSpec,
        key: &str,
        rerun: Option<record::Rerun>,
    ) -> Result<Submitted, Refused> {
        let begun_us = self.shared.traces.as_ref().map(|_| traces::now_us());
        let mut faults = spec.faults();
        if faults.is_empty() {
            faults = unmeetable::faults(self.shared.views.borrow().state.nodes().values(), &spec);
            faults.extend(self.items_faults(&spec).await?);
        }
        if key.len() > 255 {
            let problem = "must be at most 255 bytes".to_owned();
            faults.push(Fault { field: "idempotency_key".to_owned(), problem });
        }
        if !faults.is_empty() {
            return Err(Refused::Invalid(faults));
        }
        let payload = |spec: &JobSpec| {
            let mut payload = prost::Message::encode_to_vec(&proto::job::Job::from(spec));
            payload.extend(rerun.iter().flat_map(prost::Message::encode_to_vec));
            payload
        };
        let payload_hash = match key {
            "" => Vec::new(),
            // A plain hash could be compared with guesses of the secret.
            _ if secrets::has_clear(&spec) => self.shared.secrets.hash(&payload(&spec)),
            _ => Sha256::digest(payload(&spec)).to_vec(),
        };
        self.shared.secrets.seal(&mut spec)?;
        let job = proto::job::Job::from(&spec);
        let idempotency_key = key.to_owned();
        let submit = record::SubmitJob {
            job: Some(job),
            idempotency_key,
            payload_hash,
            rerun,
            from: self.from.clone(),
        };
        let view = self.shared.views.borrow().clone();
        admission::check(&self.shared, &view, &spec, &submit)?;
        drop(view);
        let traced = begun_us
            .map(|from_us| Box::new(traces::Submitted::new(from_us, self.span, spec, &submit)));
        match self.commit_traced(Kind::SubmitJob(submit), traced).await? {
            Answer::Submitted { run, repeated } => Ok(Submitted { run, repeated }),
            other => Err(unexpected(other)),
        }
    }

    /// Cancels what `id` points at.
    pub async fn cancel(&self, id: &str, because: Because) -> Result<Canceled, Refused> {
        let texts = [
            ("reason", &because.reason, REASON_BYTES_MAX),
            ("actor", &because.actor, NAME_BYTES_MAX),
        ];
        if let Some((name, _, most)) = texts.iter().find(|(_, text, most)| text.len() > *most) {
            return Err(Refused::Unfit(format!("{name}: must be at most {most} bytes")));
        }
        let view = self.view().await?;
        let resolved = self.resolve(&view, id).await?;
        if let Some(number) = resolved.attempt {
            return Err(Refused::Unfit(format!(
                "cannot cancel an attempt alone: without `#{number}` its element is canceled"
            )));
        }
        let mut sum = Canceled { run: resolved.run, ended: 0, stopping: 0, already_ended: 0 };
        if resolved.ended.is_some() {
            sum.already_ended = resolved.tasks.iter().map(|(_, ordinals)| ordinals.len()).sum();
            return Ok(sum);
        }
        let cancel = |task: Option<u32>, ordinals| record::Cancel {
            run: resolved.run.0,
            task,
            ordinals,
            because: Some(because.clone().into()),
            from: self.from.clone(),
        };
        let commands: Vec<record::Cancel> = match resolved.whole {
            true => vec![cancel(None, vec![])],
            false => (resolved.tasks.iter())
                .map(|(task, ordinals)| cancel(Some(*task), proto::ranges(ordinals)))
                .collect(),
        };
        for command in commands {
            match self.commit(Kind::Cancel(command)).await {
                Ok(Answer::Canceled { ended, stopping, already_ended }) => {
                    sum.ended += ended;
                    sum.stopping += stopping;
                    sum.already_ended += already_ended;
                }
                // It ended between the look and the command.
                Err(Refused::NotFound(_)) => {}
                Ok(other) => return Err(unexpected(other)),
                Err(refused) => return Err(refused),
            }
        }
        Ok(sum)
    }

    /// Runs below `before` (0: all) that the filter wants, latest first; with `all` those too that
    /// have ended.
    pub async fn runs(
        &self,
        filter: &RunFilter,
        all: bool,
        before: u64,
        limit: usize,
    ) -> Result<RunPage, Refused> {
        let before = if before == 0 { RunId(u64::MAX) } else { RunId(before) };
        let view = self.view().await?;
        if all && self.shared.history.is_awaiting() {
            return Err(query::awaited());
        }
        self.shared
            .aside(|| query::runs(&view, &self.shared.history, filter, all, before, limit))
            .await
    }

    /// Deletes the ended runs that the filter wants, which are `what` in words, from history; dry,
    /// where nobody is named, it only counts them. Whoever leaves early does not end it.
    pub async fn purge(
        &self,
        filter: RunFilter,
        what: String,
        because: Option<Because>,
    ) -> Result<Purged, Refused> {
        let dry = because.is_none();
        match because {
            // Before it begins, so that nothing goes of which the audit does not tell.
            Some(because) => self.note("purge", what, because).await?,
            None => _ = self.view().await?,
        }
        let busy = || Refused::Unavailable("history is busy or ends; try again".to_owned());
        let answer = self.shared.keeper.purge(filter, dry).ok_or_else(busy)?;
        answer.await.map_err(|_| busy())
    }

    /// At most `limit` changes that the filter wants before this place, the latest first.
    pub async fn changes(
        &self,
        filter: ChangeFilter,
        before: Option<Position>,
        limit: usize,
    ) -> Result<Changes, Refused> {
        self.view().await?;
        if self.shared.history.is_awaiting() {
            return Err(query::awaited());
        }
        self.shared.aside(|| self.shared.history.changes(&filter, before, limit)).await
    }

    /// Why history cannot be written just now, while it cannot.
    pub fn history_behind(&self) -> Option<String> {
        self.shared.keeper.behind().borrow().clone()
    }

    /// A run and at most `limit` of the elements that `id` points at, only those in one of these
    /// states where any is given.
    pub async fn run(
        &self,
        id: &str,
        states: &[TaskState],
        limit: usize,
    ) -> Result<RunDetail, Refused> {
        let view = self.view().await?;
        let look = || {
            let resolved = query::resolve(&view, &self.shared.history, id)?;
            Ok(query::detail(&view, &self.shared.history, &resolved, states, limit))
        };
        self.shared.aside(look).await?
    }

    /// What was submitted as the run that `id` points at: whose it is, and as whom it runs.
    pub async fn whose(&self, id: &str) -> Result<Arc<JobSpec>, Refused> {
        let view = self.view().await?;
        Ok(self.resolve(&view, id).await?.spec)
    }

    /// How far what `id` points at has come.
    pub async fn progress(&self, id: &str) -> Result<Progress, Refused> {
        let view = self.view().await?;
        let resolved = self.resolve(&view, id).await?;
        Ok(query::progress(&view, &resolved))
    }

    /// Answers when everything that `id` points at has ended; `progress` hears of each change.
    pub async fn wait(
        &self,
        id: &str,
        mut progress: impl FnMut(Progress),
    ) -> Result<RunEnd, Refused> {
        let view = self.view().await?;
        let mut resolved = self.resolve(&view, id).await?;
        let mut news = self.shared.watchers.subscribe(resolved.run);
        let mut shown = None;
        loop {
            news.mark_unchanged();
            let view = self.shared.views.borrow().clone();
            if !resolved.is_current(&view) {
                self.shared.aside(|| resolved.refresh(&self.shared.history)).await??;
            }
            let now = query::progress(&view, &resolved);
            if shown != Some(now) {
                progress(now);
                shown = Some(now);
            }
            if now.ended >= now.total {
                return self
                    .shared
                    .aside(|| query::end(&view, &self.shared.history, &resolved))
                    .await;
            }
            let stopping = || Refused::Unavailable("the node stops".to_owned());
            let mut stopped = self.shared.stopped.clone();
            tokio::select! {
                changed = news.changed() => changed.map_err(|_| stopping())?,
                _ = stopped.wait_for(|stopped| stopped.is_some()) => return Err(stopping()),
            }
        }
    }

    /// The nodes.
    pub async fn nodes(&self) -> Result<Vec<NodeStatus>, Refused> {
        Ok(query::nodes(&*self.view().await?))
    }

    /// The output of what `id` points at, merged by time.
    pub async fn logs(&self, id: &str, request: LogsRequest) -> Result<Logs, Refused> {
        let view = self.view().await?;
        let resolved = self.resolve(&view, id).await?;
        Ok(logs::start(&self.shared, resolved, request))
    }

    /// Takes the node down: nothing more is placed, its tasks are stopped, then it ends. A node
    /// that can commit nothing any more goes down all the same.
    pub async fn down(&self, because: Because) {
        let name = self.info().name.clone();
        let noted = tokio::time::timeout(NOTE_WITHIN, self.note("down", name, because)).await;
        if !matches!(noted, Ok(Ok(()))) {
            tracing::warn!("the audit will not tell that this node was taken down");
        }
        self.shared.down.send_replace(true);
    }

    /// Commits that something was done, for the audit.
    async fn note(&self, action: &str, on: String, because: Because) -> Result<(), Refused> {
        let (action, because) = (action.to_owned(), Some(because.into()));
        let note = record::Note { action, on, because, from: self.from.clone() };
        match self.commit(Kind::Note(note)).await? {
            Answer::Noted => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// Answers when the node has stopped.
    pub async fn stopped(&self) -> Stopped {
        let mut stopped = self.shared.stopped.clone();
        match stopped.wait_for(|stopped| stopped.is_some()).await {
            Ok(stopped) => stopped.clone().unwrap_or(Stopped::Closed),
            Err(_) => Stopped::Closed,
        }
    }

    pub(crate) async fn resolve(&self, view: &View, id: &str) -> Result<Resolved, Refused> {
        let look = || query::resolve(view, &self.shared.history, id);
        if query::is_live(view, id) { look() } else { self.shared.aside(look).await? }
    }
}

pub(crate) fn unexpected(answer: Answer) -> Refused {
    Refused::Failed(format!("the command had an unexpected answer: {answer:?}"))
}
