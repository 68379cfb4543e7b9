//! Blocks of history.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| history::fuzz::block(bytes));
