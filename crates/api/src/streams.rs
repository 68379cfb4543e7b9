//! Answers that go on: each is made by a task of its own, which ends with its caller or its work.

use std::future::Future;
use std::pin::Pin;

use tokio::sync::mpsc::{self, Sender};
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status};

/// Messages that wait for a slow caller; beyond them its answer waits.
const WAITING_MAX: usize = 64;

/// A streamed answer.
pub(crate) type Messages<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Where a streamed answer is put. An error means that the caller has left.
pub(crate) struct Recipient<T>(Sender<Result<T, Status>>);

impl<T> Clone for Recipient<T> {
    fn clone(&self) -> Self {
        Recipient(self.0.clone())
    }
}

impl<T> Recipient<T> {
    /// Sends one message, once there is room for it.
    pub(crate) async fn send(&self, message: T) -> Result<(), Status> {
        self.0.send(Ok(message)).await.map_err(|_| Status::cancelled("the caller has left"))
    }
}

/// Answers with what `work` sends; its error is the last word.
pub(crate) fn answer<T, F>(work: impl FnOnce(Recipient<T>) -> F) -> Response<Messages<T>>
where
    T: Send + 'static,
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(WAITING_MAX);
    let work = work(Recipient(sender.clone()));
    tokio::spawn(async move {
        tokio::select! {
            done = work => if let Err(status) = done {
                // A caller that left does not hear it.
                let _ = sender.send(Err(status)).await;
            },
            () = sender.closed() => {}
        }
    });
    Response::new(Box::pin(ReceiverStream::new(receiver)))
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt;

    use super::*;

    #[tokio::test]
    async fn an_error_is_the_last_word() {
        let messages = answer(|caller| async move {
            caller.send(1).await?;
            Err(Status::not_found("x"))
        });
        let all: Vec<_> = messages.into_inner().map(|m| m.map_err(|s| s.code())).collect().await;
        assert_eq!(all, [Ok(1), Err(tonic::Code::NotFound)]);
    }

    #[tokio::test]
    async fn work_ends_when_its_caller_leaves() {
        let (ended, mut heard) = mpsc::channel::<()>(1);
        let messages = answer(|_: Recipient<u8>| async move {
            let _ended = ended;
            std::future::pending().await
        });
        drop(messages);
        assert!(heard.recv().await.is_none());
    }
}
