//! `windlass logs`: the output of a run, of all its elements or some, merged by time.

use proto::api::LogsRequest;
use proto::api::logs_request::Streams;
use tonic::Status;

use crate::client::patience::Patience;
use crate::client::{self, Client, Target};
use crate::failure::Failure;
use crate::show::output::{Form, Output};

const EXAMPLES: &str = "\
Examples:
  windlass logs last                everything the last run wrote
  windlass logs -f 812              go on until it has ended
  windlass logs 812/main[3,7-9]     some elements of an array
  windlass logs --stderr 812#2      stderr of the second attempts

What a task wrote to stdout goes to stdout, stderr to stderr. Lines of an
array begin with `[INDEX] `; `--raw` leaves them as they were written.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// A run (`812`, `last`, a job's name) or parts of it (`812/main[3-5]`)
    #[arg(value_name = "ID", add = clap_complete::ArgValueCandidates::new(crate::complete::runs))]
    id: String,
    /// Go on until everything selected has ended
    #[arg(short, long)]
    follow: bool,
    /// Only attempt N of each element
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    attempt: Option<u32>,
    /// Only what was written to stdout
    #[arg(long, conflicts_with = "stderr")]
    stdout: bool,
    /// Only what was written to stderr
    #[arg(long)]
    stderr: bool,
    /// Leave lines as they were written, without the index before them
    #[arg(long)]
    raw: bool,
    /// Print a JSON object a line
    #[arg(long, conflicts_with = "raw")]
    json: bool,
}

impl Args {
    fn request(&self) -> Result<LogsRequest, Failure> {
        let mut selector = client::check_id(&self.id)?;
        if let Some(attempt) = self.attempt {
            if selector.attempt.is_some_and(|named| named != attempt) {
                let id = &self.id;
                return Err(Failure::usage(format!("`{id}` and `--attempt {attempt}` disagree")));
            }
            selector.attempt = Some(attempt);
        }
        let streams = match (self.stdout, self.stderr) {
            (true, _) => Streams::Stdout,
            (_, true) => Streams::Stderr,
            _ => Streams::Both,
        };
        // A UUID names its task by position, which only it can say.
        let id = match self.attempt {
            Some(attempt) if !self.id.contains('#') => format!("{}#{attempt}", self.id),
            _ => self.id.clone(),
        };
        Ok(LogsRequest { id, follow: self.follow, streams: streams as i32 })
    }
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let mut request = args.request()?;
    let what = format!("show the output of `{}`", args.id);
    let mut client = Client::connect(&target).await?;
    request.id = client.pin(&request.id).await?;
    let mut output = Output::new(match (args.json, args.raw) {
        (true, _) => Form::Json,
        (_, true) => Form::Raw,
        _ => Form::Plain,
    });
    let mut patience = Patience::new();
    loop {
        match show(&mut client, &request, &mut output, &mut patience).await {
            Ok(shown) => {
                shown.and_then(|()| output.finish()).map_err(|error| {
                    Failure::new(format!("cannot {what}: cannot write: {error}"))
                })?;
                return Ok(0);
            }
            Err(status) => patience.bear(&client, &what, &status).await?,
        }
    }
}

/// The inner result is about writing, the outer about the node.
async fn show(
    client: &mut Client,
    request: &LogsRequest,
    output: &mut Output,
    patience: &mut Patience,
) -> Result<std::io::Result<()>, Status> {
    let mut chunks = client.rpc.logs(request.clone()).await?.into_inner();
    while let Some(chunk) = chunks.message().await? {
        patience.answered();
        if let Err(error) = output.show(chunk) {
            return Ok(Err(error));
        }
        if output.reader_left() {
            break;
        }
    }
    Ok(Ok(()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn check(line: &[&str], expected: Result<(&str, Streams), u8>) {
        let args = Line::try_parse_from([&["logs"], line].concat()).ok().unwrap().args;
        let found = args.request().map_err(|failure| failure.exit);
        let found = found.as_ref().map(|request| (request.id.as_str(), request.streams()));
        assert_eq!(found, expected.as_ref().copied(), "{line:?}");
    }

    #[test]
    fn selectors_and_streams_reach_the_node() {
        check(&["812"], Ok(("812", Streams::Both)));
        check(&["812", "--attempt", "2", "--stdout"], Ok(("812#2", Streams::Stdout)));
        check(&["812#2", "--attempt", "2", "--stderr"], Ok(("812#2", Streams::Stderr)));
        check(&["812#1", "--attempt", "2"], Err(2));
        check(&["8 12"], Err(2));
    }
}
