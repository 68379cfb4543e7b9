//! From an accepted connection to a secured one: handshakes beside each other, each with an end.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;

use super::shown::Shown;

/// How long a handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(5);
/// The first byte of every handshake.
const CLIENT_HELLO: u8 = 0x16;
/// What whoever speaks in the clear is told, before the connection ends.
const SPEAK_TLS: &str = "HTTP/1.1 400 Bad Request\r
content-type: text/plain; charset=utf-8\r
connection: close\r
\r
this port speaks TLS: write https:// before its address\n";
/// Bytes of theirs that are read before, so that the system hands the answer on.
const UNREAD_BYTES_MAX: usize = 64 << 10;

/// Secures connections, or leaves them as they are.
#[derive(Clone)]
pub(crate) struct Handshakes(Option<TlsAcceptor>);

impl Handshakes {
    /// Connections stay as they are.
    pub(crate) fn none() -> Handshakes {
        Handshakes(None)
    }

    /// Connections are secured with what is shown.
    pub(crate) fn with(shown: &Shown) -> Result<Handshakes, rustls::Error> {
        Ok(Handshakes(Some(TlsAcceptor::from(shown.config()?))))
    }

    /// Secures a connection. It is dropped where that fails or takes too long.
    pub(crate) async fn secure(&self, stream: TcpStream) -> io::Result<Stream> {
        let Some(acceptor) = &self.0 else { return Ok(Either::Left(stream)) };
        let handshake = async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first[0] != CLIENT_HELLO {
                refuse_plain(stream).await;
                return Err(io::Error::other("it does not speak TLS"));
            }
            Ok(Either::Right(Box::new(acceptor.accept(stream).await?)))
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "it took too long");
        tokio::time::timeout(HANDSHAKE, handshake).await.map_err(late)?
    }
}

/// Says what is spoken here. What was sent is lost: it may hold a token, and is not looked at.
async fn refuse_plain(mut stream: TcpStream) {
    let told = stream.write_all(SPEAK_TLS.as_bytes()).await;
    if told.and(stream.shutdown().await).is_ok() {
        let mut unread = stream.take(UNREAD_BYTES_MAX as u64);
        let _ = tokio::io::copy(&mut unread, &mut tokio::io::sink()).await;
    }
}

/// A caller's connection, as it is or secured.
pub(crate) type Stream = Either<TcpStream, Box<TlsStream<TcpStream>>>;

/// The connection below.
pub(crate) fn tcp(stream: &Stream) -> &TcpStream {
    match stream {
        Either::Left(stream) => stream,
        Either::Right(stream) => stream.get_ref().0,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::StreamExt;
    use prometheus_client::metrics::gauge::Gauge;
    use rustls::ClientConfig;
    use rustls::pki_types::ServerName;
    use tokio::net::TcpListener;

    use super::*;
    use crate::listener::connections;
    use crate::tls::certificate::tests::of;

    /// A listener that echoes what it hears over TLS, and a client's configuration that believes it.
    async fn echoing() -> (std::net::SocketAddr, Arc<ClientConfig>, Shown) {
        let certificate = of(&["alpha.example"]);
        let config = believing(&certificate);
        let shown = Shown::new(certificate);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let handshakes = Handshakes::with(&shown).unwrap();
        let connections = connections(listener, handshakes, Gauge::default());
        tokio::spawn(connections.for_each(|connection| async {
            tokio::spawn(async {
                let (mut from, mut to) = tokio::io::split(connection.unwrap());
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }));
        (address, config, shown)
    }

    fn believing(certificate: &crate::tls::Certificate) -> Arc<ClientConfig> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(certificate.own().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        Arc::new(config.with_root_certificates(roots).with_no_client_auth())
    }

    async fn echo(address: std::net::SocketAddr, config: Arc<ClientConfig>) -> io::Result<()> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("alpha.example").unwrap();
        let mut stream = tokio_rustls::TlsConnector::from(config).connect(name, stream).await?;
        stream.write_all(b"hello").await?;
        stream.read_exact(&mut [0; 5]).await.map(|_| ())
    }

    /// All of an answer.
    async fn heard(mut stream: TcpStream) -> String {
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text).await;
        String::from_utf8_lossy(&text).into_owned()
    }

    #[tokio::test]
    async fn those_who_begin_and_say_no_more_keep_nobody_out() {
        let (address, config, _shown) = echoing().await;
        let mut silent = Vec::new();
        for first in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"].into_iter().cycle().take(60) {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(first).await.unwrap();
            silent.push(stream);
        }
        let start = std::time::Instant::now();
        echo(address, config.clone()).await.unwrap();
        assert!(start.elapsed() < HANDSHAKE, "beside the others, not after them");
        // Nor do they stay.
        for stream in silent {
            heard(stream).await;
        }
        let took = start.elapsed();
        assert!(took >= HANDSHAKE / 2 && took < HANDSHAKE * 4, "{took:?}");
        echo(address, config).await.unwrap();
    }

    #[tokio::test]
    async fn whoever_speaks_in_the_clear_is_told_and_sent_away() {
        let (address, _config, _shown) = echoing().await;
        let request = "GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer secret\r\n\r\n";
        for words in [request, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "x"] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(words.as_bytes()).await.unwrap();
            let answer = heard(stream).await;
            assert!(
                answer.starts_with("HTTP/1.1 400") && answer.contains("speaks TLS"),
                "{answer}"
            );
            assert!(!answer.contains("secret"), "{answer}");
        }
    }

    #[tokio::test]
    async fn what_is_shown_changes_with_the_next_handshake() {
        let (address, before, shown) = echoing().await;
        echo(address, before.clone()).await.unwrap();
        let other = of(&["alpha.example"]);
        let after = believing(&other);
        echo(address, after.clone()).await.unwrap_err();
        shown.replace(other);
        echo(address, after).await.unwrap();
        echo(address, before).await.unwrap_err();
    }
}
