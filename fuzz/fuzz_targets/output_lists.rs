//! The small lists beside the segments of output.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| runner::fuzz::lists(bytes));
