//! The description of REST for machines, made of the routes and the types.

use std::sync::LazyLock;

use axum::response::IntoResponse;
use http::header::CONTENT_TYPE;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, OpenApi, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{Modify, OpenApi as _};

use super::problem::PROBLEM;
use super::{
    audit, elements, events, lists, members, negotiate, nodes, output, runs, security, submit,
};

/// The description.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Windlass",
        description = "All that the command line can do, for any program. Every request needs `authorization: Bearer TOKEN`; every refusal is a problem document after RFC 9457.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        runs::list, submit::submit, runs::get, elements::list, elements::tasks, elements::get,
        submit::cancel, submit::rerun, submit::purge, runs::wait, output::read, events::all,
        events::of_run, events::why, lists::upload,
        nodes::list, nodes::get, nodes::elements, nodes::drain, nodes::resume, nodes::remove,
        nodes::down, nodes::cluster, members::list, members::create_token, nodes::snapshot, nodes::authority, nodes::version,
        security::list, security::create, security::revoke, audit::list, audit::follow, serve,
    ),
    components(schemas(super::Problem, crate::json::Output, crate::json::Event)),
    tags(
        (name = "runs", description = "Runs, their elements and attempts"),
        (name = "output", description = "What tasks wrote"),
        (name = "events", description = "What happens, and why things are where they are"),
        (name = "lists", description = "Items for the elements of arrays"),
        (name = "nodes", description = "Nodes and the cluster"),
        (name = "security", description = "Tokens, and who changed what"),
    ),
    modifiers(&Common),
)]
struct Description;

/// The description of all routes and types.
pub fn openapi() -> OpenApi {
    Description::openapi()
}

/// Describe all routes
#[utoipa::path(get, path = "/v1/openapi.json", tag = "nodes", operation_id = "get_openapi",
    responses((status = 200, description = "This description", body = Object)))]
pub(super) async fn serve() -> impl IntoResponse {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| openapi().to_json().expect("a description has texts for keys"));
    ([(CONTENT_TYPE, negotiate::JSON)], TEXT.as_str())
}

/// What all operations have in common: the token, and the ways to be refused.
struct Common;

impl Modify for Common {
    fn modify(&self, openapi: &mut OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = openapi.components.get_or_insert_default();
        components.security_schemes.insert("token".to_owned(), scheme.into());
        openapi.security = Some(vec![SecurityRequirement::new("token", [""; 0])]);
        for (path, item) in &mut openapi.paths.paths {
            let operations = [&mut item.get, &mut item.post].into_iter().flatten();
            operations.for_each(|operation| refusals(path, operation));
        }
    }
}

/// Operations whose body may be left out.
const BODY_OPTIONAL: &[&str] =
    &["cancel_run", "rerun", "go_down", "revoke_token", "drain_node", "resume_node", "remove_node"];

fn refusals(path: &str, operation: &mut Operation) {
    let mut common = vec![
        ("400", "The request cannot be read"),
        ("401", "The token is missing or not known"),
        ("403", "The token does not allow it, or a web page asks"),
        ("406", "The answer has no such form"),
        ("422", "The request can be read and cannot be done so; `errors` names every fault"),
        ("429", "Too much is under way; try again after `Retry-After`"),
        ("500", "Something that should have worked did not"),
        ("503", "The node cannot answer now; try again after `Retry-After`"),
    ];
    if path.contains('{') {
        common.push(("404", "There is no such thing"));
    }
    if operation.operation_id.as_deref() == Some("remove_node") {
        common.push(("409", "Something of the node may run still"));
    }
    if let Some(body) = &mut operation.request_body {
        let id = operation.operation_id.as_deref().unwrap_or_default();
        // What says nothing but who and why may be left out altogether.
        if let (true, RefOr::T(body)) = (BODY_OPTIONAL.contains(&id), body) {
            body.required = Some(Required::False);
        }
        common.push(("408", "The body takes too long"));
        common.push(("413", "The body is too large"));
        common.push(("415", "The body is not JSON"));
    }
    let responses = &mut operation.responses.responses;
    for (status, description) in common {
        let problem = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response =
            ResponseBuilder::new().description(description).content(PROBLEM, problem).build();
        responses.entry(status.to_owned()).or_insert(RefOr::T(response));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/");

    /// Holds a page against what the code makes of it. So a change of the interface is seen where
    /// changes are looked at.
    fn check(page: &str, make: impl Fn(&str) -> String) {
        let path = format!("{DOCS}{page}");
        let kept = std::fs::read_to_string(&path).unwrap_or_default();
        let made = make(&kept);
        if made == kept {
            return;
        }
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, made).unwrap();
            return;
        }
        let mut lines = made.lines().zip(kept.lines());
        let at = lines.position(|(made, kept)| made != kept).unwrap_or(kept.lines().count());
        let line = |text: &str| text.lines().nth(at).unwrap_or("(its end)").to_owned();
        panic!(
            "docs/reference/{page} differs from the code in line {}: `{}` is now `{}`\nhint: look whether the change is meant, then run this test with UPDATE_DOCS=1",
            at + 1,
            line(&kept),
            line(&made)
        );
    }

    #[test]
    fn the_description_that_is_kept_is_that_of_the_code() {
        check("openapi.json", |_| openapi().to_pretty_json().unwrap() + "\n");
    }

    #[test]
    fn the_page_lists_every_route() {
        const END: &str = "<!-- end of routes -->";
        let mut rows = String::from("| method | route | what it does |\n| --- | --- | --- |\n");
        for (path, item) in &openapi().paths.paths {
            for (method, operation) in [("GET", &item.get), ("POST", &item.post)] {
                let Some(operation) = operation else { continue };
                let summary = operation.summary.clone().unwrap_or_default();
                rows += &format!("| {method} | `{path}` | {summary} |\n");
            }
        }
        check("rest.md", |page| {
            let (before, rest) = page.split_once("<!-- routes: ").expect("the page has its mark");
            let (mark, rest) = rest.split_once('\n').expect("and the mark a line of its own");
            let (_, after) = rest.split_once(END).expect("and an end");
            format!("{before}<!-- routes: {mark}\n{rows}{END}{after}")
        });
    }
}
