//! Numbers and texts as bytes: variable-length, and read back without trust.

/// Writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Out(pub(crate) Vec<u8>);

impl Out {
    /// A number: seven bits a byte, the lowest first.
    pub(crate) fn number(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    /// The way from one number to another, short where it is short in either direction.
    pub(crate) fn step(&mut self, from: u64, to: u64) {
        let way = to.wrapping_sub(from) as i64;
        self.number(((way << 1) ^ (way >> 63)) as u64);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }
}

/// Reads; `None` where the bytes are no such thing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct In<'a>(pub(crate) &'a [u8]);

impl<'a> In<'a> {
    pub(crate) fn number(&mut self) -> Option<u64> {
        let mut value = 0u64;
        for (at, &byte) in self.0.iter().enumerate().take(10) {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                return None;
            }
            value |= bits << (7 * at);
            if byte < 0x80 {
                self.0 = &self.0[at + 1..];
                return Some(value);
            }
        }
        None
    }

    pub(crate) fn number32(&mut self) -> Option<u32> {
        u32::try_from(self.number()?).ok()
    }

    /// What [`Out::step`] wrote.
    pub(crate) fn step(&mut self, from: u64) -> Option<u64> {
        let coded = self.number()?;
        let way = (coded >> 1) as i64 ^ -((coded & 1) as i64);
        Some(from.wrapping_add(way as u64))
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let count = usize::try_from(self.number()?).ok()?;
        self.take(count)
    }

    pub(crate) fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    /// How many follow, each of at least one byte: so never more than there are bytes.
    pub(crate) fn count(&mut self) -> Option<usize> {
        let count = usize::try_from(self.number()?).ok()?;
        (count <= self.0.len()).then_some(count)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_steps_are_read_back() {
        let some = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX];
        for from in some {
            for to in some {
                let mut out = Out::default();
                out.number(to);
                out.step(from, to);
                let mut bytes = In(&out.0);
                assert_eq!((bytes.number(), bytes.step(from)), (Some(to), Some(to)));
                assert!(bytes.is_empty());
            }
        }
    }

    #[test]
    fn what_is_cut_or_too_long_is_no_number() {
        assert_eq!(In(&[0x80]).number(), None);
        assert_eq!(In(&[0xff; 11]).number(), None);
        assert_eq!(In(&[5, 1, 2]).bytes(), None);
        assert_eq!(In(&[9, 1, 2]).count(), None);
    }
}
