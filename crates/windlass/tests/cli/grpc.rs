//! gRPC by a client made of the `.proto` files: what a stranger's program can rely on.

use std::time::{Duration, Instant};

use proto::api::windlass_client::WindlassClient;
use proto::api::{
    Event, EventsRequest, GetNodeRequest, ListElementsRequest, ListNodesRequest, NodeStatus,
};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;

use crate::node::{Home, Node};
use crate::rest::client::Call;

/// Adds the token to each request.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

pub(crate) async fn connected(api: &str, token: &str) -> InterceptedService<Channel, Bearer> {
    let channel = Endpoint::from_shared(format!("http://{api}")).unwrap();
    let bearer = format!("Bearer {}", token.trim()).parse().unwrap();
    InterceptedService::new(channel.connect().await.unwrap(), Bearer(bearer))
}

type Client = WindlassClient<InterceptedService<Channel, Bearer>>;

async fn client(node: &Node) -> Client {
    WindlassClient::new(connected(node.api(), &node.token()).await)
}

#[tokio::test]
async fn a_method_that_is_none_is_unimplemented_and_a_path_that_is_none_is_not_found() {
    let node = Home::new().up();
    let mut grpc = tonic::client::Grpc::new(connected(node.api(), &node.token()).await);
    for path in ["/windlass.v1.Windlass/Fly", "/other.v1.Service/Call", "/v2/runs"] {
        grpc.ready().await.unwrap();
        let codec = tonic_prost::ProstCodec::<GetNodeRequest, NodeStatus>::default();
        let request = Request::new(GetNodeRequest::default());
        let answer = grpc.unary(request, path.parse().unwrap(), codec).await;
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented, "{path}");

        for method in ["GET", "POST"] {
            let answer = Call::new(&node, method, path).answer();
            assert_eq!(answer.header("content-type"), "application/problem+json", "{path}");
            assert_eq!(answer.header("grpc-status"), "", "{path}");
            let problem = answer.with(404);
            assert_eq!(problem["type"], "urn:windlass:problem:no-route");
            assert!(problem["detail"].as_str().unwrap().contains(path), "{problem}");
            let hint = problem["hint"].as_str().unwrap();
            assert!(hint.contains("/v1/openapi.json") && hint.contains("`windlass help rest`"));
        }
    }
    let door = Call::get(&node, "/").answer();
    let text = String::from_utf8(door.body).unwrap();
    assert!(door.status == 200 && text.contains("/v1/openapi.json"), "{text}");
    for path in ["/metrics", "/healthz", "/readyz", "/v1/openapi.json"] {
        assert!(text.contains(path), "{text}");
        assert_eq!(Call::get(&node, path).answer().status, 200, "{path}");
    }
    assert_eq!(Call::new(&node, "POST", "/").answer().with(405)["status"], 405);
}

/// The names of the elements of all pages of this size.
async fn pages(client: &mut Client, id: &str, limit: u32, states: &[&str]) -> Vec<String> {
    let states: Vec<String> = states.iter().map(ToString::to_string).collect();
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let states = states.clone();
        let request = ListElementsRequest { id: id.to_owned(), limit, states, after };
        let page = client.list_elements(request).await.unwrap().into_inner();
        let most = if limit == 0 { 100 } else { limit as usize };
        assert!(page.elements.len() <= most, "{} of {limit}", page.elements.len());
        seen.extend(page.elements.into_iter().map(|element| element.id));
        if page.next.is_empty() {
            return seen;
        }
        after = page.next;
    }
}

#[tokio::test]
async fn pages_of_elements_have_each_once_in_order_while_the_run_goes_on() {
    let node = Home::new().up();
    let script = "test $WINDLASS_INDEX -ne 30 || exit 3";
    let job = serde_json::json!({ "tasks": [
        { "name": "one", "command": ["true"] },
        { "name": "main", "command": ["sh", "-c", script],
          "array": { "first": 10, "last": 1400, "step": 10 } },
        { "name": "never", "command": ["sleep", "1000"] },
    ] });
    Call::post(&node, "/v1/runs", &job).answer().with(201);
    let mut client = client(&node).await;
    let main: Vec<_> = (1..=140).map(|at| format!("1/main[{}0]", at)).collect();
    let every = [vec!["1/one".to_owned()], main.clone(), vec!["1/never".to_owned()]].concat();
    for limit in [1, 3, 7, 141, 142, 0, 100_000] {
        assert_eq!(pages(&mut client, "1", limit, &[]).await, every, "{limit} a page");
    }
    assert_eq!(pages(&mut client, "1/main[20-40]", 2, &[]).await, main[1..4]);
    let waited = Call::get(&node, "/v1/runs/1/wait?select=main&timeout=60").answer().with(200);
    assert_eq!(waited["elements_ended"], 140);
    assert_eq!(pages(&mut client, "1", 5, &["failed"]).await, main[2..3]);
    assert_eq!(pages(&mut client, "1", 50, &["succeeded"]).await.len(), 140);
    // Those of each task are counted apart.
    let tasks = Call::get(&node, "/v1/runs/1/tasks").answer().with(200);
    let counts: Vec<_> = tasks["tasks"].as_array().unwrap().iter().map(|t| &t["counts"]).collect();
    let live = counts[2].as_object().unwrap();
    assert_eq!(*counts[0], serde_json::json!({ "succeeded": 1 }));
    assert_eq!(*counts[1], serde_json::json!({ "failed": 1, "succeeded": 139 }));
    assert!(live.len() == 1 && live.values().all(|count| count == 1), "{live:?}");

    for (id, after) in [
        ("1", "x"),
        ("1", "1"),
        ("1", "1.x"),
        ("1", "-1.0"),
        ("1", "3.0"),
        ("1", "1.140"),
        ("1/main[20-40]", "0.0"),
        ("1/main[20-40]", "1.0"),
    ] {
        let request = ListElementsRequest {
            id: id.to_owned(),
            after: after.to_owned(),
            ..Default::default()
        };
        let refused = client.list_elements(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{id} {after}");
        assert!(refused.message().starts_with("after: "), "{refused}");
    }
    let request = ListElementsRequest { id: "1/other".to_owned(), ..Default::default() };
    assert_eq!(client.list_elements(request).await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_node_is_found_by_its_name_and_its_id() {
    let node = Home::new().up();
    let mut client = client(&node).await;
    let nodes = client.list_nodes(ListNodesRequest {}).await.unwrap().into_inner().nodes;
    let [listed] = &nodes[..] else { panic!("{nodes:?}") };
    assert_eq!((listed.name.as_str(), listed.state.as_str()), ("alpha", "ready"));
    for id in [&listed.name, &listed.id] {
        let one = client.get_node(GetNodeRequest { id: id.clone() }).await.unwrap();
        assert_eq!(one.into_inner(), *listed);
    }
    for id in ["omega", "", &listed.id[1..]] {
        let refused = client.get_node(GetNodeRequest { id: id.to_owned() }).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound, "{id}");
        assert!(refused.message().contains(&format!("`{id}`")), "{refused}");
    }
}

/// What is in the journal of what happened after an index, or of all that is kept, and up to where
/// that is. How nodes are connected is not in the journal.
async fn events(
    client: &mut Client,
    after: impl Into<Option<u64>>,
) -> Result<(u64, Vec<(u64, Event)>), Status> {
    let request = EventsRequest { after: after.into(), kept: true, ..Default::default() };
    let mut batches = client.events(request).await?.into_inner();
    let (mut last, mut told) = (0, Vec::new());
    while let Some(batch) = batches.message().await? {
        last = batch.index;
        let seen = ["node_connected", "node_disconnected", "node_degraded", "node_recovered"];
        let kept = batch.events.into_iter().filter(|e| !seen.contains(&e.kind.as_str()));
        told.extend(kept.map(|event| (last, event)));
    }
    Ok((last, told))
}

#[tokio::test]
async fn events_go_on_after_a_restart_without_a_gap() {
    let node = Home::new().up();
    let mut before = client(&node).await;
    node.windlass(&["run", "--", "true"]);
    let (token, _) = events(&mut before, None).await.unwrap();
    node.windlass(&["run", "--array", "1-5", "--", "false"]);
    node.windlass(&["run", "-d", "--name", "stays", "--", "sleep", "1000"]);
    node.until(&["status", "--json", "3"], |run| run["run"]["state"] == "running");
    let (last, told) = events(&mut before, token).await.unwrap();
    assert!(told.iter().any(|(_, event)| event.kind == "run_ended" && event.run == 2));

    let node = node.crash().up();
    node.windlass(&["run", "--name", "new", "--", "true"]);
    let (end, mut again) = events(&mut client(&node).await, token).await.unwrap();
    let new = again.split_off(told.len());
    assert_eq!(again, told, "what was told before the crash is told again, and in its order");
    assert!(end > last && new.iter().all(|(index, _)| *index > last));
    let ended = |(_, event): &(u64, Event)| event.kind == "run_ended" && event.name == "new";
    assert!(new.iter().any(ended), "{new:?}");
}

#[tokio::test]
async fn events_that_a_restart_has_lost_are_said_to_be_gone() {
    let small = ["--checkpoint-size", "1B"];
    let node = Home::new().up_with(&small);
    node.windlass(&["run", "--", "true"]);
    let (token, _) = events(&mut client(&node).await, None).await.unwrap();
    // Snapshots are made until one stands for what came after the token.
    let index = |text: String| -> u64 {
        let line = text.lines().find(|line| line.starts_with("windlass_snapshot_index "));
        line.map_or(0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    while index(String::from_utf8(Call::get(&node, "/metrics").answer().body).unwrap()) <= token {
        assert!(Instant::now() < deadline, "no snapshot is made");
        node.windlass(&["run", "--", "true"]);
    }
    let node = node.crash().up_with(&small);
    let mut client = client(&node).await;
    let gone = events(&mut client, token).await.unwrap_err();
    assert_eq!(gone.code(), Code::OutOfRange, "{gone}");
    let info = gone.get_error_details();
    let oldest: u64 = info.error_info().unwrap().metadata["oldest"].parse().unwrap();
    assert!(oldest > token, "{oldest} {token}");
    let rest = Call::get(&node, format!("/v1/events?follow=false&after={token}")).answer();
    assert_eq!(rest.with(410)["oldest"], oldest);
    let (end, _) = events(&mut client, oldest).await.unwrap();
    node.windlass(&["run", "--name", "new", "--", "true"]);
    let (_, told) = events(&mut client, end).await.unwrap();
    let kinds: Vec<_> = told.iter().map(|(_, event)| event.kind.as_str()).collect();
    assert_eq!((kinds[0], *kinds.last().unwrap()), ("run_created", "run_ended"), "{told:?}");
}
