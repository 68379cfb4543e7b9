//! Bodies that REST reads.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| api::fuzz::bodies(bytes));
