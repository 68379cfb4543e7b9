//! Links the program to fixed addresses: a command starts in half the time then.
//!
//! A position-independent one is moved by the loader at each start, which writes to every page of its
//! half a megabyte of pointers. See `docs/adr/0026-fixed-addresses.md`.
//!
//! It must never do so to a static program, which begins with other code then: `cargo xtask package`
//! tells the compiler.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let has = |name: &str, value: &str| {
        std::env::var(name).is_ok_and(|list| list.split(',').any(|is| is == value))
    };
    let is_static = has("CARGO_CFG_TARGET_FEATURE", "crt-static");
    if has("CARGO_CFG_TARGET_OS", "linux") && has("CARGO_CFG_TARGET_ENV", "gnu") && !is_static {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
