//! Parts of history.

#![no_main]

#[path = "../checks/history_part.rs"]
mod history_part;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| history_part::check(bytes));
