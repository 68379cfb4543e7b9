//! Streams of answers: they last as long as whoever serves them, and go with their connection.

use std::pin::Pin;

use futures::{Stream, StreamExt};
use model::NodeId;
use proto::session::{ToControl, ToWorker, to_control};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::calls::Call;

/// Bytes of what a node says of itself: its name, its labels, what is wrong with it.
const SELF_BYTES_MAX: usize = 64 << 10;
/// Words that wait in each direction.
const WORDS_MAX: usize = 64;

/// What is answered, one after the other.
pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Serves the words of `node` until `serve` is done; `call` is held as long.
///
/// Where the stream of answers is dropped, so is `serve`, wherever it stands.
pub(crate) fn last<S, F>(
    node: NodeId,
    mut words: Streaming<ToControl>,
    call: Call,
    serve: S,
) -> Answers<ToWorker>
where
    S: FnOnce(mpsc::Receiver<ToControl>, mpsc::Sender<ToWorker>) -> F + Send + 'static,
    F: Future<Output = Result<(), Status>> + Send,
{
    let (to_control, from_worker) = mpsc::channel(WORDS_MAX);
    answers(WORDS_MAX, async move |to_worker| {
        let _call = call;
        let pump = async {
            while let Some(Ok(word)) = words.next().await {
                check(&word, node)?;
                if to_control.send(word).await.is_err() {
                    break;
                }
            }
            drop(to_control);
            Ok(())
        };
        let session = serve(from_worker, to_worker);
        // The session hears of the end of the worker's words, and does what is left to do.
        tokio::select! { Err(status) = pump => Err(status), ended = session => ended }
    })
}

/// What `serve` answers until it is done; so many wait for whoever takes them.
///
/// Where the stream is dropped, so is `serve`, wherever it stands.
pub(crate) fn answers<T, S, F>(answers_max: usize, serve: S) -> Answers<T>
where
    T: Send + 'static,
    S: FnOnce(mpsc::Sender<T>) -> F,
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let (sender, answers) = mpsc::channel(answers_max);
    let (mut end, ended) = oneshot::channel();
    // Owned by the stream of answers: `end` is dropped with it, and this with that.
    let lasting = serve(sender);
    tokio::spawn(async move {
        let ended = tokio::select! {
            ended = lasting => ended,
            () = end.closed() => return,
        };
        let _ = end.send(ended);
    });
    let last = futures::stream::once(ended).filter_map(async |ended| match ended {
        Ok(Err(status)) => Some(Err(status)),
        _ => None,
    });
    // The channel ends with whoever serves, and then comes its last word.
    Box::pin(ReceiverStream::new(answers).map(Ok).chain(last))
}

/// A worker speaks for no other node than itself, and what it says of itself is kept by the whole
/// cluster: it has a limit.
// The type of a refusal is tonic's, and as large as that is.
#[allow(clippy::result_large_err)]
fn check(word: &ToControl, node: NodeId) -> Result<(), Status> {
    let text = match &word.kind {
        Some(to_control::Kind::Hello(hello)) => {
            if NodeId::from_bytes(&hello.node_id) != Some(node) {
                let why = "the hello is of another node than the certificate";
                return Err(Status::permission_denied(why));
            }
            let labels = hello.labels.iter().flat_map(|label| [&label.key, &label.value]);
            let said = [&hello.name, &hello.version, &hello.containment, &hello.degraded];
            labels.chain(said).map(String::len).sum()
        }
        Some(to_control::Kind::Condition(condition)) => condition.degraded.len(),
        _ => 0,
    };
    match text <= SELF_BYTES_MAX {
        true => Ok(()),
        false => Err(Status::invalid_argument(format!(
            "what the node says of itself has {text} bytes, and at most {SELF_BYTES_MAX} are kept\nhint: give it fewer labels"
        ))),
    }
}
