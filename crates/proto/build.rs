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
    // Nodes speak it among themselves, on another listener: reflection does not tell of it either.
    let with_peers = files.into_iter().chain(["windlass/peer/v1/peer.proto"]);
    let descriptors = protox::compile(with_peers, ["proto"])?;
    // These may hold secrets in the clear; what they print of themselves is written by hand.
    let silent = [
        "windlass.job.v1.Secret",
        "windlass.supervisor.v1.Start",
        "windlass.peer.v1.JoinRequest",
        "windlass.session.v1.OutputChunk",
    ];
    tonic_prost_build::configure().skip_debug(silent).compile_fds(descriptors)?;
    // Apart, for it is no interface of ours: reflection does not tell of it.
    let traces = protox::compile(["opentelemetry/trace.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(traces)?;
    Ok(())
}
