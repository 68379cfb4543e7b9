//! gRPC by a client made of the `.proto` files: what a stranger's program can rely on.

use proto::api::{GetNodeRequest, NodeStatus};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::node::{Home, Node};
use crate::rest::client::Call;

/// Adds the token to each request.
#[derive(Clone)]
struct Bearer(MetadataValue<Ascii>);

impl tonic::service::Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

async fn connected(node: &Node) -> InterceptedService<Channel, Bearer> {
    let channel = Endpoint::from_shared(format!("http://{}", node.api())).unwrap();
    let bearer = format!("Bearer {}", node.token().trim()).parse().unwrap();
    InterceptedService::new(channel.connect().await.unwrap(), Bearer(bearer))
}

#[tokio::test]
async fn a_method_that_is_none_is_unimplemented_and_a_path_that_is_none_is_not_found() {
    let node = Home::new().up();
    let mut grpc = tonic::client::Grpc::new(connected(&node).await);
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
