//! Without cgroups: a tree is what descends from the first process, shares its session or group,
//! or carries the attempt's variables.
//!
//! The supervisor is the reaper of all that its children leave behind, so every process of every
//! attempt descends from it, and no stranger does. The first process is reaped last: as long as
//! it is there its number names this tree and no other. A process that makes a new session, loses
//! its parents *and* clears its environment escapes; that is why this kind is called weak.

use std::collections::{HashMap, HashSet};
use std::io;

use model::{Attempt, NodeId};

use super::procfs::{self, Process};
use crate::env;
use crate::spawn::Pid;

/// How often a moving target is looked at again.
const LOOKS_MAX: usize = 8;

/// The processes of one attempt.
#[derive(Debug)]
pub struct Tree {
    node_id: NodeId,
    main: Pid,
    variables: Vec<String>,
    stopped: HashSet<Pid>,
}

impl Tree {
    pub(super) fn new(node_id: NodeId) -> Tree {
        Tree { node_id, main: 0, variables: Vec::new(), stopped: HashSet::new() }
    }

    pub(super) fn begun(&mut self, attempt: Attempt, main: Pid) {
        self.main = main;
        self.variables = vec![
            format!("{}={}", env::NODE_ID, self.node_id),
            format!("{}={}", env::ELEMENT, attempt.element.uuid()),
            format!("{}={}", env::ATTEMPT, attempt.number),
        ];
    }

    /// Stops every process, and those they made meanwhile.
    pub(super) fn freeze(&mut self) -> io::Result<()> {
        for _ in 0..LOOKS_MAX {
            let found = self.find()?;
            let new: Vec<Pid> = found.into_iter().filter(|pid| self.stopped.insert(*pid)).collect();
            if new.is_empty() {
                break;
            }
            new.iter().for_each(|pid| procfs::signal(*pid, libc::SIGSTOP));
        }
        Ok(())
    }

    pub(super) fn thaw(&mut self) -> io::Result<()> {
        self.stopped.clear();
        self.find()?.iter().for_each(|pid| procfs::signal(*pid, libc::SIGCONT));
        Ok(())
    }

    pub(super) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.find()?.is_empty())
    }

    pub(super) fn processes(&self) -> Vec<Pid> {
        self.find().unwrap_or_default()
    }

    fn find(&self) -> io::Result<Vec<Pid>> {
        if self.main == 0 {
            return Ok(Vec::new());
        }
        let mut looks = 0;
        loop {
            let processes = procfs::processes()?;
            looks += 1;
            let whole =
                processes.values().all(|p| p.parent == 0 || processes.contains_key(&p.parent));
            if whole || looks == LOOKS_MAX {
                return Ok(self.members(&processes));
            }
        }
    }

    fn members(&self, processes: &HashMap<Pid, Process>) -> Vec<Pid> {
        let own = std::process::id() as Pid;
        let mut member: HashMap<Pid, bool> = HashMap::new();
        let living = processes.iter().filter(|(_, process)| !process.ended);
        living
            .map(|(pid, _)| *pid)
            .filter(|pid| descends(*pid, own, processes))
            .filter(|pid| self.is_member(*pid, processes, &mut member, 0))
            .collect()
    }

    fn is_member(
        &self,
        pid: Pid,
        processes: &HashMap<Pid, Process>,
        known: &mut HashMap<Pid, bool>,
        depth: usize,
    ) -> bool {
        if let Some(known) = known.get(&pid) {
            return *known;
        }
        let Some(process) = processes.get(&pid) else { return false };
        let is = [pid, process.session, process.group].contains(&self.main)
            || (depth < processes.len()
                && self.is_member(process.parent, processes, known, depth + 1))
            || procfs::has_variables(pid, &self.variables);
        known.insert(pid, is);
        is
    }
}

/// Whether `pid` is below `ancestor`.
fn descends(pid: Pid, ancestor: Pid, processes: &HashMap<Pid, Process>) -> bool {
    let mut at = pid;
    // Every step is one generation up, so there are fewer steps than processes.
    for _ in 0..processes.len() {
        match processes.get(&at).map(|process| process.parent) {
            Some(parent) if parent == ancestor => return true,
            Some(parent) if parent > 1 => at = parent,
            _ => return false,
        }
    }
    false
}
