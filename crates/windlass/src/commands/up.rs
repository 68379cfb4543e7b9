//! `windlass up`.
use crate::failure::Failure;
#[derive(clap::Args, Debug)]
pub(crate) struct Args {}
pub(crate) fn execute(_args: Args) -> Result<u8, Failure> {
    Ok(0)
}
