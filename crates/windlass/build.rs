//! Links the program to fixed addresses: a command starts in half the time then.
//!
//! A position-independent one is moved by the loader at each start, which writes to every page of its
//! half a megabyte of pointers. See `docs/adr/0026-fixed-addresses.md`.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|is| is == value);
    if is("CARGO_CFG_TARGET_OS", "linux") && is("CARGO_CFG_TARGET_ENV", "gnu") {
        println!("cargo:rustc-link-arg-bins=-no-pie");
    }
}
