//! The majority is gone for good: this directory's journal becomes that of one voter.
//!
//! ```text
//! note it ─> end the supervisor ─> make the journal that of one voter ─> read all of it
//!   ─> note the incarnation ─> commit `Recover` ─> set the output aside ─> strike the note
//! ```
//!
//! Broken off anywhere it is done again from the beginning, to the same incarnation.

use std::path::{Path, PathBuf};

use journal::raft;
use model::{ClusterId, NodeId};
use proto::record::{self, command::Kind};

use super::alone::Alone;
use super::notes::{Incarnations, Pending};
use super::restore::set_aside;
use super::{By, Error, Steps, runs_given};
use crate::data_dir::DataDir;
use crate::supervisor;

/// What a recovery has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The cluster.
    pub cluster: ClusterId,
    /// The node, which goes on alone.
    pub node: NodeId,
    /// The incarnation from now on.
    pub incarnation: u16,
    /// How many others voted before; 0 also where it was broken off once and is done again.
    pub voters_lost: usize,
    /// Entries of the journal that nobody may have been told of; they count from now on.
    pub unconfirmed: u64,
    /// Runs up to this number may have been given out.
    pub last_run: u64,
    /// Where the output of before lies, if it was set aside.
    pub output: Option<PathBuf>,
}

/// Recovers the cluster from what one directory has. No node may hold it.
pub async fn recover(data_dir: &Path, by: &By) -> Result<Recovered, Error> {
    recover_in(data_dir, by, &|_| Ok(())).await
}

pub(super) async fn recover_in(
    data_dir: &Path,
    by: &By,
    before: Steps<'_>,
) -> Result<Recovered, Error> {
    let journal = data_dir.join("journal");
    if !journal.join("state").exists() {
        return Err(Error::NoJournal(data_dir.to_owned()));
    }
    let data_dir = DataDir::open(data_dir)?;
    let dir = &data_dir.path;
    // A journal without an identity beside it is refused there.
    let identity = data_dir.identity()?.ok_or_else(|| Error::NoJournal(dir.clone()))?;
    let begun = match Pending::read(dir)? {
        Some(Pending::Restore) => super::check_finished(dir).map(|()| None)?,
        pending => pending,
    };
    let (mut incarnation, mut others) = match begun {
        Some(Pending::Recover { incarnation, others }) => (incarnation, others),
        _ => (None, None),
    };
    before("note it")?;
    Pending::Recover { incarnation, others }.write(dir)?;
    before("end the supervisor")?;
    supervisor::end_former(dir).await?;

    let node = identity.journal_node();
    let config = raft::Config { dir: journal, node, ..raft::Config::default() };
    let opened = config.clone();
    before("make it alone")?;
    let alone = tokio::task::spawn_blocking(move || raft::recover_alone(&opened)).await;
    let alone = alone.map_err(|error| Error::Unusable(error.to_string()))??;
    let me = alone.member.number();
    let voters_lost = alone.before.iter().filter(|role| role.voter && role.number != me).count();
    // Where it was broken off before it was noted, nobody knows any more.
    let had_others = others.unwrap_or(begun.is_some() || alone.before.len() > 1);
    others = Some(had_others);
    before("note the others")?;
    Pending::Recover { incarnation, others }.write(dir)?;

    let mut journal = Alone::open(config).await?;
    let recovered = async {
        let cluster = journal.state.cluster().ok_or_else(|| Error::NoCluster(dir.clone()))?;
        before("begin the incarnation")?;
        let next = match incarnation {
            Some(next) => next,
            None => Incarnations::begin(dir, cluster.incarnation, None)?,
        };
        incarnation = Some(next);
        before("note the incarnation")?;
        Pending::Recover { incarnation, others }.write(dir)?;
        before("commit it")?;
        if cluster.incarnation < next {
            commit(&mut journal, "recover", next, by).await?;
        }
        Ok::<_, Error>((cluster.id, next, journal.state.last_run().0))
    };
    let recovered = recovered.await;
    journal.close().await;
    let (cluster, incarnation, last_run) = recovered?;

    before("set the output aside")?;
    let output = match had_others {
        true => set_aside(dir, incarnation, &["output"])?,
        false => None,
    };
    before("strike the note")?;
    Pending::clear(dir)?;
    Ok(Recovered {
        cluster,
        node: identity.node(),
        incarnation,
        voters_lost,
        unconfirmed: alone.last.saturating_sub(alone.committed),
        last_run,
        output,
    })
}

/// Begins the incarnation.
pub(super) async fn commit(
    journal: &mut Alone,
    how: &str,
    incarnation: u16,
    by: &By,
) -> Result<(), Error> {
    let because = proto::job::Because { actor: by.actor.clone(), reason: by.reason.clone() };
    let recover = record::Recover {
        incarnation: incarnation.into(),
        last_run: runs_given(journal.state.last_run().0, incarnation),
        how: how.to_owned(),
        because: Some(because),
    };
    match journal.commit(Kind::Recover(recover)).await? {
        machine::Answer::Recovering { .. } => Ok(()),
        other => Err(Error::Unusable(format!("it answers {other:?}"))),
    }
}
