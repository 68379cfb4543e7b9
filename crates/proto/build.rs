//! Compiles the `.proto` files without `protoc`.

use std::path::PathBuf;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let files = [
        "windlass/job/v1/job.proto",
        "windlass/record/v1/record.proto",
        "windlass/record/v1/snapshot.proto",
        "windlass/session/v1/session.proto",
        "windlass/supervisor/v1/supervisor.proto",
        "windlass/v1/windlass.proto",
    ];
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("windlass.bin"), prost::Message::encode_to_vec(&descriptors))?;
    // These may hold secrets in the clear; what they print of themselves is written by hand.
    let silent = ["windlass.job.v1.Secret", "windlass.supervisor.v1.Start"];
    tonic_prost_build::configure().skip_debug(silent).compile_fds(descriptors)?;
    // Apart, for it is no interface of ours: reflection does not tell of it.
    let traces = protox::compile(["opentelemetry/trace.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(traces)?;
    Ok(())
}
