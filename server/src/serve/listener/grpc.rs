//! What Envoy speaks: gRPC, over HTTP/2 whose beginning is known to both sides.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::sleep;

use super::{HEAD_TIME, Speaks};
use crate::dataplane::ext_authz;
use crate::serve::socket::Stream;
use crate::state::AppState;

/// The largest head of a question, in bytes. What is asked about is not in it.
const MAX_HEAD: u32 = 16 * 1024;
/// Questions at once on one connection; Envoy opens another for more.
const MAX_STREAMS: u32 = 256;
/// How often it is asked whether the other side is still there, and for how long it may keep silent.
const PING_EVERY: Duration = Duration::from_secs(20);
const PING_TIME: Duration = Duration::from_secs(10);

/// External authorization, by this server.
pub(in crate::serve) struct Grpc(pub(in crate::serve) AppState);

impl Speaks for Grpc {
    fn answer(&self, stream: Stream, peer: IpAddr, permit: OwnedSemaphorePermit, connections: &GracefulShutdown) {
        let heard = Arc::new(AtomicBool::new(false));
        let (state, asked) = (self.0.clone(), Arc::clone(&heard));
        let answering = hyper::service::service_fn(move |request| {
            asked.store(true, Ordering::Relaxed);
            let state = state.clone();
            async move { Ok::<_, Infallible>(ext_authz::answer(&state, peer, request).await) }
        });
        let connection = http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(MAX_HEAD)
            .max_concurrent_streams(MAX_STREAMS)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_TIME)
            .serve_connection(TokioIo::new(stream), answering);
        let connection = connections.watch(connection);
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let ended = tokio::select! {
                ended = &mut connection => Some(ended),
                // Whoever connects without asking anything gets the place of somebody who does.
                () = sleep(HEAD_TIME) => if heard.load(Ordering::Relaxed) { Some(connection.await) } else { None },
            };
            // What goes wrong on one connection is that client's affair.
            if let Some(Err(error)) = ended {
                tracing::trace!(%error, "a connection ended early");
            }
            drop(permit);
        });
    }
}
