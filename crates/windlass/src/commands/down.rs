//! `windlass down`: ends the node and its tasks.

use std::time::Duration;

use proto::api::{DownRequest, GetServerRequest};

use crate::client::{self, Client, Target, is_lost};
use crate::failure::Failure;
use crate::process::Process;
use crate::show::out;
use crate::show::progress::Progress;

/// From the end of the last task to the end of the process, which ends after its supervisor.
const EXIT_TIMEOUT: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Examples:
  windlass down
  windlass down -N 127.0.0.1:7401 --reason 'the machine is needed'

Tasks that run get SIGTERM and, after their grace, SIGKILL, and go back to the
queue: the next `windlass up` on the same directory starts them again, unless
they were submitted with `--on-lost fail`.";

#[derive(clap::Args, Debug)]
#[command(after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// Say why, for whoever looks at it later
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

pub(crate) async fn execute(args: Args, target: Target) -> Result<u8, Failure> {
    let mut client = Client::connect(&target).await?;
    let fail = |client: &Client, status| client.failure("end the node", &status);
    let server = client.rpc.get_server(GetServerRequest {}).await;
    let server = server.map_err(|status| fail(&client, status))?.into_inner();
    // Held from before the end, so that no other process can take its number.
    let process = Process::open(server.pid);

    let request = DownRequest { reason: args.reason, actor: format!("user:{}", client::user()) };
    let events = client.rpc.down(request).await;
    let mut events = events.map_err(|status| fail(&client, status))?.into_inner();
    let mut progress = Progress::new();
    let mut most = 0;
    loop {
        match events.message().await {
            Ok(Some(event)) => {
                most = most.max(event.tasks_left);
                progress.update("tasks ended", most - event.tasks_left, most);
            }
            Ok(None) => break,
            // The node is on its way out; whether it gets there is seen below.
            Err(status) if is_lost(&status) => break,
            Err(status) => return Err(fail(&client, status)),
        }
    }
    progress.clear();
    if !process.is_none_or(|process| process.gone_within(EXIT_TIMEOUT)) {
        let (pid, seconds) = (server.pid, EXIT_TIMEOUT.as_secs());
        let message = format!("the node's process {pid} is still there after {seconds} s");
        return Err(Failure::new(message).hint("its log says what it waits for"));
    }
    let tasks = match most {
        0 => "no tasks were running".to_owned(),
        1 => "1 task was stopped".to_owned(),
        n => format!("{n} tasks were stopped"),
    };
    out::note(format!("node {} is down; {tasks}", server.node_name));
    Ok(0)
}
