//! What clients ask of a host: in place of the interface for people, and as thin as it can be.
//!
//! Everything is asked of the node's own handle, which knows how to reach the leader.

use std::sync::Arc;

use model::{Because, JobSpec, TaskSpec};
use node::{Handle, Refused};
use tokio::sync::watch;
use turmoil::net::TcpStream;

use super::network;
use crate::shared::Shared;
use crate::wire::{self, Ask, Reply, Status};

/// Answers clients for as long as the host lives; before there is a handle nothing is done.
pub(super) async fn listen(shared: Arc<Shared>, handle: watch::Receiver<Option<Handle>>) -> String {
    network::accept(wire::PORT, |stream| {
        let (shared, handle) = (shared.clone(), handle.borrow().clone());
        // What goes wrong on a connection is the client's to notice.
        tokio::spawn(async move { serve(&shared, handle, stream).await });
    })
    .await
}

async fn serve(
    shared: &Shared,
    handle: Option<Handle>,
    mut stream: TcpStream,
) -> std::io::Result<()> {
    let ask = wire::receive(&mut stream).await?;
    let reply = match handle {
        Some(handle) => answer(&handle, ask).await.unwrap_or_else(|refused| {
            let reply = refusal(&refused);
            if reply == Reply::Unfit {
                shared.broken(format!("{ask:?} was refused: {refused}"));
            }
            reply
        }),
        None => Reply::NotDone,
    };
    wire::send(&mut stream, &reply).await
}

async fn answer(handle: &Handle, ask: Ask) -> Result<Reply, Refused> {
    Ok(match ask {
        Ask::Submit { name } => {
            let key = if Ask::has_key(name) { job_name(name) } else { String::new() };
            let submitted = handle.submit(job(name), &key).await?;
            Reply::Submitted { run: submitted.run.0, repeated: submitted.repeated }
        }
        Ask::Cancel { run } => {
            let because = Because::new("user:ann", "");
            match handle.cancel(&run.to_string(), because).await {
                Ok(canceled) if canceled.ended > 0 => Reply::Canceled,
                Ok(_) => Reply::HadEnded,
                Err(Refused::NotFound(_)) => Reply::NotThere,
                Err(refused) => return Err(refused),
            }
        }
        Ask::Named { name } => look(handle, &job_name(name)).await?,
        Ask::Status { run } => look(handle, &run.to_string()).await?,
    })
}

async fn look(handle: &Handle, id: &str) -> Result<Reply, Refused> {
    let detail = match handle.run(id, &[], 0).await {
        Ok(detail) => detail,
        Err(Refused::NotFound(_)) => return Ok(Reply::NotThere),
        Err(refused) => return Err(refused),
    };
    let status = match detail.summary.exit_code {
        None => Status::GoesOn,
        Some(_) => Status::Ended,
    };
    Ok(Reply::Run { run: detail.summary.run.0, status })
}

fn refusal(refused: &Refused) -> Reply {
    match refused {
        Refused::OutcomeUnknown => Reply::Unknown,
        Refused::Unavailable(_) | Refused::Overloaded { .. } | Refused::NoSpace { .. } => {
            Reply::NotDone
        }
        _ => Reply::Unfit,
    }
}

fn job(name: u64) -> JobSpec {
    JobSpec {
        namespace: "default".to_owned(),
        owner: "ann".to_owned(),
        name: job_name(name),
        tasks: vec![TaskSpec::new(vec!["true".to_owned()])],
        ..JobSpec::default()
    }
}

/// What the jobs of clients are called.
pub(crate) fn job_name(name: u64) -> String {
    format!("job-{name}")
}
