//! Where a page ended, as a text that nobody is meant to read.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, Uri};

use super::problem::Problem;

/// Writes numbers as a cursor of this kind.
pub(super) fn write(kind: char, numbers: &[u64]) -> String {
    let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
    URL_SAFE_NO_PAD.encode(format!("{kind}{}", numbers.join(".")))
}

/// Reads a cursor of this kind, with this many numbers.
pub(super) fn read<const N: usize>(kind: char, cursor: &str) -> Result<[u64; N], Problem> {
    let read = || {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let text = std::str::from_utf8(&bytes).ok()?.strip_prefix(kind)?;
        let numbers: Option<Vec<u64>> = text.split('.').map(|number| number.parse().ok()).collect();
        <[u64; N]>::try_from(numbers?).ok()
    };
    let problem = "it is none that this list has given out";
    read().ok_or_else(|| Problem::parameter("cursor", problem).hint("begin without a cursor"))
}

/// The `Link` to the next page of the list at `uri`, with all of its other parameters.
pub(super) fn link(uri: &Uri, cursor: &str) -> Option<HeaderValue> {
    let others = uri.query().unwrap_or_default().split('&');
    let others = others.filter(|pair| !pair.is_empty() && !pair.starts_with("cursor="));
    let query: Vec<_> = others
        .chain([format!("cursor={cursor}").as_str()])
        .collect::<Vec<_>>()
        .join("&")
        .into_bytes();
    let target = format!("<{}?{}>; rel=\"next\"", uri.path(), String::from_utf8(query).ok()?);
    HeaderValue::from_str(&target).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_way() {
        let cursor = write('e', &[3, 70_000]);
        assert_eq!(read('e', &cursor), Ok([3, 70_000]));
        for bad in ["", "x", cursor.as_str()] {
            assert_eq!(read::<1>('r', bad).unwrap_err().status, 422);
        }
    }

    #[test]
    fn a_link_keeps_the_other_parameters() {
        let uri = "/v1/runs?limit=2&cursor=old&state=failed".parse().unwrap();
        let link = link(&uri, "new").unwrap();
        assert_eq!(link, "</v1/runs?limit=2&state=failed&cursor=new>; rel=\"next\"");
    }
}
