//! The accept loop. Our own, because timeouts on headers need a timer that `axum::serve` does not give to hyper.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::{Request, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::socket::{Socket, Stream};
use crate::router::AppService;

/// How long the head of a request may take, an idle connection's wait for its next one included.
const HEAD_TIME: Duration = Duration::from_secs(15);
/// The largest head of a request, in bytes; beyond it is 431.
const MAX_HEAD: usize = 32 * 1024;
/// A pause after the system could not give another connection, so that the loop does not spin.
const BREATH: Duration = Duration::from_millis(100);

/// What the loop keeps to.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Open connections; further ones wait in the system's queue.
    pub(super) connections: usize,
    /// For running requests after the end of accepting.
    pub(super) grace: Duration,
}

/// Serves connections until `stop` turns true, then lets running requests finish. Did all of them?
pub(super) async fn serve(listener: Socket, service: AppService, limits: Limits, mut stop: watch::Receiver<bool>) -> bool {
    let room = Arc::new(Semaphore::new(limits.connections.min(Semaphore::MAX_PERMITS)));
    let connections = GracefulShutdown::new();
    loop {
        let next = async {
            // The room first: a connection that is not accepted costs nothing.
            let permit = Arc::clone(&room).acquire_owned().await;
            (permit, listener.accept().await)
        };
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            accepted = next => accepted,
        };
        match accepted {
            (Ok(permit), Ok((stream, peer))) => answer(stream, service.from_peer(peer), permit, &connections),
            (_, Err(error)) if is_of_one_connection(&error) => {}
            (_, Err(error)) => {
                tracing::error!(%error, "no connection can be accepted at the moment");
                sleep(BREATH).await;
            }
            (Err(_), _) => break,
        }
    }
    // From here on the system refuses new connections, instead of letting them wait for nobody.
    drop(listener);
    timeout(limits.grace, connections.shutdown()).await.is_ok()
}

fn answer(stream: Stream, service: AppService, permit: OwnedSemaphorePermit, connections: &GracefulShutdown) {
    let answering = hyper::service::service_fn(move |request| {
        let service = service.clone();
        async move {
            if !is_for_an_origin(&request) {
                return Ok::<_, Infallible>(service.turn_away());
            }
            // Of a request with both lengths hyper believes the encoding and drops the other, unseen by us. A proxy in front
            // may have believed the other: whatever follows on this connection must not be read as a request.
            let is_last = request.headers().contains_key(TRANSFER_ENCODING);
            let mut answer = service.respond(request).await;
            if is_last {
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(answer)
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), answering);
    let connection = connections.watch(connection);
    tokio::spawn(async move {
        // What goes wrong on one connection (a client that hangs up, nonsense instead of HTTP) is that client's affair.
        if let Err(error) = connection.await {
            tracing::trace!(%error, "a connection ended early");
        }
        drop(permit);
    });
}

/// Is the request addressed as to a server, with a path and one host (RFC 9112, 3.2)? Other forms are for proxies, and two
/// programs that read them differently are an attacker's way around one of them.
fn is_for_an_origin<B>(request: &Request<B>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    request.uri().authority().is_none() && (hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11))
}

/// Did the client go away while it was being accepted?
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_one_host_and_a_path() {
        let good = |uri: &str, version: Version, hosts: &[&str]| {
            let request = hosts.iter().fold(Request::builder().uri(uri).version(version), |request, host| request.header(HOST, *host));
            is_for_an_origin(&request.body(()).unwrap())
        };
        assert!(good("/", Version::HTTP_11, &["a"]) && good("/", Version::HTTP_10, &[]));
        assert!(!good("/", Version::HTTP_11, &[]));
        assert!(!good("/", Version::HTTP_11, &["a", "b"]));
        assert!(!good("http://a/", Version::HTTP_11, &["a"]));
        assert!(!good("a:443", Version::HTTP_11, &["a"]));
    }
}
