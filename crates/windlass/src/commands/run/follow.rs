//! Follows a run to its end: its output, Ctrl-C, and a node that is restarted meanwhile.
//!
//! One call submits and streams all the rest. Where it breaks off, the same call is made again:
//! its idempotency key makes it the same run, and output that comes again is left out.

mod bar;
mod interrupt;

use api::json::Line;
use proto::api::run_event::Kind;
use proto::api::{CancelRequest, RunEnd, RunEvent, SubmitRequest};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tonic::{Code, Status};

use crate::client::patience::Patience;
use crate::client::{self, Client};
use crate::commands::wait::exit_code;
use crate::failure::{Failure, exit};
use crate::show::out;
use crate::show::output::Output;
use bar::Bar;
use interrupt::Answer;

/// A run that is followed.
pub(super) struct Follow {
    client: Client,
    request: SubmitRequest,
    output: Output,
    json: bool,
    verbose: bool,
    run: Option<u64>,
    interrupts: Signal,
    cancel: Cancel,
    bar: Bar,
}

/// How far a cancel has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cancel {
    Unwanted,
    /// Ctrl-C was pressed; the node has not heard of it.
    Wanted,
    Sent,
}

/// Why following stopped.
enum Stop {
    Ended(Box<RunEnd>),
    Detached,
    Lost(Status),
    Failed(Failure),
}

impl Follow {
    pub(super) fn new(
        client: Client,
        request: SubmitRequest,
        output: Output,
        json: bool,
        verbose: bool,
        bar_wanted: bool,
    ) -> Result<Follow, Failure> {
        let interrupts = signal(SignalKind::interrupt())
            .map_err(|error| Failure::new(format!("cannot watch for Ctrl-C: {error}")))?;
        Ok(Follow {
            client,
            request,
            output,
            json,
            verbose,
            run: None,
            interrupts,
            cancel: Cancel::Unwanted,
            bar: Bar::new(bar_wanted),
        })
    }

    /// Follows it to its end; the code is what `run` exits with.
    pub(super) async fn run(mut self) -> Result<u8, Failure> {
        let mut patience = Patience::new();
        loop {
            match self.stream(&mut patience).await {
                Stop::Ended(end) => return self.ended(&end),
                Stop::Detached => return Ok(self.detached()),
                Stop::Failed(failure) => return Err(failure),
                Stop::Lost(status) => {
                    self.bar.clear();
                    let what = self.what();
                    let failed = tokio::select! {
                        borne = patience.bear(&self.client, &what, &status) => borne.err(),
                        _ = self.interrupts.recv() => match self.interrupted().await {
                            Some(_) => return Ok(self.detached()),
                            None => None,
                        },
                    };
                    if let Some(failure) = failed {
                        return Err(self.with_way_back(failure));
                    }
                }
            }
        }
    }

    /// One call, as long as it lasts.
    async fn stream(&mut self, patience: &mut Patience) -> Stop {
        let mut rpc = self.client.rpc.clone();
        let call = rpc.run(self.request.clone());
        tokio::pin!(call);
        let mut events = loop {
            tokio::select! {
                answer = &mut call => match answer {
                    Ok(answer) => break answer.into_inner(),
                    Err(status) => return Stop::Lost(status),
                },
                _ = self.interrupts.recv() => if let Some(stop) = self.interrupted().await {
                    return stop;
                },
            }
        };
        loop {
            tokio::select! {
                event = events.message() => {
                    let event = match event {
                        Ok(Some(event)) => event,
                        Ok(None) => return Stop::Lost(Status::new(
                            Code::Unavailable, "the node ended the call before the run")),
                        Err(status) => return Stop::Lost(status),
                    };
                    patience.answered();
                    if let Some(stop) = self.event(event) {
                        return stop;
                    }
                }
                _ = self.interrupts.recv() => if let Some(stop) = self.interrupted().await {
                    return stop;
                },
                () = self.bar.step() => {}
            }
            if let Some(stop) = self.send_cancel().await {
                return stop;
            }
        }
    }

    fn event(&mut self, event: RunEvent) -> Option<Stop> {
        match event.kind {
            Some(Kind::Submitted(answer)) => self.submitted(answer.run),
            Some(Kind::Output(chunk)) => {
                let (bar, output) = (&self.bar, &mut self.output);
                let shown = bar.beside(|| output.show(chunk));
                shown.err().map(|error| Stop::Failed(self.cannot_show(&error)))
            }
            Some(Kind::Ended(end)) => Some(Stop::Ended(Box::new(end))),
            None => None,
        }
    }

    fn submitted(&mut self, run: u64) -> Option<Stop> {
        self.bar.begin(&self.client, run);
        if self.run.replace(run).is_some() {
            return None;
        }
        self.output.of_run(run);
        if self.verbose {
            out::note(format!("run {run} is submitted"));
        }
        let line = Line::Submitted { run };
        self.json.then(|| out::json_line(&line).err()).flatten().map(Stop::Failed)
    }

    /// Ctrl-C: a person is asked; where nobody is there the first cancels. After a cancel it leaves.
    async fn interrupted(&mut self) -> Option<Stop> {
        let line_is_empty = self.bar.clear();
        if self.cancel != Cancel::Unwanted {
            return Some(Stop::Detached);
        }
        if self.run.is_some() && interrupt::somebody_is_there() {
            match interrupt::ask(&mut self.interrupts, line_is_empty).await {
                Answer::Cancel => {}
                Answer::Leave => return Some(Stop::Detached),
                Answer::Wait => return None,
            }
        }
        self.cancel = Cancel::Wanted;
        match self.run {
            Some(run) => out::note(format!("canceling run {run}; Ctrl-C again to leave it")),
            None => out::note("canceling; Ctrl-C again to leave"),
        }
        None
    }

    async fn send_cancel(&mut self) -> Option<Stop> {
        let (Cancel::Wanted, Some(run)) = (self.cancel, self.run) else { return None };
        let mut rpc = self.client.rpc.clone();
        let (reason, actor) = ("Ctrl-C".to_owned(), format!("user:{}", client::user()));
        let call = rpc.cancel(CancelRequest { ids: vec![run.to_string()], reason, actor });
        tokio::select! {
            answer = call => match answer {
                Ok(_) => {
                    self.cancel = Cancel::Sent;
                    None
                }
                Err(status) => Some(Stop::Lost(status)),
            },
            _ = self.interrupts.recv() => Some(Stop::Detached),
        }
    }

    fn ended(&mut self, end: &RunEnd) -> Result<u8, Failure> {
        self.bar.clear();
        self.output
            .finish()
            .map_err(|error| Failure::new(format!("cannot show the output: {error}")))?;
        if self.json {
            out::json_line(&Line::Ended(end.into()))?;
        } else if !speaks_for_itself(end) {
            let run = self.run.unwrap_or_default();
            out::note(format!("run {run} {}{}", end.summary, among(end)));
        }
        Ok(exit_code(end))
    }

    fn detached(&mut self) -> u8 {
        self.bar.clear();
        let _ = self.output.finish();
        match self.run {
            Some(run) => out::note(format!(
                "left run {run}; follow it with `windlass logs -f {run}`, end it with `windlass cancel {run}`"
            )),
            None => out::note("left; `windlass ps` shows whether it was submitted"),
        }
        exit::INTERRUPTED
    }

    fn what(&self) -> String {
        match self.run {
            Some(run) => format!("follow run {run}"),
            None => "submit".to_owned(),
        }
    }

    /// The run goes on, though nobody can see it from here.
    fn cannot_show(&self, error: &std::io::Error) -> Failure {
        let failure = Failure::new(format!("cannot show the output: {error}"));
        match self.run {
            Some(run) => failure.hint(format!(
                "run {run} goes on: `windlass wait {run}`, or `windlass cancel {run}` to end it"
            )),
            None => failure,
        }
    }

    fn with_way_back(&self, failure: Failure) -> Failure {
        match self.run {
            Some(run) => {
                let message = format!("{}; run {run} may go on", failure.message);
                Failure { message, ..failure }.hint(format!(
                    "when the node is back: `windlass logs -f {run}`, `windlass wait {run}`"
                ))
            }
            None => failure,
        }
    }
}

/// Of many elements, how many came to what.
fn among(end: &RunEnd) -> String {
    let Some(run) = end.run.as_ref().filter(|run| run.elements > 1) else { return String::new() };
    let counts: Vec<_> =
        run.counts.iter().map(|count| format!("{} {}", count.count, count.state)).collect();
    format!(" ({})", counts.join(", "))
}

/// Whether a run's exit code says all there is to say: it succeeded, or is one element that chose
/// its code itself.
fn speaks_for_itself(end: &RunEnd) -> bool {
    let run = end.run.clone().unwrap_or_default();
    match run.state.as_str() {
        "succeeded" => true,
        "failed" => run.elements == 1 && end.exit_code < 125,
        _ => false,
    }
}
