//! What decides, and what the rest of a control node is started with: from the journal to the views.

use std::path::Path;
use std::sync::Arc;

use history::{History, Settings};
use journal::{Follow, Journal, Syncs, raft, raft::Raft};
use model::NodeId;
use peer::Carrier;
use runner::output::Store;
use tokio::sync::{mpsc, watch};

use super::works::Works;
use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::cluster::contacts::Contacts;
use crate::cluster::door::Door;
use crate::cluster::health::{Health, Seen};
use crate::cluster::own::Own;
use crate::cluster::ways::{Way, Ways};
use crate::control::{self, Input};
use crate::copies::{Copier, Copies, Lists};
use crate::data_dir::DataDir;
use crate::disk::Disk;
use crate::error::StartError;
use crate::events::Ring;
use crate::info::{Config, Stopped};
use crate::keeper::Keeper;
use crate::live::LiveOutput;
use crate::metrics::Metrics;
use crate::output;
use crate::publish::Publisher;
use crate::secrets::Secrets;
use crate::session::Host;
use crate::stopping::stop;
use crate::traces::{self, Traces};
use crate::view::View;
use crate::watchers::Watchers;

/// The control part follows closely: what is older is read again only at a start.
const JOURNAL_CACHE_BYTES: usize = 1 << 20;
const INPUTS_MAX: usize = 4096;
const PUBLISH_MAX: usize = 1024;

/// The parts of a control node that the others are started with.
pub(super) struct Parts {
    pub(super) own: Arc<Own>,
    pub(super) journal: Arc<Raft>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) history: Arc<History>,
    pub(super) keeper: Keeper,
    pub(super) blobs: Arc<Blobs>,
    pub(super) copies: Arc<Copies>,
    pub(super) secrets: Arc<Secrets>,
    pub(super) outputs: Arc<output::Ways>,
    pub(super) live: Arc<LiveOutput>,
    pub(super) watchers: Arc<Watchers>,
    pub(super) events: Arc<Ring>,
    pub(super) traces: Option<Arc<Traces>>,
    pub(super) views: watch::Receiver<Arc<View>>,
    pub(super) inputs: mpsc::Sender<Input>,
    pub(super) stopped: watch::Sender<Option<Stopped>>,
    pub(super) ways: Ways,
    pub(super) clock: Clock,
    pub(super) health: watch::Receiver<Seen>,
    pub(super) disk: Arc<Disk>,
    pub(super) host: Arc<Host>,
    pub(super) door: Arc<Door>,
}

/// Everything from the journal to the views: what decides.
pub(super) fn deciding(
    config: &Config,
    data_dir: &Path,
    own: Arc<Own>,
    journal: Arc<Raft>,
    metrics: Arc<Metrics>,
    clock: Clock,
) -> Result<(Parts, Works, Option<mpsc::Receiver<traces::Record>>), StartError> {
    let settings = Settings {
        retention: config.keeping.retention,
        namespaces: config.keeping.namespaces.clone(),
        disk_bytes_max: config.keeping.history_bytes,
    };
    let history = Arc::new(History::open(&data_dir.join("history"), settings)?);
    let (traces, traced) = match config.traced {
        Some(sample) => {
            let (traces, inbox) = Traces::new(sample, metrics.traces.dropped.clone());
            (Some(Arc::new(traces)), Some(inbox))
        }
        None => (None, None),
    };
    let (keeper, keeping) = Keeper::new(history.clone(), metrics.clone());
    let blobs = open_blobs(data_dir)?;
    let secrets = Arc::new(Secrets::open(data_dir)?);
    let (views_tx, views) = watch::channel(Arc::new(View::default()));
    let (inputs, inbox) = mpsc::channel(INPUTS_MAX);
    let (publish, publish_inbox) = mpsc::channel(PUBLISH_MAX);
    let (plans, plans_inbox) = mpsc::channel(1);
    let (stopped, _) = watch::channel(None);
    let ways = Ways { node: own.node(), journal: journal.clone(), dialer: own.dialer.clone() };
    let (seen, health) = watch::channel(Seen::default());
    let disk = Arc::new(Disk::new(data_dir.to_owned()));
    let looks = Health {
        node: own.node(),
        journal: journal.clone(),
        ways: ways.clone(),
        contacts: own.contacts.clone(),
        clock: clock.clone(),
        disk: disk.clone(),
        seen,
    };
    tokio::spawn(looks.run());
    let live = Arc::new(LiveOutput::default());
    let outputs = outputs(data_dir, &own, &ways, live.clone());
    let kept = output::Keeping::new(outputs.tails.clone(), outputs.elsewhere.clone());
    let host = Host::new(ways.clone(), inputs.clone(), secrets.clone(), outputs.clone(), kept);
    let host = Arc::new(host);
    let door = Door::new(data_dir, config.place.clone(), own.credentials.clone());
    let (dialer, contacts) = (own.dialer.clone(), own.contacts.clone());
    let lists = Lists::new(blobs.clone(), journal.clone(), dialer, contacts);
    let copies =
        Copies { lists: Arc::new(lists), history: history.clone(), tails: outputs.tails.clone() };
    let parts = Parts {
        journal,
        history,
        keeper,
        blobs,
        copies: Arc::new(copies),
        secrets,
        outputs,
        live,
        watchers: Arc::default(),
        events: Arc::default(),
        traces,
        views,
        inputs: inputs.clone(),
        stopped,
        ways,
        clock,
        health: health.clone(),
        disk,
        host,
        door: Arc::new(door),
        metrics,
        own,
    };
    let copier = Copier {
        history: parts.history.clone(),
        dialer: parts.own.dialer.clone(),
        contacts: parts.own.contacts.clone(),
        runtime: tokio::runtime::Handle::current(),
    };
    let publisher = Publisher {
        copier,
        told: publish.downgrade(),
        history: parts.history.clone(),
        keeper: parts.keeper.clone(),
        views: views_tx,
        watchers: parts.watchers.clone(),
        live: parts.live.clone(),
        events: parts.events.clone(),
        metrics: parts.metrics.clone(),
        traces: parts.traces.clone(),
    };
    let works = Works { publisher, inbox: publish_inbox, keeping, plans: plans_inbox };
    let channels =
        control::Channels { inputs: inbox, own: inputs, publish, planner: plans, health };
    spawn_control(config, &parts, channels);
    Ok((parts, works, traced))
}

/// Output of every node: where it lies, and the ways to it.
fn outputs(
    data_dir: &Path,
    own: &Arc<Own>,
    ways: &Ways,
    live: Arc<LiveOutput>,
) -> Arc<output::Ways> {
    let store = Arc::new(Store::open(data_dir.join("output")));
    let others = Others { ways: ways.clone(), contacts: own.contacts.clone() };
    let peers = output::Peers { dialer: own.dialer.clone(), contacts: Arc::new(others) };
    Arc::new(output::Ways {
        own: own.node(),
        local: output::Local { store, live },
        remote: output::Remote::new(),
        tails: Arc::new(output::Tails::open(data_dir.join("tails"))),
        elsewhere: Some(Arc::new(peers)),
    })
}

/// The control nodes that output is read through, and that keep tails.
struct Others {
    ways: Ways,
    contacts: Arc<Contacts>,
}

impl output::Contacts for Others {
    fn leader(&self) -> Option<NodeId> {
        match self.ways.now() {
            Some(Way::There(leader)) => Some(leader),
            Some(Way::Here) | None => None,
        }
    }

    fn others(&self) -> Vec<NodeId> {
        self.contacts.all().into_iter().map(|(node, _)| node).collect()
    }
}

fn spawn_control(config: &Config, parts: &Parts, channels: control::Channels) {
    let own = &parts.own;
    let reactor_config = reactor::control::Config {
        found: (!own.identity.joined).then(|| own.cluster()),
        lease_ms: config.lease_ms,
        // Until the journal says who votes: a lease too many does no harm.
        alone: (!own.identity.joined).then(|| own.node()).filter(|_| is_alone(&parts.journal)),
    };
    let control = control::Task::new(
        reactor_config,
        parts.journal.clone(),
        follow(&parts.history, &parts.journal),
        parts.copies.lists.clone(),
        channels,
        parts.metrics.clone(),
        parts.traces.clone(),
    );
    let control = control.by(parts.clock.clone());
    let stopped = parts.stopped.clone();
    tokio::spawn(async move {
        let reason = match tokio::spawn(control.run()).await {
            Ok(reason) => reason,
            Err(error) => format!("the control part failed: {error}"),
        };
        stop(&stopped, Stopped::Failed(reason));
    });
}

fn is_alone(journal: &Raft) -> bool {
    let membership = journal.membership();
    let membership = membership.borrow();
    !membership.voters().any(|role| role.number != journal.member().number())
}

/// What history has not, or has lost, is told again by the entries, as far back as they reach.
fn follow(history: &History, journal: &Raft) -> Follow {
    match history.mark() >= journal.newest_snapshot() {
        true => journal.follow_newest(),
        false => journal.follow(0),
    }
}

fn open_blobs(data_dir: &Path) -> Result<Arc<Blobs>, StartError> {
    let path = data_dir.join("blobs");
    let what = "cannot use it for lists of items";
    let blobs = Blobs::open(&path).map_err(|source| StartError::DataDir { path, what, source })?;
    Ok(Arc::new(blobs))
}

pub(super) async fn open_journal(
    data_dir: &DataDir,
    own: &Own,
    metrics: &Metrics,
) -> Result<Arc<Raft>, StartError> {
    let sync = metrics.journal.sync.clone();
    let config = raft::Config {
        dir: data_dir.path.join("journal"),
        node: own.identity.journal_node(),
        start: if own.identity.joined { raft::Start::Join } else { raft::Start::Found },
        cluster: raft::Cluster {
            id: own.identity.cluster_id.as_u128(),
            incarnation: own.incarnation().into(),
        },
        cache_bytes: JOURNAL_CACHE_BYTES,
        syncs: Syncs::new(move |took| sync.took(took)),
        ..raft::Config::default()
    };
    let carrier = Arc::new(Carrier(own.dialer.clone()));
    Ok(Arc::new(Raft::open_among(config, carrier).await?))
}
