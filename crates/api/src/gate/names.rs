//! The names that a listener is called by: what a request may name as its host, and a page as its origin.
//!
//! Over TLS the names that count are those of the certificate, at any port, for a port may have been
//! forwarded. A browser that was led here by another name has refused the certificate already, and
//! one that was told to go on regardless, or a program that checks none, is refused here.

use std::net::SocketAddr;

use crate::tls::Shown;

/// What a listener is called.
pub(crate) struct Names {
    /// `127.0.0.1:7400` and the like, whatever the certificate says.
    listed: Vec<String>,
    /// Whose names count beside those, where TLS is spoken.
    shown: Option<Shown>,
}

impl Names {
    pub(crate) fn of(listening: SocketAddr, shown: Option<Shown>) -> Names {
        let (ip, port) = (listening.ip(), listening.port());
        let mut listed = vec![listening.to_string()];
        if ip.is_loopback() || ip.is_unspecified() {
            listed.extend(["localhost", "127.0.0.1", "[::1]"].map(|n| format!("{n}:{port}")));
        }
        Names { listed, shown }
    }

    /// Whether this is a name of the listener.
    pub(super) fn is_own(&self, authority: &[u8]) -> bool {
        let shown = || self.shown.as_ref().zip(host(authority));
        self.listed.iter().any(|own| own.as_bytes().eq_ignore_ascii_case(authority))
            || shown().is_some_and(|(shown, host)| shown.is_for(host))
    }

    /// Whether a page of this origin is one of this listener's, which was called by these names.
    pub(super) fn is_own_origin(&self, origin: &[u8], hosts: &[&[u8]]) -> bool {
        match &self.shown {
            None => origin.strip_prefix(b"http://").is_some_and(|one| self.is_own(one)),
            // Another port of this machine is somebody else's, so the name alone says nothing.
            Some(_) => origin
                .strip_prefix(b"https://")
                .is_some_and(|one| hosts.iter().all(|host| host.eq_ignore_ascii_case(one))),
        }
    }
}

/// The host of `HOST`, `HOST:PORT` or `[HOST]:PORT`; `None` of anything else, user names above all.
fn host(authority: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(authority).ok()?;
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port = if port.is_empty() { Some("0") } else { port.strip_prefix(':') };
    let is_port =
        |text: &str| text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok();
    port.is_some_and(is_port).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Beyond loopback, with a certificate.
    fn secured() -> (Names, Shown) {
        let names = ["alpha.example", "*.wild.example", "10.0.0.5", "fd00::5"];
        let shown = Shown::new(crate::tls::of(&names));
        (Names::of("0.0.0.0:7400".parse().unwrap(), Some(shown.clone())), shown)
    }

    #[test]
    fn those_of_the_certificate_are_its_own_at_any_port() {
        let (names, _) = secured();
        for host in [
            "alpha.example:7400",
            "ALPHA.example",
            "alpha.example:443",
            "x.wild.example:1",
            "10.0.0.5:7400",
            "[fd00::5]:7400",
            "localhost:7400",
            "127.0.0.1:7400",
        ] {
            assert!(names.is_own(host.as_bytes()), "{host}");
        }
    }

    /// One of an attacker's own that points at the node, and what looks like one of the node's.
    #[test]
    fn one_that_was_pointed_here_is_not() {
        let (names, _) = secured();
        for host in [
            "evil.example:7400",
            "alpha.example.evil.example:7400",
            "wild.example:7400",
            "a.b.wild.example:7400",
            "10.0.0.6:7400",
            "alpha.example@evil.example",
            "evil.example@alpha.example",
            "alpha.example:x",
            "alpha.example:7400/",
            "[10.0.0.5]x",
            "",
        ] {
            assert!(!names.is_own(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn one_that_a_certificate_had_is_none_once_another_is_shown() {
        let (names, shown) = secured();
        shown.replace(crate::tls::of(&["beta.example"]));
        assert!(!names.is_own(b"alpha.example:7400"));
        assert!(names.is_own(b"beta.example:7400"));
    }

    #[test]
    fn over_tls_a_page_is_of_the_same_name_and_port() {
        let (names, _) = secured();
        let called: [&[u8]; 1] = [b"alpha.example:7400"];
        assert!(names.is_own_origin(b"https://alpha.example:7400", &called));
        for origin in [
            "http://alpha.example:7400",
            "https://alpha.example:8443",
            "https://alpha.example",
            "https://x.wild.example:7400",
            "https://10.0.0.5:7400",
            "https://evil.example:7400",
            "null",
        ] {
            assert!(!names.is_own_origin(origin.as_bytes(), &called), "{origin}");
        }
    }

    #[test]
    fn without_tls_no_certificate_adds_a_name() {
        let names = Names::of("127.0.0.1:7400".parse().unwrap(), None);
        let called: [&[u8]; 1] = [b"localhost:7400"];
        assert!(!names.is_own(b"alpha.example:7400"));
        assert!(names.is_own_origin(b"http://localhost:7400", &called));
        assert!(!names.is_own_origin(b"https://localhost:7400", &called));
    }
}
