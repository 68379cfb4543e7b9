//! Records of the journal.

#![no_main]

#[path = "../checks/prepared.rs"]
mod prepared;
#[path = "../checks/record.rs"]
mod record;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| record::check(bytes));
