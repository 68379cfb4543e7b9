//! Holds `docs/reference/grpc.md` against the interface: the page is made from the descriptors and
//! their comments. `INSTA_UPDATE=always cargo test -p proto` writes it anew.

use std::collections::BTreeMap;

use prost::Message;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/grpc.md");

const ABOUT: &str = "\
# gRPC

Made from the `.proto` files, which are the contract.
The service is `windlass.v1.Windlass` on the node's one listener, with the standard services for health and reflection beside it.
Every call, those of reflection too, needs `authorization: Bearer TOKEN`.
[A client in Python](../examples/python/windlass.py) shows calls without generated code.

## Refusals

A refusal is a status with one sentence, and where there is something to do about it a second line `hint: …`.
For programs the trailer `grpc-status-details-bin` has a `google.rpc.Status` with these details:

| detail | in | tells |
| --- | --- | --- |
| `google.rpc.ErrorInfo` | each refusal of a node | `domain` is `windlass`; `reason` is the last part of the type of REST's problem, such as `KEY_USED` or `TOO_OLD`; `metadata` has `run` of a used key, and `oldest` of an index that is gone |
| `google.rpc.BadRequest` | `INVALID_ARGUMENT` for a job | one violation for each fault: field and what is wrong; where they would not fit a header the last are left out |
| `google.rpc.RetryInfo` | `RESOURCE_EXHAUSTED`, `UNAVAILABLE` | when to try again |
| `google.rpc.ResourceInfo` | `ALREADY_EXISTS` | the run that the key made |

| code | when |
| --- | --- |
| `INVALID_ARGUMENT` | the request or the job has faults |
| `UNAUTHENTICATED`, `PERMISSION_DENIED` | the token is missing or not known; its role does not allow the call |
| `NOT_FOUND` | there is no such run, task, element or node |
| `ALREADY_EXISTS` | the idempotency key was used for something else |
| `RESOURCE_EXHAUSTED` | too much waits (`windlass-status: 429`) or the disk has no room (`507`) |
| `OUT_OF_RANGE` | the events right after that index are not kept any more |
| `UNAVAILABLE` | the node cannot answer now, or the outcome is unknown: an idempotency key makes asking again safe |
| `INTERNAL` | something that should have worked did not |
";

#[test]
fn the_page_is_what_the_proto_files_say() {
    let page = page();
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(PAGE, &page).unwrap();
    }
    let written = std::fs::read_to_string(PAGE).unwrap_or_default();
    assert!(written == page, "write it anew: INSTA_UPDATE=always cargo test -p proto");
}

#[test]
fn every_call_says_what_it_is_for() {
    let files = files();
    let service = &files[0].file.service[0];
    for at in 0..service.method.len() {
        let comment = files[0].comment(&[6, 0, 2, at as i32]);
        assert!(!comment.is_empty(), "{} has no comment", service.method[at].name());
    }
}

/// A file with its comments, by the path of what they are of.
struct File {
    file: FileDescriptorProto,
    comments: BTreeMap<Vec<i32>, String>,
}

impl File {
    fn comment(&self, path: &[i32]) -> &str {
        self.comments.get(path).map_or("", String::as_str)
    }
}

/// The public interface, then the forms of a job.
fn files() -> Vec<File> {
    let set = FileDescriptorSet::decode(proto::DESCRIPTORS).expect("the build made them");
    let wanted = ["windlass.v1", "windlass.job.v1"];
    let files =
        wanted.iter().flat_map(|package| set.file.iter().filter(move |f| f.package() == *package));
    files.map(|file| File { comments: comments(file), file: file.clone() }).collect()
}

fn comments(file: &FileDescriptorProto) -> BTreeMap<Vec<i32>, String> {
    let info = file.source_code_info.as_ref().expect("comments are compiled in");
    let text = |location: &prost_types::source_code_info::Location| {
        let lines = location.leading_comments().lines().map(str::trim);
        lines.collect::<Vec<_>>().join(" ").trim().to_owned()
    };
    info.location.iter().map(|location| (location.path.clone(), text(location))).collect()
}

fn page() -> String {
    let mut page = ABOUT.to_owned();
    let files = files();
    for (at, service) in files[0].file.service.iter().enumerate() {
        page.push_str("\n## Calls\n");
        for (number, method) in service.method.iter().enumerate() {
            let stream = |on: bool| if on { "stream of " } else { "" };
            page.push_str(&format!(
                "\n### `{}`\n\n{}{} → {}{}\n",
                method.name(),
                stream(method.client_streaming()),
                link(method.input_type()),
                stream(method.server_streaming()),
                link(method.output_type()),
            ));
            let comment = files[0].comment(&[6, at as i32, 2, number as i32]);
            if !comment.is_empty() {
                page.push_str(&format!("\n{}\n", sentences(comment)));
            }
        }
    }
    for file in &files {
        page.push_str(&format!("\n## Messages of `{}`\n", file.file.package()));
        for (at, message) in file.file.message_type.iter().enumerate() {
            write_message(&mut page, file, message, "", &[4, at as i32]);
        }
        for (at, of) in file.file.enum_type.iter().enumerate() {
            write_enum(&mut page, file, of, "", &[5, at as i32]);
        }
    }
    page
}

fn write_message(
    page: &mut String,
    file: &File,
    message: &DescriptorProto,
    outer: &str,
    path: &[i32],
) {
    let name = format!("{outer}{}", message.name());
    if message.options.as_ref().is_some_and(|options| options.map_entry()) {
        return;
    }
    page.push_str(&format!("\n### `{name}`\n"));
    let comment = file.comment(path);
    if !comment.is_empty() {
        page.push_str(&format!("\n{}\n", sentences(comment)));
    }
    if message.field.is_empty() {
        page.push_str("\nIt has no fields.\n");
    } else {
        page.push_str("\n| field | type | meaning |\n| --- | --- | --- |\n");
    }
    for (at, field) in message.field.iter().enumerate() {
        let comment = file.comment(&[path, &[2, at as i32]].concat()).replace('|', "\\|");
        let one_of = (field.oneof_index.filter(|_| !field.proto3_optional()))
            .map(|of| format!(" (one of `{}`)", message.oneof_decl[of as usize].name()));
        let optional = if field.proto3_optional() { "optional " } else { "" };
        page.push_str(&format!(
            "| `{}` | {optional}{}{} | {} |\n",
            field.name(),
            type_of(message, field),
            one_of.unwrap_or_default(),
            if comment.is_empty() { "–" } else { comment.as_str() },
        ));
    }
    for (at, inner) in message.nested_type.iter().enumerate() {
        write_message(page, file, inner, &format!("{name}."), &[path, &[3, at as i32]].concat());
    }
    for (at, inner) in message.enum_type.iter().enumerate() {
        write_enum(page, file, inner, &format!("{name}."), &[path, &[4, at as i32]].concat());
    }
}

fn write_enum(page: &mut String, file: &File, of: &EnumDescriptorProto, outer: &str, path: &[i32]) {
    page.push_str(&format!("\n### `{outer}{}`\n", of.name()));
    let comment = file.comment(path);
    if !comment.is_empty() {
        page.push_str(&format!("\n{}\n", sentences(comment)));
    }
    page.push_str("\n| value | number | meaning |\n| --- | --- | --- |\n");
    for (at, value) in of.value.iter().enumerate() {
        let comment = file.comment(&[path, &[2, at as i32]].concat());
        let comment = if comment.is_empty() { "–" } else { comment };
        page.push_str(&format!("| `{}` | {} | {comment} |\n", value.name(), value.number()));
    }
}

fn type_of(message: &DescriptorProto, field: &prost_types::FieldDescriptorProto) -> String {
    let entry = message.nested_type.iter().find(|inner| {
        inner.options.as_ref().is_some_and(|options| options.map_entry())
            && field.type_name().ends_with(&format!(".{}", inner.name()))
    });
    if let Some(entry) = entry {
        let of = |at: usize| type_of(entry, &entry.field[at]);
        return format!("map of {} to {}", of(0), of(1));
    }
    let plain = match field.r#type() {
        Type::Message | Type::Enum => link(field.type_name()),
        other => format!("{other:?}").to_lowercase(),
    };
    if field.label() == Label::Repeated { format!("list of {plain}") } else { plain }
}

/// `.windlass.v1.LogsRequest.Streams` as a link to its heading.
fn link(name: &str) -> String {
    let short: Vec<&str> =
        name.split('.').filter(|part| part.starts_with(|c: char| c.is_uppercase())).collect();
    let anchor = short.concat().to_lowercase();
    format!("[`{}`](#{anchor})", short.join("."))
}

/// One sentence a line.
fn sentences(text: &str) -> String {
    text.replace(". ", ".\n").replace(".\n.", ". .")
}
