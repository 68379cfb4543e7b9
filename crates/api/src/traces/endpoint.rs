//! Where the collector is.

use std::fmt;
use std::str::FromStr;

/// Where collectors listen for gRPC as a rule.
const PORT: u16 = 4317;

/// The address of a collector: `http://127.0.0.1:4317`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Endpoint {
    type Err = String;

    /// The error says what is wrong with it, for people.
    fn from_str(text: &str) -> Result<Endpoint, String> {
        let whole = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
        let uri: http::Uri = whole.parse().map_err(|_| wrong())?;
        match uri.scheme_str() {
            Some("http") => {}
            Some("https") => {
                return Err(
                    "encryption is not spoken: name a collector on this machine or in a network that you trust, http://HOST:4317"
                        .to_owned(),
                );
            }
            _ => return Err(wrong()),
        }
        let authority = uri.authority().ok_or_else(wrong)?;
        // It is shown in the log; and gRPC has a path of its own.
        if authority.as_str().contains('@') || uri.query().is_some() || uri.path() != "/" {
            return Err(wrong());
        }
        let port = match authority.port() {
            Some(port) => port.as_str().parse().map_err(|_| wrong())?,
            None if authority.as_str() == authority.host() => PORT,
            None => return Err(wrong()),
        };
        if authority.host().is_empty() || port == 0 {
            return Err(wrong());
        }
        Ok(Endpoint(format!("http://{}:{port}", authority.host())))
    }
}

fn wrong() -> String {
    format!("written http://HOST:PORT, where a collector takes OTLP over gRPC; usually {PORT}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_host_and_a_port() {
        for (text, meant) in [
            ("http://127.0.0.1:4317", "http://127.0.0.1:4317"),
            ("http://otel.lan/", "http://otel.lan:4317"),
            ("localhost:99", "http://localhost:99"),
            ("localhost", "http://localhost:4317"),
            ("http://[::1]:4317", "http://[::1]:4317"),
        ] {
            assert_eq!(text.parse::<Endpoint>().map(|e| e.to_string()), Ok(meant.to_owned()));
        }
    }

    #[test]
    fn what_cannot_be_spoken_to_is_refused() {
        for text in [
            "",
            "https://collector:4317",
            "grpc://collector",
            "http://user:word@collector",
            "http://collector/v1/traces",
            "http://collector:0",
            "http://collector:70000",
            "two words",
        ] {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
