//! Chance that nobody can guess.

use crate::error::Refused;

/// Bytes of chance, from the kernel.
pub(crate) fn random<const BYTES: usize>() -> Result<[u8; BYTES], Refused> {
    let mut bytes = [0; BYTES];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    match filled {
        Ok(count) if count == BYTES => Ok(bytes),
        _ => Err(Refused::Failed("the system gives no random bytes".to_owned())),
    }
}
