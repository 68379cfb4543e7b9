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

    /// Whether an `authorization` header carries the token: `Bearer TOKEN`.
    pub(crate) fn admits(&self, header: Option<&HeaderValue>) -> bool {
        let Some((scheme, token)) = header.and_then(|value| value.as_bytes().split_at_checked(7))
        else {
            return false;
        };
        !self.expected.is_empty()
            && scheme.eq_ignore_ascii_case(b"bearer ")
            && equal(token.trim_ascii(), &self.expected)
    }
}

/// Compares every byte whatever the ones before; only the length shows, and that is no secret.
fn equal(a: &[u8], b: &[u8]) -> bool {
    let different = a.iter().zip(b).fold(0, |different, (a, b)| black_box(different | (a ^ b)));
    a.len() == b.len() && different == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: Option<&str>, admitted: bool) {
        let value = header.map(|text| HeaderValue::from_str(text).unwrap());
        assert_eq!(TokenCheck::new("secret").admits(value.as_ref()), admitted, "{header:?}");
    }

    #[test]
    fn only_the_whole_token_is_admitted() {
        check(Some("Bearer secret"), true);
        check(Some("bearer  secret"), true);
        for wrong in
            ["secret", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Basic secret"]
        {
            check(Some(wrong), false);
        }
        check(None, false);
    }

    #[test]
    fn an_empty_token_admits_nobody() {
        let value = HeaderValue::from_static("Bearer ");
        assert!(!TokenCheck::new("").admits(Some(&value)));
    }
}
