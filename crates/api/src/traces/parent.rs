//! The span in which a caller asks, as W3C's Trace Context writes it: `traceparent`.

use http::{HeaderMap, HeaderName};
use node::traces::SpanRef;

const HEADER: HeaderName = HeaderName::from_static("traceparent");

/// The caller's span; `None` where they name none, or none that can be read.
pub(crate) fn caller_span(headers: &HeaderMap) -> Option<SpanRef> {
    let mut all = headers.get_all(HEADER).iter();
    match (all.next(), all.next()) {
        (Some(one), None) => read(one.to_str().ok()?),
        _ => None,
    }
}

/// `00-TRACE-SPAN-FLAGS` in small hexadecimal digits. A later version may have more behind it.
fn read(text: &str) -> Option<SpanRef> {
    let mut parts = text.split('-');
    let [version] = bytes(parts.next()?)?;
    let trace = bytes(parts.next()?)?;
    let span = bytes(parts.next()?)?;
    let [flags] = bytes(parts.next()?)?;
    let good = version != 0xff && (version > 0 || parts.next().is_none());
    let named = trace != [0; 16] && span != [0; 8];
    (good && named).then_some(SpanRef { trace, span, flags })
}

fn bytes<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    let small = |byte: &u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
    if digits.len() != 2 * N || !digits.iter().all(small) {
        return None;
    }
    let mut all = [0; N];
    for (byte, two) in all.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()?;
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn a_callers_span_is_read() {
        let span = read(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        assert_eq!(
            (span.trace[0], span.trace[15], span.span[1], span.flags),
            (0x4b, 0x36, 0xf0, 1)
        );
        assert!(read(&format!("01-{TRACE}-{SPAN}-00-more")).is_some(), "a later version");
    }

    #[test]
    fn what_is_no_span_is_none() {
        let zeros = "0".repeat(32);
        for text in [
            String::new(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{}-{SPAN}-01", "ü".repeat(16)),
        ] {
            assert_eq!(read(&text), None, "{text}");
        }
    }
}
