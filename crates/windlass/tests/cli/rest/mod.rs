//! REST over a real listener with a real node behind it.

pub(crate) mod client;

mod lists;
mod output;
mod problems;
mod runs;
mod schema;
