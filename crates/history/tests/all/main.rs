//! History on a real disk: what is added is found, whatever is flushed, merged, deleted, damaged.

#![allow(clippy::unwrap_used)]

mod copied;
mod damage;
mod facts;
mod full;
mod lists;
mod model;
mod retention;
mod support;
