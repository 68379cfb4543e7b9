//! The facts in a redb file.

use std::fs;
use std::path::Path;

use redb::{Database, Durability, ReadableDatabase, ReadableTable, TableDefinition};

use crate::error::failed;
use crate::{Error, Fact, OpenError, TaskFact};

/// Run to its fact.
const RUNS: TableDefinition<u64, &[u8]> = TableDefinition::new("runs");
/// Job name and run, for the latest run of a name.
const NAMES: TableDefinition<(&str, u64), ()> = TableDefinition::new("names");
/// A run's task facts to their kind and bytes.
const TASKS: TableDefinition<TaskKey, KindAndBytes> = TableDefinition::new("tasks");
/// The journal index up to which facts are here.
const MARK: TableDefinition<(), u64> = TableDefinition::new("mark");

/// The file's name in the directory.
const FILE: &str = "history.redb";
/// Its name until it is whole: a process that dies as it makes one leaves what is no database.
const INTERIM: &str = "history.redb.new";
/// Memory for the database's cache, in bytes.
const CACHE_BYTES: usize = 4 << 20;

/// Run, task, journal index and number within it.
type TaskKey = (u64, u32, u64, u32);
type KindAndBytes<'a> = (u8, &'a [u8]);

/// Facts of what has ended, on disk.
pub struct History {
    database: Database,
}

impl History {
    /// Opens the history in `dir`, or makes an empty one.
    pub fn open(dir: &Path) -> Result<History, OpenError> {
        fs::create_dir_all(dir)
            .map_err(|source| OpenError::Directory { path: dir.to_owned(), source })?;
        let path = dir.join(FILE);
        let interim = dir.join(INTERIM);
        let is_new = !path.exists();
        let open = || -> Result<Database, redb::Error> {
            if is_new && interim.exists() {
                fs::remove_file(&interim)?;
            }
            let file = if is_new { &interim } else { &path };
            let database = Database::builder().set_cache_size(CACHE_BYTES).create(file)?;
            let write = database.begin_write()?;
            write.open_table(RUNS)?;
            write.open_table(NAMES)?;
            write.open_table(TASKS)?;
            write.open_table(MARK)?;
            write.commit()?;
            if is_new {
                fs::rename(&interim, &path)?;
                fs::File::open(dir)?.sync_all()?;
            }
            Ok(database)
        };
        let database = open()
            .map_err(|source| OpenError::Database { path: path.clone(), source: source.into() })?;
        Ok(History { database })
    }

    /// The journal index up to which facts are here; 0 where there are none.
    pub fn mark(&self) -> Result<u64, Error> {
        let read = || -> Result<u64, redb::Error> {
            let mark = self.database.begin_read()?.open_table(MARK)?.get(())?;
            Ok(mark.map_or(0, |mark| mark.value()))
        };
        read().map_err(failed("read"))
    }

    /// Adds the facts of journal entries, each with its index, in order, and raises the mark to
    /// `upto`. Entries at or below the mark are known already and are passed over. `durable` says
    /// whether it survives a crash of the machine; a crash of the process it always survives once
    /// a later durable write has happened.
    pub fn write(&self, upto: u64, facts: &[(u64, Fact)], durable: bool) -> Result<(), Error> {
        let write = || -> Result<(), redb::Error> {
            let mut write = self.database.begin_write()?;
            write.set_durability(match durable {
                true => Durability::Immediate,
                false => Durability::None,
            })?;
            {
                let mut marks = write.open_table(MARK)?;
                let mark = marks.get(())?.map_or(0, |mark| mark.value());
                let mut runs = write.open_table(RUNS)?;
                let mut names = write.open_table(NAMES)?;
                let mut tasks = write.open_table(TASKS)?;
                let mut number = 0;
                for (index, fact) in facts.iter().filter(|(index, _)| *index > mark) {
                    match fact {
                        Fact::Task { run, task, kind, bytes } => {
                            number += 1;
                            let key = (*run, *task, *index, number);
                            tasks.insert(key, (*kind, bytes.as_slice()))?;
                        }
                        Fact::Run { run, name, bytes } => {
                            runs.insert(*run, bytes.as_slice())?;
                            if !name.is_empty() {
                                names.insert((name.as_str(), *run), ())?;
                            }
                        }
                    }
                }
                if upto > mark {
                    marks.insert((), upto)?;
                }
            }
            write.commit()?;
            Ok(())
        };
        write().map_err(failed("write"))
    }

    /// The fact of a run that has ended.
    pub fn run(&self, run: u64) -> Result<Option<Vec<u8>>, Error> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let runs = self.database.begin_read()?.open_table(RUNS)?;
            Ok(runs.get(run)?.map(|fact| fact.value().to_vec()))
        };
        read().map_err(failed("read"))
    }

    /// Gives `take` the latest ended runs below `before`, latest first, at most `limit`: one at a
    /// time, for a fact holds a whole job, which may be large.
    pub fn runs_before(
        &self,
        before: u64,
        limit: usize,
        mut take: impl FnMut(u64, &[u8]),
    ) -> Result<(), Error> {
        let mut read = || -> Result<(), redb::Error> {
            let runs = self.database.begin_read()?.open_table(RUNS)?;
            for entry in runs.range(..before)?.rev().take(limit) {
                let (run, fact) = entry?;
                take(run.value(), fact.value());
            }
            Ok(())
        };
        read().map_err(failed("read"))
    }

    /// The latest ended run of a job of this name.
    pub fn latest_named(&self, name: &str) -> Result<Option<u64>, Error> {
        let read = || -> Result<Option<u64>, redb::Error> {
            let names = self.database.begin_read()?.open_table(NAMES)?;
            let mut of_name = names.range((name, 0)..=(name, u64::MAX))?;
            Ok(of_name.next_back().transpose()?.map(|(key, _)| key.value().1))
        };
        read().map_err(failed("read"))
    }

    /// The facts of one task of a run, in the order they were written.
    pub fn task_facts(&self, run: u64, task: u32) -> Result<Vec<TaskFact>, Error> {
        let read = || -> Result<Vec<TaskFact>, redb::Error> {
            let tasks = self.database.begin_read()?.open_table(TASKS)?;
            let mut found = Vec::new();
            let all = (run, task, 0, 0)..=(run, task, u64::MAX, u32::MAX);
            for entry in tasks.range(all)? {
                let (_, fact) = entry?;
                let (kind, bytes) = fact.value();
                found.push(TaskFact { kind, bytes: bytes.to_vec() });
            }
            Ok(found)
        };
        read().map_err(failed("read"))
    }
}
