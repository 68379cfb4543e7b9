//! What a [`Handle`] does with nodes: takes them out of work and back, and forgets them.
//!
//! Names are looked up here; what may be done to a node is for the machine to say, but for one thing
//! that it cannot know: a node that is connected lives, so nobody may vouch that it is dead. A worker
//! can be cut off then, which waits for its lease.

use std::sync::Arc;
use std::time::Duration;

use journal::raft::Progress;
use machine::Answer;
use model::{Because, LEASE_MARGIN_MS, NodeId};
use peer::journal_number;
use proto::record::{DrainNode, RemoveNode, ResumeNode, command::Kind};

use crate::cluster::ways::Way;
use crate::error::Refused;
use crate::handle::{Handle, unexpected};
use crate::query::{self, ElementStatus, NodeStatus};
use crate::tokens::check_texts;
use crate::view::View;

/// Whose journal has not answered the leader for so long may be gone.
const SILENT: Duration = Duration::from_secs(3);
/// How long after its lease a node that is cut off has to be lost: its sessions end, and who leads
/// may change.
const LOST_WITHIN: Duration = Duration::from_secs(10);
/// The longest time that a drain may let what runs go on. Whoever wants more gives none.
const WAIT_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

/// A node, and what is placed there.
#[derive(Clone, Debug)]
pub struct NodeDetail {
    /// The node.
    pub node: NodeStatus,
    /// Elements that are placed there, in the order they came there; at most as many as were asked
    /// for.
    pub elements: Vec<ElementStatus>,
}

impl Handle {
    /// The node with this id or name, and at most `limit` of the elements that are placed there.
    pub async fn node(&self, id: &str, limit: usize) -> Result<NodeDetail, Refused> {
        let view = self.view().await?;
        let node = find(&view, id)?;
        let elements = query::placed(&view, node.id, limit);
        Ok(NodeDetail { node, elements })
    }

    /// Takes a node out of work. What runs there may go on for `wait_ms`, or as long as it takes,
    /// and is then stopped and waits for another node.
    pub async fn drain_node(
        &self,
        id: &str,
        wait_ms: Option<u64>,
        because: Because,
    ) -> Result<NodeStatus, Refused> {
        check_texts(&because)?;
        if wait_ms.is_some_and(|wait_ms| u128::from(wait_ms) > WAIT_MAX.as_millis()) {
            let days = WAIT_MAX.as_secs() / (24 * 3600);
            return Err(Refused::Unfit(format!(
                "wait_ms: must be at most {days} days\nhint: without one it is waited as long as it takes"
            )));
        }
        let node = find(&*self.view().await?, id)?.id;
        let (node_id, because) = (node.to_bytes(), Some(because.into()));
        let drain = DrainNode { node_id, wait_ms, because, from: self.from.clone() };
        match self.commit(Kind::DrainNode(drain)).await? {
            Answer::Draining => self.now(node).await,
            other => Err(unexpected(other)),
        }
    }

    /// Takes a node back into work; says whether it was drained.
    pub async fn resume_node(
        &self,
        id: &str,
        because: Because,
    ) -> Result<(NodeStatus, bool), Refused> {
        check_texts(&because)?;
        let node = find(&*self.view().await?, id)?.id;
        let (node_id, because) = (node.to_bytes(), Some(because.into()));
        let resume = ResumeNode { node_id, because, from: self.from.clone() };
        match self.commit(Kind::ResumeNode(resume)).await? {
            Answer::Resumed { was_drained } => Ok((self.now(node).await?, was_drained)),
            other => Err(unexpected(other)),
        }
    }

    /// Forgets a node; says how it was, and how many attempts that were placed there are returned.
    /// With `force` whoever asks vouches that nothing of it runs any more. A worker whose lease has not
    /// run out is cut off all the same, and forgotten when it has: it may live, whatever is seen of it
    /// here.
    pub async fn remove_node(
        &self,
        id: &str,
        force: bool,
        because: Because,
    ) -> Result<(NodeStatus, u64), Refused> {
        check_texts(&because)?;
        let (view, progress) = self.view_and_progress(true).await?;
        let node = find_any(&view, id)?;
        if force && may_be_cut_off(&view, node.id) {
            return self.cut_off(&view, node, because).await;
        }
        let heard = || self.is_heard(node.id, &progress);
        let lives = || heard().then(|| lives(&node.name, "its journal is heard of"));
        if let Some(refused) = in_the_way(&view, &node, force).or_else(lives) {
            return Err(refused);
        }
        let returned = self.forget_node(&view, node.id, force, because).await?;
        Ok((node, returned))
    }

    async fn forget_node(
        &self,
        view: &View,
        node: NodeId,
        force: bool,
        because: Because,
    ) -> Result<u64, Refused> {
        let hello = view.state.node(node).map_or(0, |node| node.hello);
        let remove = RemoveNode { force, hello, ..self.removal(node, because) };
        match self.commit(Kind::RemoveNode(remove)).await? {
            Answer::NodeRemoved { returned } => Ok(returned),
            other => Err(unexpected(other)),
        }
    }

    /// Ends the membership of a worker, and forgets it when it is lost. It ends what it runs by then, as
    /// any that is away; whoever has taken it over can say nothing any more.
    async fn cut_off(
        &self,
        view: &View,
        node: NodeStatus,
        because: Because,
    ) -> Result<(NodeStatus, u64), Refused> {
        if view.state.members().get(node.id).is_some() {
            let remove = RemoveNode { cut_off: true, ..self.removal(node.id, because.clone()) };
            match self.commit(Kind::RemoveNode(remove)).await? {
                Answer::NodeCutOff => {}
                other => return Err(unexpected(other)),
            }
        }
        // Nobody can vouch for the tasks of a node that was seen to live.
        let vouched = !view.is_ready(node.id);
        let lease_ms = view.state.node(node.id).map_or(0, |node| node.lease_ms);
        let lease = Duration::from_millis(lease_ms + LEASE_MARGIN_MS);
        let (handle, waits_for) = (self.clone(), node.clone());
        // Whoever asked may be gone before the lease is over: the node goes all the same.
        let rest = tokio::spawn(async move {
            handle.forget_lost(&waits_for, lease + LOST_WITHIN, vouched, because).await
        });
        let returned = rest.await.map_err(|error| Refused::Failed(error.to_string()))??;
        Ok((node, returned))
    }

    /// Forgets a node that was cut off, once it is lost.
    async fn forget_lost(
        &self,
        node: &NodeStatus,
        within: Duration,
        vouched: bool,
        because: Because,
    ) -> Result<u64, Refused> {
        let mut views = self.shared.views.clone();
        let is_lost = |view: &Arc<View>| view.state.node(node.id).is_none_or(|node| node.is_lost);
        let view = match tokio::time::timeout(within, views.wait_for(is_lost)).await {
            Ok(Ok(view)) => view.clone(),
            _ => return Err(cut_off_only(node, "its lease has not run out yet", "when it has")),
        };
        let Some(home) = view.state.node(node.id) else { return Ok(0) };
        if !vouched && !home.assigned.is_empty() {
            let why = "what waits for it may still run there";
            return Err(cut_off_only(node, why, "with `--force`, where its machine is surely off"));
        }
        self.forget_node(&view, node.id, vouched, because).await
    }

    fn removal(&self, node: NodeId, because: Because) -> RemoveNode {
        let (node_id, because) = (node.to_bytes(), Some(because.into()));
        RemoveNode { node_id, because, from: self.from.clone(), ..RemoveNode::default() }
    }

    /// Whether the node leads, or its journal has answered the leader lately.
    fn is_heard(&self, node: NodeId, progress: &[Progress]) -> bool {
        let leads = match self.shared.ways.now() {
            Some(Way::Here) => self.shared.info.node == node,
            Some(Way::There(leader)) => leader == node,
            None => false,
        };
        let membership = self.shared.journal.membership();
        let membership = membership.borrow();
        let roles = membership.members.iter();
        let mut of_it = roles.filter(|role| role.member.node == journal_number(node));
        let answers = |number| {
            let mut known = progress.iter().filter(|known| known.number == number);
            known.any(|known| known.silent.is_some_and(|silent| silent < SILENT))
        };
        leads || of_it.any(|role| answers(role.number))
    }

    /// A node as it is after what was committed.
    async fn now(&self, node: NodeId) -> Result<NodeStatus, Refused> {
        let gone = || Refused::NotFound(format!("there is no node `{node}` any more"));
        query::node(&*self.view().await?, node).ok_or_else(gone)
    }
}

/// The node that works with this id, or the only one with this name.
fn find(view: &View, id: &str) -> Result<NodeStatus, Refused> {
    find_in(query::nodes(view), id)
}

/// As [`find`], among all that belong to the cluster: those too that have never had a worker.
fn find_any(view: &View, id: &str) -> Result<NodeStatus, Refused> {
    let mut nodes = query::nodes(view);
    let others = view.state.members().iter();
    let others = others.filter(|(node, _)| view.state.node(*node).is_none());
    nodes.extend(others.map(|(node, member)| query::member(node, member)));
    find_in(nodes, id)
}

fn find_in(nodes: Vec<NodeStatus>, id: &str) -> Result<NodeStatus, Refused> {
    if let Some(node) = nodes.iter().find(|node| node.id.to_string() == id) {
        return Ok(node.clone());
    }
    let mut named = nodes.into_iter().filter(|node| node.name == id);
    match (named.next(), named.next()) {
        (None, _) => Err(Refused::NotFound(format!("there is no node `{id}`"))),
        (Some(node), None) => Ok(node),
        (Some(_), Some(_)) => Err(Refused::Unfit(format!(
            "there are several nodes named `{id}`\nhint: name it by its id, as `windlass node ls --json` shows it"
        ))),
    }
}

/// Whether it is a worker that may live: its lease has not run out, and it has no part in the journal.
/// It may be cut off already.
fn may_be_cut_off(view: &View, node: NodeId) -> bool {
    let home = view.state.node(node);
    let is_control = view.state.members().get(node).is_some_and(|member| member.roles.control);
    home.is_some_and(|home| home.lease_ms > 0 && !home.is_lost) && !is_control
}

fn cut_off_only(node: &NodeStatus, why: &str, when: &str) -> Refused {
    let name = &node.name;
    Refused::InTheWay(format!(
        "node `{name}` is cut off, and {why}\nhint: `windlass node rm {name}` {when}"
    ))
}

fn lives(name: &str, why: &str) -> Refused {
    Refused::InTheWay(format!(
        "node `{name}` cannot be removed: {why}, so it lives\nhint: `windlass node drain {name}`, then end it with `windlass down` there"
    ))
}

/// Why a node cannot go, in words and with what to do, as far as it is seen from here.
fn in_the_way(view: &View, node: &NodeStatus, force: bool) -> Option<Refused> {
    let NodeStatus { id, name, .. } = node;
    let home = view.state.node(*id)?;
    let placed = home.assigned.len();
    let (why, hint) = if view.is_ready(*id) {
        return Some(lives(name, "it is connected"));
    } else if force {
        return None;
    } else if home.lease_ms > 0 && !home.is_lost {
        let hint = match may_be_cut_off(view, *id) {
            true => "try again when it is lost; `--force` cuts it off and waits for that",
            false => {
                "try again when it is lost; where its machine is surely off, `--force` removes it now"
            }
        };
        let lease = model::text::duration_ms(home.lease_ms);
        (format!("its lease of {lease} has not run out"), hint.to_owned())
    } else if placed > 0 {
        let hint = "start it again, so that it tells what became of them; where its machine is surely off, `--force` removes it all the same";
        let are = if placed == 1 { "attempt is" } else { "attempts are" };
        (format!("{placed} {are} placed there"), hint.to_owned())
    } else {
        return None;
    };
    Some(Refused::InTheWay(format!("node `{name}` cannot be removed: {why}\nhint: {hint}")))
}

#[cfg(test)]
mod tests {

    use proto::record::{self, Batch, Command, Header};
    use reactor::control::Connection;

    use super::*;

    fn apply(view: &mut View, kind: Kind) {
        let incarnation = u32::from(view.state.cluster().is_some());
        let header = Some(Header { incarnation, ..Header::default() });
        let batch = Batch { header, commands: vec![Command { kind: Some(kind) }] };
        let applied = view.state.apply(view.state.applied() + 1, (0, 0), &batch);
        assert!(!matches!(applied.answers[..], [Answer::Refused(_)]), "{:?}", applied.answers);
    }

    /// Nodes of these names, with leases of 30 s, that nobody has a session with.
    fn nodes(names: &[&str]) -> View {
        let mut view = View::default();
        apply(&mut view, Kind::Found(record::Found { cluster_id: vec![7; 16], incarnation: 1 }));
        for (name, at) in names.iter().zip(1..) {
            apply(
                &mut view,
                Kind::RegisterNode(record::RegisterNode {
                    node_id: vec![at; 16],
                    name: (*name).to_owned(),
                    capacity: Some(proto::job::Resources { cpu_milli: 1000, memory_bytes: 0 }),
                    supervisor_id: vec![9; 16],
                    lease_ms: 30_000,
                    ..Default::default()
                }),
            );
        }
        view
    }

    fn connect(view: &mut View) {
        let ids: Vec<NodeId> = view.state.nodes().keys().copied().collect();
        let connection = || Connection { ready: true, ..Connection::default() };
        view.connections = ids.into_iter().map(|id| (id, connection())).collect();
    }

    fn lose(view: &mut View) {
        let lose = record::LoseNode { node_id: vec![1; 16], epoch: 1 };
        apply(view, Kind::LoseNode(lose));
    }

    fn refused(view: &View, force: bool) -> Option<String> {
        let node = find(view, "alpha").unwrap();
        in_the_way(view, &node, force).map(|refused| refused.to_string())
    }

    #[test]
    fn a_node_is_found_by_its_id_or_by_a_name_that_no_other_has() {
        let view = nodes(&["alpha", "beta", "beta"]);
        assert_eq!(find(&view, "alpha").unwrap().name, "alpha");
        let id = NodeId::from_bytes(&[3; 16]).unwrap();
        assert_eq!(find(&view, &id.to_string()).unwrap().id, id);
        assert!(matches!(find(&view, "beta"), Err(Refused::Unfit(why)) if why.contains("its id")));
        assert!(matches!(find(&view, "omega"), Err(Refused::NotFound(_))));
    }

    #[test]
    fn what_may_still_run_is_in_the_way_of_a_removal() {
        let mut view = nodes(&["alpha"]);
        let why = refused(&view, false).unwrap();
        assert!(why.contains("its lease of 30.0s has not run out\nhint: "), "{why}");
        assert_eq!(refused(&view, true), None, "somebody vouches for it");
        connect(&mut view);
        for force in [false, true] {
            let why = refused(&view, force).unwrap();
            assert!(why.contains("it is connected, so it lives\nhint: "), "{why}");
        }
        view.connections = Default::default();
        lose(&mut view);
        assert_eq!(refused(&view, false), None);
    }

    #[test]
    fn what_waits_for_its_node_is_in_the_way_of_its_removal() {
        let mut view = nodes(&["alpha"]);
        let mut task = model::TaskSpec::new(vec!["true".into()]);
        task.on_lost = model::OnLost::Wait;
        let spec = model::JobSpec { tasks: vec![task], ..Default::default() };
        let job = Some((&spec).into());
        apply(&mut view, Kind::SubmitJob(record::SubmitJob { job, ..Default::default() }));
        let ordinals = vec![record::Range { first: 0, last: 0 }];
        let picks = vec![record::Pick { run: 1, task: 0, ordinals, ahead: false }];
        let place = record::Place { node_id: vec![1; 16], epoch: 1, picks };
        apply(&mut view, Kind::Place(place));
        lose(&mut view);
        let why = refused(&view, false).unwrap();
        assert!(why.contains("1 attempt is placed there\nhint: "), "{why}");
        assert_eq!(refused(&view, true), None);
        let placed = query::placed(&view, NodeId::from_bytes(&[1; 16]).unwrap(), 10);
        assert_eq!(placed.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["1/main"]);
    }

    #[test]
    fn a_drained_node_says_so_and_what_is_left() {
        let mut view = nodes(&["alpha"]);
        connect(&mut view);
        let because = Some(Because::new("user:ann", "disk").into());
        let node_id = vec![1; 16];
        let drain = DrainNode { node_id, wait_ms: Some(5), because, ..Default::default() };
        apply(&mut view, Kind::DrainNode(drain));
        let node = find(&view, "alpha").unwrap();
        assert_eq!((node.state, node.reason.as_str()), ("drained", "drained by user:ann: disk"));
        view.connections = Default::default();
        assert_eq!(find(&view, "alpha").unwrap().state, "disconnected");
    }
}
