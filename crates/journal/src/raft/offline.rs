//! What is done to a journal's files while no journal has them open, and only when a person, or a node that knows
//! that it has peers, says so: a majority that is gone for good, a directory that was lost, and a journal that is
//! to begin with a snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};

use openraft::BasicNode;

use super::membership::{Role, roles};
use super::types::{StoredMembership, Voters, log_id};
use super::{Config, Opened, applied, open_files, options};
use crate::log::{Disk, DiskError, Entry, EntryId, Kind, OpenError, Vote, lock};
use crate::snapshot::Head;
use crate::{Index, LeaderId, Member, Snapshot};

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
    let index = positions.last.map_or(0, |last| last.index + 1);
    let body = serde_json::to_vec(&alone(member)).expect("a membership is plain data").into();
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

/// Makes a journal for a group of one that begins with a snapshot. Blocks.
///
/// The snapshot stands for everything up to and with the entry `upto` in the `term`; both are above 0, and later ones
/// are above them. The directory is new. One in which this has not come to its end is no journal that could be opened
/// in any sensible way, so whoever calls this does it beside the place where the journal is to be, and moves it there.
pub fn restore(
    config: &Config,
    upto: Index,
    term: u64,
    snapshot: Snapshot,
) -> Result<(), OpenError> {
    restore_on(Disk::default(), config, upto, term, snapshot)
}

pub(super) fn restore_on(
    disk: Disk,
    config: &Config,
    upto: Index,
    term: u64,
    snapshot: Snapshot,
) -> Result<(), OpenError> {
    let refused = |reason: String| OpenError::Raft { reason };
    let dir = config.dir.display();
    if config.dir.exists() {
        return Err(refused(format!("`{dir}` is there already, and a restored journal is new")));
    }
    if upto == 0 || term == 0 {
        return Err(refused(
            "a snapshot stands for an entry above 0, of a term above 0".to_owned(),
        ));
    }
    let Opened { log, snapshots, .. } = open_files(options(config, disk))?;
    let leader = LeaderId { term, node: log.member().number() };
    let id = EntryId { index: upto, leader };
    let membership = StoredMembership::new(Some(log_id(id)), alone(log.member()));
    let head = Head { id, membership: applied::encode(&membership), installed: true };
    let written = snapshots
        .write(head, snapshot)
        .map_err(|error| refused(error.reason(snapshots.dir())))
        .and_then(|()| {
            // Without the vote the first leader would have a term that is below that of the snapshot.
            wait(|done| log.save_vote(Vote { leader, won: false }, done))
                .and_then(|()| wait(|done| log.purge(id, done)))
                .map_err(|reason| refused(reason.to_string()))
        });
    log.close();
    written
}

/// The membership in which this member is the group.
fn alone(member: Member) -> Voters {
    let number = member.number();
    let nodes = BTreeMap::from([(number, BasicNode::new(member.encode()))]);
    Voters::new(vec![BTreeSet::from([number])], nodes)
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
