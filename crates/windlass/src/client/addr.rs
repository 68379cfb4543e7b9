//! Addresses of nodes: one way to write each, so that a token is found by it.

use std::net::SocketAddr;

use crate::failure::Failure;

/// Where a node listens for people and programs unless told otherwise.
pub(crate) const DEFAULT: &str = "127.0.0.1:7400";
const DEFAULT_PORT: u16 = 7400;

/// `HOST:PORT` in its one form: `localhost` is `127.0.0.1:7400`.
pub(crate) fn normal(text: &str) -> Result<String, Failure> {
    let text = text.trim().trim_start_matches("http://").trim_end_matches('/');
    if let Ok(addr) = text.parse::<SocketAddr>() {
        return Ok(addr.to_string());
    }
    if let Ok(ip) = text.trim_matches(['[', ']']).parse::<std::net::IpAddr>() {
        return Ok(SocketAddr::new(ip, DEFAULT_PORT).to_string());
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| fault(text))?),
        None => (text, DEFAULT_PORT),
    };
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-".contains(c);
    if host.is_empty() || !host.chars().all(plain) {
        return Err(fault(text));
    }
    let host = if host.eq_ignore_ascii_case("localhost") { "127.0.0.1" } else { host };
    Ok(format!("{host}:{port}"))
}

fn fault(text: &str) -> Failure {
    Failure::usage(format!("`{text}` is no address of a node"))
        .hint(format!("write HOST:PORT, such as `{DEFAULT}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_an_address_is_one() {
        for text in
            ["127.0.0.1:7400", "localhost", "127.0.0.1", "localhost:7400", "http://localhost/"]
        {
            assert_eq!(normal(text).ok().as_deref(), Some("127.0.0.1:7400"), "{text}");
        }
        assert_eq!(normal("[::1]:80").ok().as_deref(), Some("[::1]:80"));
        assert_eq!(normal("::1").ok().as_deref(), Some("[::1]:7400"));
        assert_eq!(normal("node-a.lan:1").ok().as_deref(), Some("node-a.lan:1"));
        for text in ["", ":7400", "a:b", "a b:1", "a:99999", "a/b"] {
            assert!(normal(text).is_err(), "{text}");
        }
    }
}
