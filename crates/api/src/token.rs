//! The token that every call must bring.
//!
//! It is compared in constant time, so that answering times tell nothing of it. It is never logged
//! and has no `Display`.

use std::hint::black_box;

use http::HeaderValue;

/// Checks the tokens that callers bring against the node's own.
#[derive(Clone)]
pub struct TokenCheck {
    expected: Box<[u8]>,
}

impl std::fmt::Debug for TokenCheck {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenCheck")
    }
}

impl TokenCheck {
    /// Admits callers with this token and no others; with an empty one, nobody.
    pub fn new(token: &str) -> TokenCheck {
        TokenCheck { expected: token.as_bytes().into() }
    }

    /// Whether this is the token.
    pub(crate) fn admits(&self, text: &[u8]) -> bool {
        !self.expected.is_empty() && equal(text, &self.expected)
    }
}

/// The token in an `authorization` header: `Bearer TOKEN`.
pub(crate) fn bearer(header: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = header.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

/// Compares every byte whatever the ones before; only the length shows, and that is no secret.
fn equal(a: &[u8], b: &[u8]) -> bool {
    let different = a.iter().zip(b).fold(0, |different, (a, b)| black_box(different | (a ^ b)));
    a.len() == b.len() && different == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: &str, admitted: bool) {
        let value = HeaderValue::from_str(header).unwrap();
        let found = bearer(&value).is_some_and(|text| TokenCheck::new("secret").admits(text));
        assert_eq!(found, admitted, "{header:?}");
    }

    #[test]
    fn only_the_whole_token_is_admitted() {
        check("Bearer secret", true);
        check("bearer  secret", true);
        for wrong in
            ["secret", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Basic secret", ""]
        {
            check(wrong, false);
        }
    }

    #[test]
    fn an_empty_token_admits_nobody() {
        assert!(!TokenCheck::new("").admits(b""));
    }
}
