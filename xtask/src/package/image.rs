//! The container image, built by the Docker Engine from an empty one and the static binary.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result};

use super::{install, run_program, version};
use crate::workspace;

const HINT: &str = "the image needs a Docker Engine; start one and name it with DOCKER_HOST where it is not the usual, or make the others alone: `cargo xtask package binary deb`";

/// Builds it and puts it into `out`, for `docker load`.
pub(super) fn build(binary: &Path, out: &Path) -> Result<PathBuf> {
    let context = out.join("image");
    if context.exists() {
        fs::remove_dir_all(&context)
            .with_context(|| format!("clearing `{}`", context.display()))?;
    }
    install(binary, &context.join("windlass"), 0o755)?;
    for file in ["Dockerfile", "passwd", "group"] {
        let from = workspace::root().join("packaging/image").join(file);
        install(&from, &context.join(file), 0o644)?;
    }
    let tag = format!("windlass:{}", version());
    // The builder that every engine has: nothing here needs more.
    let mut docker = Command::new("docker");
    docker.env("DOCKER_BUILDKIT", "0").args(["build", "--tag", &tag, "--tag", "windlass:latest"]);
    run_program(docker.arg(&context), HINT)?;
    let file = out.join(format!("windlass-{}-image.tar", version()));
    let mut docker = Command::new("docker");
    run_program(docker.args(["save", "--output"]).arg(&file).arg(&tag), HINT)?;
    Ok(file)
}
