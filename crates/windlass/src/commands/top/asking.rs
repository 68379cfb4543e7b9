//! Asks the node, and brings what it says as inputs. One look at a time, one output at a time.

use std::collections::BTreeMap;

use proto::api::{
    CancelRequest, GetRunRequest, GetServerRequest, ListNodesRequest, ListRunsRequest, LogsRequest,
};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinHandle;
use tonic::Status;

use super::state::{Effect, Input, Look};
use crate::client::{self, Client};

/// Runs of each kind, those that live and the latest of all; elements of a run.
const RUNS_MAX: u32 = 200;
const ELEMENTS_MAX: u32 = 200;

/// Tasks that ask; they end with it.
pub(super) struct Asking {
    client: Client,
    sender: Sender<Input>,
    look: Option<JoinHandle<()>>,
    follow: Option<JoinHandle<()>>,
}

impl Asking {
    pub(super) fn new(client: Client, sender: Sender<Input>) -> Asking {
        Asking { client, sender, look: None, follow: None }
    }

    pub(super) fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Quit => {}
            Effect::Look(run) => {
                // What is under way was asked for another view.
                end(self.look.take());
                self.look(run);
            }
            Effect::Follow(id) => self.follow(id),
            Effect::Unfollow => end(self.follow.take()),
            Effect::Cancel(id) => self.cancel(id),
        }
    }

    /// Asks for all that is shown, unless the answer to the last look is still to come.
    pub(super) fn look(&mut self, run: Option<u64>) {
        if self.look.as_ref().is_some_and(|look| !look.is_finished()) {
            return;
        }
        let (mut client, sender) = (self.client.clone(), self.sender.clone());
        self.look = Some(tokio::spawn(async move {
            let input = match look(&mut client, run).await {
                Ok(look) => Input::Looked(Box::new(look)),
                Err(status) => Input::Lost(client.failure("look", &status).message),
            };
            // Nobody is there to hear it once the screen is closed.
            let _ = sender.send(input).await;
        }));
    }

    fn follow(&mut self, id: String) {
        end(self.follow.take());
        let (mut client, sender) = (self.client.clone(), self.sender.clone());
        self.follow = Some(tokio::spawn(async move {
            let request = LogsRequest { id: id.clone(), follow: true, streams: 0 };
            let ended = match client.rpc.logs(request).await {
                Err(status) => Err(status),
                Ok(answer) => {
                    let mut chunks = answer.into_inner();
                    loop {
                        match chunks.message().await {
                            Ok(Some(chunk)) => {
                                if sender.send(Input::Output(chunk)).await.is_err() {
                                    return;
                                }
                            }
                            Ok(None) => break Ok(()),
                            Err(status) => break Err(status),
                        }
                    }
                }
            };
            let input = match ended {
                Ok(()) => Input::OutputEnded,
                Err(status) => {
                    let what = format!("show the output of `{id}`");
                    Input::Said(client.failure(&what, &status).message)
                }
            };
            let _ = sender.send(input).await;
        }));
    }

    fn cancel(&self, id: String) {
        let (mut client, sender) = (self.client.clone(), self.sender.clone());
        tokio::spawn(async move {
            let (reason, actor) =
                ("asked for in top".to_owned(), format!("user:{}", client::user()));
            let request = CancelRequest { ids: vec![id.clone()], reason, actor };
            let said = match client.rpc.cancel(request).await {
                Ok(_) => format!("`{id}` is being canceled"),
                Err(status) => client.failure(&format!("cancel `{id}`"), &status).message,
            };
            let _ = sender.send(Input::Said(said)).await;
        });
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        end(self.look.take());
        end(self.follow.take());
    }
}

fn end(task: Option<JoinHandle<()>>) {
    if let Some(task) = task {
        task.abort();
    }
}

async fn look(client: &mut Client, run: Option<u64>) -> Result<Look, Status> {
    let server = client.rpc.get_server(GetServerRequest {}).await?.into_inner();
    let nodes = client.rpc.list_nodes(ListNodesRequest {}).await?.into_inner().nodes;
    // What lives may be older than the latest runs of all.
    let mut runs = BTreeMap::new();
    for all in [true, false] {
        let request = ListRunsRequest { all, limit: RUNS_MAX, ..Default::default() };
        let page = client.rpc.list_runs(request).await?.into_inner();
        runs.extend(page.runs.into_iter().map(|run| (run.run, run)));
    }
    let runs = runs.into_values().rev().collect();
    let run = match run {
        None => None,
        Some(run) => {
            let request =
                GetRunRequest { id: run.to_string(), limit: ELEMENTS_MAX, ..Default::default() };
            Some(client.rpc.get_run(request).await?.into_inner())
        }
    };
    Ok(Look { server, runs, nodes, run })
}
