//! Snapshots of the state.

#![no_main]

#[path = "../checks/prepared.rs"]
mod prepared;
#[path = "../checks/state.rs"]
mod state;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| state::check(bytes));
