//! What is done to a journal's files while no journal has them open, and only when a person, or a node that knows
//! that it has peers, says so: a majority that is gone for good, and a directory that was lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use openraft::BasicNode;

use super::membership::{Role, roles};
use super::types::Voters;
use super::{Config, Opened, open_files, options};
use crate::log::{Disk, DiskError, Entry, EntryId, Kind, OpenError, Vote, lock};
use crate::{Index, LeaderId, Member};

/// What is left after a recovery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The member that is the group now.
    pub member: Member,
    /// Who took part before, as far as this one knew for certain.
    pub before: Vec<Role>,
    /// The last entry that was in its log.
    pub last: Index,
    /// Of those, the ones behind this entry may never have been acknowledged to anybody; they count from now on.
    pub committed: Index,
}

/// Makes the member whose files these are a group of one. Blocks.
///
/// For when the other voters are gone for good. What only they had is lost, even if it was acknowledged.
/// Whoever calls this raises the cluster's incarnation, so that no other member, should one come back,
/// is ever listened to again.
pub fn recover_alone(config: &Config) -> Result<Recovered, OpenError> {
    if !config.dir.join("state").exists() {
        let dir = config.dir.display();
        let reason = format!("there is no journal in `{dir}` to recover");
        return Err(OpenError::Raft { reason });
    }
    let Opened { log, memberships, committed, snapshots: _ } =
        open_files(options(config, Disk::default()))?;
    let member = log.member();
    let number = member.number();
    let positions = log.positions();
    let recovered = Recovered {
        member,
        before: memberships.last().map(roles).unwrap_or_default(),
        last: positions.last.map_or(0, |last| last.index),
        committed: committed.map_or(0, |id| id.index),
    };
    let terms =
        [positions.vote.map(|vote| vote.leader.term), positions.last.map(|id| id.leader.term)];
    let term = terms.into_iter().flatten().max().unwrap_or_default() + 1;
    let leader = LeaderId { term, node: number };
    let nodes = BTreeMap::from([(number, BasicNode::new(member.encode()))]);
    let alone = Voters::new(vec![BTreeSet::from([number])], nodes);
    let index = positions.last.map_or(0, |last| last.index + 1);
    let body = serde_json::to_vec(&alone).expect("a membership is plain data").into();
    let entry = Entry { id: EntryId { index, leader }, kind: Kind::Membership, body };
    let written = wait(|done| log.save_vote(Vote { leader, won: false }, done))
        .and_then(|()| wait(|done| log.append(vec![entry], done)));
    log.close();
    written.map_err(|reason| OpenError::Raft { reason: reason.to_string() })?;
    let Recovered { before, last, committed, .. } = &recovered;
    tracing::warn!(
        %member, members_before = before.len(), last, committed,
        "the journal was made a group of one by hand: what only the other members had is lost"
    );
    Ok(recovered)
}

/// Moves a journal that cannot be used any more to a directory inside its own, which is returned. Blocks.
///
/// For a member of a group of several that is damaged, or that has lost what it had acknowledged:
/// opened again with [`super::Start::Join`], the directory makes a new member, which the leader adds,
/// and promotes in the place of the old one. The old one's number is never used again.
pub fn set_aside(dir: &Path) -> Result<PathBuf, OpenError> {
    let lock = lock(&dir.join("lock"))?;
    let _lock = lock.ok_or_else(|| OpenError::InUse { dir: dir.to_owned() })?;
    let disk = Disk::default();
    let mut names = Vec::new();
    for file in fs::read_dir(dir).map_err(DiskError::on("list", dir))? {
        let file = file.map_err(DiskError::on("list", dir))?;
        let is_file = file.file_type().map_err(DiskError::on("look at", &file.path()))?.is_file();
        if is_file && file.file_name() != "lock" {
            names.push(file.file_name());
        }
    }
    let aside = (1..).map(|number| dir.join(format!("aside-{number}")));
    let mut aside = aside;
    let aside = aside.find(|path| !path.exists()).expect("numbers do not end");
    disk.create_dir(&aside)?;
    // The file with the vote goes first: without it, nothing of the rest is taken for a journal.
    names.sort_by_key(|name| name != "state");
    for name in names {
        disk.rename(&dir.join(&name), &aside.join(&name))?;
    }
    disk.sync_dir(&aside)?;
    disk.sync_dir(dir)?;
    tracing::warn!(
        directory = %dir.display(), aside = %aside.display(),
        "the journal was set aside; the node joins its group as a new member"
    );
    Ok(aside)
}

type Done = Box<dyn FnOnce(Result<(), Arc<str>>) + Send>;

fn wait(start: impl FnOnce(Done)) -> Result<(), Arc<str>> {
    let (tell, told) = mpsc::channel();
    // Nobody listens any more only when this thread is gone.
    start(Box::new(move |result| drop(tell.send(result))));
    told.recv().unwrap_or_else(|_| Err("the journal's writer has ended".into()))
}
