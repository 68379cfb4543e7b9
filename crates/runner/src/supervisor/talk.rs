//! What the daemon asks for, and what it is told.

use std::sync::Arc;

use model::{Attempt, Element, Fence, NotStarted, Outcome, Resources, RunId, StopCause};
use proto::SUPERVISOR_VERSION;
use proto::job::{OnLost, Runner};
use proto::supervisor::{
    Ended, Hello, Output, Start, Started, ToSupervisor, from_supervisor::Kind as Say,
    to_supervisor::Kind as Asked,
};

use super::held::{HELD_MAX, State, Warn, Work};
use super::kernel::Kernel;
use super::log;
use crate::containment::boot_id;
use crate::env;
use crate::output::Written;
use crate::spawn::Image;
use crate::user::User;

/// Linux numbers its signals from 1 to this.
const SIGNALS: u32 = 64;

impl Kernel {
    /// Does what a daemon asks for.
    pub(super) fn obey(&mut self, message: ToSupervisor) {
        let understood = self.link.as_ref().is_some_and(|link| link.understood);
        match message.kind {
            Some(Asked::Greeting(greeting)) => {
                self.set_capacity(greeting.capacity.unwrap_or_default().into());
                self.call_off_the_end(greeting.version);
                self.greet(greeting.version);
            }
            _ if !understood => log::line(format_args!("ignored what came before a greeting")),
            Some(Asked::Start(start)) => self.take(start),
            Some(Asked::Stop(stop)) => {
                let cause: Option<StopCause> = stop.cause().into();
                let cause = cause.unwrap_or(StopCause::Cancel);
                for attempt in stop.attempts {
                    self.stop_attempt(attempt.into(), cause);
                }
            }
            Some(Asked::Withdraw(withdraw)) => {
                for attempt in withdraw.attempts.into_iter().map(Attempt::from) {
                    if let Some(State::Waits { .. }) = self.held.get(&attempt) {
                        self.withdraw(attempt, StopCause::Drain);
                    }
                }
            }
            Some(Asked::Forget(forget)) => {
                for attempt in forget.attempts.into_iter().map(Attempt::from) {
                    if let Some(State::Ended(_)) = self.held.get(&attempt) {
                        self.held.remove(&attempt);
                        self.waiters.remove(&attempt);
                    }
                }
            }
            Some(Asked::Shutdown(_)) => self.shut_down(),
            Some(Asked::Lease(lease)) => self.take_lease(lease),
            None => log::line(format_args!("ignored a message of an unknown kind")),
        }
    }

    /// A daemon that asked for the end never greets again. Another one has come to go on, and would
    /// otherwise see each start withdrawn at once and ask for it again, until the last is gone.
    /// What was told to stop still stops.
    fn call_off_the_end(&mut self, version: u32) {
        if version == SUPERVISOR_VERSION && std::mem::take(&mut self.down) {
            log::line(format_args!("stays, for a new daemon"));
        }
    }

    /// Tells a daemon all that it may have missed.
    fn greet(&mut self, version: u32) {
        let hello = Hello {
            version: SUPERVISOR_VERSION,
            supervisor_id: self.supervisor_id.to_bytes(),
            pid: std::process::id(),
            boot_id: boot_id(),
            containment: self.containment().kind().to_string(),
            seen_epoch: self.seen.epoch,
            seen_seq: self.seen.seq,
            held: self.held.keys().map(|attempt| (*attempt).into()).collect(),
            degraded: self.degraded.clone(),
            lease: Some(self.lease.told()),
        };
        let Some(link) = &mut self.link else { return };
        link.greeted = true;
        link.understood = version == SUPERVISOR_VERSION;
        self.unsaid.clear();
        self.say(Say::Hello(hello));
        for place in self.running.taken() {
            let Some(running) = self.running.get(place) else { continue };
            if running.failed.is_none() {
                let (attempt, started_us) = (running.attempt, running.started_us);
                let pid = running.main.unsigned_abs();
                self.say(Say::Started(Started { attempt: Some(attempt.into()), started_us, pid }));
            }
        }
        let held: Vec<(Attempt, Option<Outcome>)> = (self.held.iter())
            .filter_map(|(attempt, state)| match state {
                State::Waits { .. } | State::Starts(_) => None,
                State::Runs(_) | State::Ends { .. } => Some((*attempt, None)),
                State::Ended(outcome) => Some((*attempt, Some(outcome.clone()))),
            })
            .collect();
        for (attempt, outcome) in held {
            match outcome {
                None => self.say_output(attempt),
                Some(outcome) => self.say_ended(attempt, outcome, false),
            }
        }
    }

    fn say_ended(&mut self, attempt: Attempt, outcome: Outcome, urgent: bool) {
        let outcome = Some(outcome.into());
        self.say(Say::Ended(Ended { attempt: Some(attempt.into()), outcome, urgent }));
    }

    /// Says where all output of an attempt lies so far.
    fn say_output(&mut self, attempt: Attempt) {
        let extents = self.writer.extents(attempt);
        if !extents.is_empty() {
            self.say(Say::Output(Output { attempt: Some(attempt.into()), extents, all: true }));
        }
    }

    /// Says what was held back, once there is room.
    pub(super) fn say_unsaid(&mut self) {
        while self.link.as_ref().is_some_and(|link| !link.is_full()) {
            let Some(attempt) = self.unsaid.pop_first() else { return };
            self.say_output(attempt);
        }
    }

    /// Passes on what the writer has written.
    pub(super) fn hear_writer(&mut self) {
        for written in self.writer.poll() {
            match written {
                Written::Output { attempt, extents } => {
                    let Some(link) = self.link.as_mut().filter(|link| link.greeted) else {
                        continue;
                    };
                    // What came in between must not be said before what is held back.
                    if link.is_full() || self.unsaid.contains(&attempt) {
                        self.unsaid.insert(attempt);
                    } else {
                        let attempt = Some(attempt.into());
                        link.say(Say::Output(Output { attempt, extents, all: false }));
                    }
                }
                Written::Ended { attempt, outcome } => {
                    // The end lists all of the output.
                    self.unsaid.remove(&attempt);
                    let before = self.held.insert(attempt, State::Ended(outcome.clone()));
                    let urgent = matches!(before, Some(State::Ends { urgent: true }));
                    self.say_ended(attempt, outcome, urgent);
                }
            }
        }
    }

    /// Takes in what has not been seen.
    fn take(&mut self, mut start: Start) {
        let skip = self.seen.take(start.epoch, start.seq, start.items.len());
        if skip == start.items.len() {
            return;
        }
        let items = self.unheld(&mut start, skip);
        if self.down {
            for (_, attempt, _) in items {
                self.withdraw(attempt, StopCause::Down);
            }
            return;
        }
        let spec = start.spec.as_ref();
        if spec.is_some_and(|spec| spec.on_lost() == OnLost::Wait) {
            self.waiters.extend(items.iter().map(|(_, attempt, _)| *attempt));
        } else if self.lease.is_over() {
            for (_, attempt, _) in items {
                self.withdraw(attempt, StopCause::Lease);
            }
            return;
        }
        let priority = spec.map_or(0, |spec| spec.priority());
        let wants: Resources = spec.and_then(|spec| spec.resources).unwrap_or_default().into();
        let has_list = spec.is_some_and(|spec| spec.items.is_some());
        let work = self.prepare(start).map(Arc::new);
        for (seq, attempt, item) in items {
            match (&work, &item) {
                (Err(why), _) => self.never_started(attempt, NotStarted::Refused(why.clone())),
                (_, Some(item)) if item.contains('\0') => {
                    let why = "its item has a NUL byte, which no variable can hold".to_owned();
                    self.never_started(attempt, NotStarted::Refused(why));
                }
                (_, None) if has_list => {
                    let why = "its item cannot be read: its list is damaged or gone, see the node's log; submit it again with its list";
                    self.never_started(attempt, NotStarted::Transient(why.to_owned()));
                }
                _ if self.held.len() >= HELD_MAX => {
                    let why = format!("the supervisor holds {HELD_MAX} attempts already");
                    self.never_started(attempt, NotStarted::Transient(why));
                }
                (Ok(work), _) => {
                    let work = Arc::clone(work);
                    self.held.insert(attempt, State::Waits { work, item });
                    self.slots.wait(attempt, seq, priority, wants);
                }
            }
        }
    }

    /// The attempts of a message that are not held, without the first `skip`, each with its number
    /// and its item.
    fn unheld(&self, start: &mut Start, skip: usize) -> Vec<(u64, Attempt, Option<Box<str>>)> {
        let (run, task) = (RunId(start.run), start.task);
        let numbered = (start.seq..).zip(std::mem::take(&mut start.items)).skip(skip);
        let attempts = numbered.map(|(seq, item)| {
            let element = Element { run, task, index: item.index };
            let attempt = Attempt { element, number: item.attempt };
            (seq, attempt, item.text.map(String::into_boxed_str))
        });
        attempts.filter(|(_, attempt, _)| !self.held.contains_key(attempt)).collect()
    }

    /// Makes ready what the attempts share, or says why they cannot be.
    fn prepare(&self, start: Start) -> Result<Work, String> {
        let spec = start.spec.ok_or("the assignment has no task")?;
        if let Some(secret) = spec.secrets.first() {
            let (name, key) = (&secret.name, secret.key);
            return Err(format!(
                "the secret `{name}` could not be opened with key {key}; the daemon's log says why"
            ));
        }
        let noop = spec.runner() == Runner::Noop;
        let resolved = User::resolve(&start.run_as, &self.own_user);
        let (user, changes) = resolved.map_err(|error| error.to_string())?;
        let pairs = |variables: Vec<proto::job::Variable>| {
            variables.into_iter().map(|variable| (variable.name, variable.value))
        };
        let env = env::shared(&user, self.node_id, pairs(spec.env), pairs(start.env));
        let user = changes.then_some(user);
        let fence = Fence(start.fence);
        let image = Image::new(&spec.command, &env, &spec.cwd, user, fence)
            .map_err(|_| "command, environment or directory have a NUL byte".to_owned())?;
        let some_us = |ms: u64| (ms > 0).then(|| ms.saturating_mul(1000));
        let timeout_us = some_us(spec.timeout_ms);
        let warn = spec.warn.filter(|warn| (1..=SIGNALS).contains(&warn.signal));
        Ok(Work {
            image,
            noop,
            // A start that takes longer than the run may is of no use either.
            start_timeout_us: some_us(spec.start_timeout_ms).into_iter().chain(timeout_us).min(),
            timeout_us,
            warn: warn.map(|warn| Warn {
                signal: warn.signal as i32,
                before_us: warn.before_ms.saturating_mul(1000),
            }),
            grace_us: spec.grace_ms.unwrap_or_default().saturating_mul(1000),
        })
    }

    pub(super) fn stop_attempt(&mut self, attempt: Attempt, cause: StopCause) {
        match self.held.get(&attempt) {
            Some(State::Waits { .. }) => self.withdraw(attempt, cause),
            Some(State::Starts(_)) => self.stop_start(attempt, cause),
            Some(State::Runs(place)) => {
                let place = *place;
                self.stop(place, cause);
            }
            Some(State::Ends { .. } | State::Ended(_)) | None => {}
        }
    }

    fn shut_down(&mut self) {
        if !std::mem::replace(&mut self.down, true) {
            log::line(format_args!("shuts down"));
            let attempts: Vec<Attempt> = self.held.keys().copied().collect();
            for attempt in attempts {
                self.stop_attempt(attempt, StopCause::Down);
            }
        }
    }
}
