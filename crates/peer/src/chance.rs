//! Chance that nobody can guess.

use crate::Error;

/// Bytes of chance, from the kernel.
pub(crate) fn random<const BYTES: usize>() -> Result<[u8; BYTES], Error> {
    let mut bytes = [0; BYTES];
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(count) if count == BYTES => Ok(bytes),
        _ => Err(Error::NoChance),
    }
}
