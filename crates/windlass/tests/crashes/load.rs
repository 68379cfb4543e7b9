//! What a storm consists of: jobs of several kinds, what must come of each, and who submits them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use model::TaskState;
use proto::job::{Array, Job};

use crate::caller::Caller;
use crate::chance::Chance;
use crate::ground::{Ground, task};
use crate::patience::{pass, until};
use crate::person::Person;
use crate::victim::Victim;

/// Runs that have not ended, at most; so the node is busy and the end is not far.
const LIVE_MAX: usize = 12;

/// A run that was acknowledged, and what must come of it.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) run: u64,
    pub(crate) indices: Vec<u32>,
    pub(crate) lines: u32,
    pub(crate) seconds: f64,
    pub(crate) end: End,
}

/// How each element of a run must end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    Code(u8),
    /// A code that its job calls a success.
    Widened(u8),
    Killed,
    /// The code is the remainder of its index by three.
    ByIndex,
    TimedOut,
    /// It was told to stop, whether or not it had started.
    Canceled,
}

impl End {
    /// The state of an element, and its exit code or signal, or neither where that is open.
    pub(crate) fn of(self, index: u32) -> (TaskState, Option<i32>) {
        let by_code = |code| if code == 0 { TaskState::Succeeded } else { TaskState::Failed };
        match self {
            End::Code(code) => (by_code(code), Some(code.into())),
            End::Widened(code) => (TaskState::Succeeded, Some(code.into())),
            End::Killed => (TaskState::Failed, Some(128 + 9)),
            End::ByIndex => (by_code((index % 3) as u8), Some((index % 3) as i32)),
            End::TimedOut => (TaskState::TimedOut, None),
            End::Canceled => (TaskState::Canceled, None),
        }
    }

    /// Whether the task comes to its own end.
    pub(crate) fn is_own(self) -> bool {
        !matches!(self, End::TimedOut | End::Canceled)
    }
}

/// What all submitters share.
pub(crate) struct Load<'a> {
    pub(crate) ground: &'a Ground,
    pub(crate) accepted: Mutex<Vec<Accepted>>,
    keys: AtomicU64,
    over: AtomicBool,
    kinds: Kinds,
}

/// What is submitted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kinds {
    All,
    /// Only what comes to its own end, and soon.
    Short,
}

impl<'a> Load<'a> {
    pub(crate) fn new(ground: &'a Ground, kinds: Kinds) -> Load<'a> {
        let (keys, over) = (AtomicU64::new(0), AtomicBool::new(false));
        Load { ground, accepted: Mutex::default(), keys, over, kinds }
    }

    /// Submits from all these callers for as long as `storm` takes, and beside them a person runs
    /// commands; how many.
    pub(crate) fn during(
        &self,
        victim: &mut Victim,
        callers: usize,
        chance: &mut Chance,
        storm: impl FnOnce(&mut Victim, &mut Chance),
    ) -> usize {
        std::thread::scope(|scope| {
            // Set even when the storm fails, so that the test ends too.
            let over = Over(&self.over);
            for _ in 0..callers {
                let (caller, chance) = (victim.caller(), chance.fork());
                scope.spawn(move || self.submit(&caller, chance));
            }
            let (person, mut luck) = (Person::at(victim), chance.fork());
            let commands = scope.spawn(move || {
                let mut commands = 0;
                // Of what was lost a person would see the output twice.
                while self.kinds == Kinds::All && !self.over.load(Ordering::Relaxed) {
                    person.run_something(&mut luck);
                    commands += 1;
                }
                commands
            });
            storm(victim, chance);
            drop(over);
            commands.join().unwrap()
        })
    }

    /// Submits until it is told that it is over.
    fn submit(&self, caller: &Caller, mut chance: Chance) {
        while !self.over.load(Ordering::Relaxed) {
            let (mut wanted, job) = self.any(&mut chance);
            let key = format!("storm-{}", self.keys.fetch_add(1, Ordering::Relaxed));
            wanted.run = caller.submit(&job, &key);
            self.accepted.lock().unwrap().push(wanted.clone());
            if chance.from(0, 4) == 0 {
                assert_eq!(caller.submit(&job, &key), wanted.run, "the same key is the same run");
            }
            if wanted.end == End::Canceled {
                pass(chance.ms(0, 200));
                caller.cancel(wanted.run, "the storm wants it");
            }
            self.look(caller, &mut chance);
        }
    }

    /// Looks at something that was acknowledged, which must be there, and waits while there is
    /// enough to do.
    fn look(&self, caller: &Caller, chance: &mut Chance) {
        let run = {
            let accepted = self.accepted.lock().unwrap();
            accepted[chance.from(0, accepted.len() as u64) as usize].run
        };
        assert_eq!(caller.run(run).run.unwrap().run, run);
        until("there is room for more", || {
            self.over.load(Ordering::Relaxed) || caller.live().len() <= LIVE_MAX
        });
    }

    /// A job of any kind, and what must come of it.
    fn any(&self, chance: &mut Chance) -> (Accepted, Job) {
        let mut wanted =
            Accepted { run: 0, indices: vec![0], lines: 3, seconds: 0.0, end: End::Code(0) };
        let mut array = None;
        let kinds = if self.kinds == Kinds::All { 12 } else { 9 };
        match chance.from(0, kinds) {
            0..=2 => {}
            3 => wanted.end = End::Code(chance.from(1, 100) as u8),
            4 => wanted.end = End::Killed,
            5 => wanted.end = End::Widened(chance.from(1, 100) as u8),
            6 => wanted.lines = chance.from(5_000, 60_000) as u32,
            7 => {
                let last = chance.from(2, 13) as u32;
                array = Some(Array { first: 1, last, step: 1, parallel_max: 0 });
                wanted.indices = (1..=last).collect();
                wanted.end = End::ByIndex;
                wanted.seconds = chance.from(0, 2) as f64 / 20.0;
            }
            8 => wanted.seconds = chance.from(50, 301) as f64 / 1000.0,
            9 => wanted.seconds = chance.from(200, 501) as f64 / 1000.0,
            10 => (wanted.end, wanted.seconds) = (End::TimedOut, 60.0),
            _ => (wanted.end, wanted.seconds) = (End::Canceled, 60.0),
        }
        let how = match wanted.end {
            End::Code(code) | End::Widened(code) => code.to_string(),
            End::Killed => "KILL".to_owned(),
            End::ByIndex => "index".to_owned(),
            End::TimedOut | End::Canceled => "0".to_owned(),
        };
        let mut job = self.ground.job(wanted.lines, wanted.seconds, &how);
        let task = task(&mut job);
        task.array = array;
        match wanted.end {
            End::Widened(code) => task.success_codes = vec![code],
            End::TimedOut => task.timeout_ms = chance.from(20, 400),
            _ => {}
        }
        (wanted, job)
    }
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
