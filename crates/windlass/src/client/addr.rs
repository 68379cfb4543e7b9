//! Addresses of nodes: one way to write each, so that a token is found by it.

use std::net::SocketAddr;

use crate::failure::Failure;

/// Where a node listens for people and programs unless told otherwise.
pub(crate) const DEFAULT: &str = "127.0.0.1:7400";
const DEFAULT_PORT: u16 = 7400;

/// What stands before an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    Http,
    Https,
}

/// Where a node is, and how it was said to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// `HOST:PORT` in its one form.
    pub(crate) text: String,
    pub(crate) scheme: Option<Scheme>,
}

impl Address {
    /// Reads `HOST:PORT`, `http://HOST:PORT` or `https://HOST:PORT`.
    pub(crate) fn parse(text: &str) -> Result<Address, Failure> {
        let text = text.trim();
        let (scheme, rest) = match text.split_once("://") {
            None => (None, text),
            Some(("http", rest)) => (Some(Scheme::Http), rest),
            Some(("https", rest)) => (Some(Scheme::Https), rest),
            Some(_) => return Err(fault(text)),
        };
        if rest.contains("://") {
            return Err(fault(text));
        }
        Ok(Address { text: normal(rest)?, scheme })
    }

    /// Without the port, and an address of version 6 without its brackets.
    pub(crate) fn host(&self) -> &str {
        let host = self.text.rsplit_once(':').map_or(&*self.text, |(host, _)| host);
        host.trim_matches(['[', ']'])
    }

    /// Whether it is this machine in any case. A name may be any machine's.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host().parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
    }
}

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

    #[test]
    fn how_to_call_may_stand_before_it() {
        let read = |text| Address::parse(text).unwrap();
        let address = read("https://alpha");
        assert_eq!((&*address.text, address.scheme), ("alpha:7400", Some(Scheme::Https)));
        assert_eq!((address.host(), address.is_loopback()), ("alpha", false));
        let address = read("http://[::1]:80/");
        assert_eq!((&*address.text, address.scheme), ("[::1]:80", Some(Scheme::Http)));
        assert_eq!((address.host(), address.is_loopback()), ("::1", true));
        assert_eq!(read("localhost").scheme, None);
        assert!(read("localhost").is_loopback() && !read("10.0.0.5").is_loopback());
        assert!(!read("127.0.0.1.evil.example").is_loopback());
        for text in ["ftp://a", "https://", "https://http://a", "https://a/b", "https://u@a"] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }
}
