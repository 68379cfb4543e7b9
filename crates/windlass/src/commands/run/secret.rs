//! Secrets of a `run` command line: named there, never written there.

use std::fs::File;
use std::io::Read;

use model::Secret;

use crate::failure::Failure;

/// Bytes of one secret; a larger one does not fit a task's environment.
const FILE_BYTES_MAX: u64 = 1 << 20;

#[derive(clap::Args, Debug)]
pub(super) struct SecretArgs {
    /// Give the task this variable of here, or a file's text, in secret
    #[arg(long = "secret-env", value_name = "NAME[=@FILE]")]
    secret_env: Vec<String>,
    /// Give the task the text of FILE as a variable, in secret
    #[arg(long = "secret-file", value_name = "NAME=FILE", hide_short_help = true)]
    secret_file: Vec<String>,
}

impl SecretArgs {
    /// The secrets, in the clear: the node seals them.
    pub(super) fn secrets(&self) -> Result<Vec<Secret>, Failure> {
        let here = self.secret_env.iter().map(|text| match text.split_once('=') {
            None => variable(text),
            Some((name, file)) => match file.strip_prefix('@') {
                Some(file) => read(name, file),
                None => Err(Failure::usage(format!("`--secret-env {name}=…`: others could see a value that is written here"))
                    .hint(format!("set the variable and give its name, `--secret-env {name}`, or a file, `--secret-env {name}=@FILE`"))),
            },
        });
        let files = self.secret_file.iter().map(|text| match text.split_once('=') {
            Some((name, file)) => read(name, file),
            None => Err(Failure::usage(format!("`--secret-file {text}`: which file?"))
                .hint(format!("write `--secret-file {text}=FILE`"))),
        });
        here.chain(files).collect()
    }
}

fn variable(name: &str) -> Result<Secret, Failure> {
    let value = std::env::var(name).map_err(|_| {
        Failure::usage(format!(
            "`--secret-env {name}`: there is no such variable here, or it is no text"
        ))
        .hint(format!("set it before, or name a file: `--secret-env {name}=@FILE`"))
    })?;
    Ok(Secret { name: name.to_owned(), key: 0, value: value.into() })
}

/// The text of a file, without the end of its last line.
fn read(name: &str, file: &str) -> Result<Secret, Failure> {
    let mut value = Vec::new();
    let text = File::open(file).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut value));
    text.map_err(|error| {
        Failure::usage(format!("cannot read the secret `{name}` from `{file}`: {error}"))
    })?;
    if value.last() == Some(&b'\n') {
        value.pop();
    }
    Ok(Secret { name: name.to_owned(), key: 0, value })
}
