//! The accept loop. Our own, because timeouts on headers need a timer that `axum::serve` does not give to hyper.

mod grpc;
mod http;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

use super::socket::{Socket, Stream};
pub(super) use grpc::Grpc;
pub(super) use http::Http;

/// How long the head of a request may take, an idle connection's wait for its next one included.
const HEAD_TIME: Duration = Duration::from_secs(15);
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

/// What is spoken on a listener's connections.
pub(super) trait Speaks {
    /// Begins to answer what comes over a connection from `peer`. The permit is given back when it ends.
    fn answer(&self, stream: Stream, peer: IpAddr, permit: OwnedSemaphorePermit, connections: &GracefulShutdown);
}

/// Serves connections until `stop` turns true, then lets running requests finish. Did all of them?
pub(super) async fn serve(listener: Socket, language: impl Speaks, limits: Limits, mut stop: watch::Receiver<bool>) -> bool {
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
            (Ok(permit), Ok((stream, peer))) => language.answer(stream, peer, permit, &connections),
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

/// Did the client go away while it was being accepted?
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused | io::ErrorKind::Interrupted
    )
}
