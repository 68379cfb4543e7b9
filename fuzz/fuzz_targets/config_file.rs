//! Configuration files, as a person or a program may have left them.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[allow(dead_code)]
#[path = "../../crates/windlass/src/settings"]
mod settings {
    pub(crate) mod document;
    pub(crate) mod fault;
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Err(fault) = settings::document::read(text) {
        assert!(fault.show("f", text).starts_with("f:"));
    }
});
