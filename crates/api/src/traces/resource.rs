//! Who sends the spans: the attributes that all of them share.

use proto::otlp::{AnyValue, KeyValue, Resource, any_value};

/// Attributes that the environment gives at most, and bytes of one.
const GIVEN_MAX: usize = 64;
const GIVEN_BYTES_MAX: usize = 1024;

/// What the standard variables of OpenTelemetry say of this service.
#[derive(Clone, Debug, Default)]
pub(super) struct Given {
    /// `OTEL_SERVICE_NAME`.
    pub(super) service: Option<String>,
    /// `OTEL_RESOURCE_ATTRIBUTES`: `key=value,key=value`, each part percent-encoded.
    pub(super) attributes: Option<String>,
}

impl Given {
    pub(super) fn by_environment() -> Given {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Given { service: set("OTEL_SERVICE_NAME"), attributes: set("OTEL_RESOURCE_ATTRIBUTES") }
    }
}

/// What this node is. What the environment gives wins, but for the node's own id.
pub(super) fn resource(info: &node::Info, host: &str, given: &Given) -> Resource {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut set = |key: &str, value: &str| match all.iter_mut().find(|(one, _)| one == key) {
        Some((_, old)) => value.clone_into(old),
        None => all.push((key.to_owned(), value.to_owned())),
    };
    set("service.name", "windlass");
    set("service.version", &info.version);
    set("host.name", host);
    set("windlass.node.name", &info.name);
    for (key, value) in pairs(given.attributes.as_deref().unwrap_or_default()) {
        set(&key, &value);
    }
    if let Some(name) = &given.service {
        set("service.name", name);
    }
    set("service.instance.id", &info.node.to_string());
    set("windlass.cluster", &info.cluster.to_string());
    let attributes = all.into_iter().map(|(key, value)| text(&key, value)).collect();
    Resource { attributes }
}

pub(super) fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.into()))
}

pub(super) fn number(key: &str, value: u64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(i64::try_from(value).unwrap_or(i64::MAX)))
}

pub(super) fn truth(key: &str, value: bool) -> KeyValue {
    attribute(key, any_value::Value::BoolValue(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn pairs(text: &str) -> impl Iterator<Item = (String, String)> {
    let pair = |part: &str| {
        let (key, value) = part.split_once('=')?;
        let (key, value) = (plain(key.trim())?, plain(value.trim())?);
        (!key.is_empty()).then_some((key, value))
    };
    text.split(',').filter(|part| part.len() <= GIVEN_BYTES_MAX).filter_map(pair).take(GIVEN_MAX)
}

/// Takes the percent encoding off; `None` where it is none.
fn plain(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        rest = more;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = std::str::from_utf8(more.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &more[2..];
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_of_the_environment_are_read() {
        let read = |text| pairs(text).collect::<Vec<_>>();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(
            read("deployment.environment=test, team=a%2Cb"),
            [pair("deployment.environment", "test"), pair("team", "a,b")]
        );
        assert_eq!(read("=x,y,z=%zz,a=%"), []);
        assert_eq!(read(""), []);
    }
}
