//! What browsers, programs and most proxies speak.

use std::convert::Infallible;
use std::net::IpAddr;

use hyper::header::{CONNECTION, HOST, HeaderValue, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::{Request, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::sync::OwnedSemaphorePermit;

use super::{HEAD_TIME, Speaks};
use crate::router::AppService;
use crate::serve::socket::Stream;

/// The largest head of a request, in bytes; beyond it is 431.
const MAX_HEAD: usize = 32 * 1024;

/// HTTP/1.1, answered by this service.
pub(in crate::serve) struct Http(pub(in crate::serve) AppService);

impl Speaks for Http {
    fn answer(&self, stream: Stream, peer: IpAddr, permit: OwnedSemaphorePermit, connections: &GracefulShutdown) {
        let service = self.0.from_peer(peer);
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
}

/// Is the request addressed as to a server, with a path and one host (RFC 9112, 3.2)? Other forms are for proxies, and two
/// programs that read them differently are an attacker's way around one of them.
fn is_for_an_origin<B>(request: &Request<B>) -> bool {
    let hosts = request.headers().get_all(HOST).iter().count();
    request.uri().authority().is_none() && (hosts == 1 || (hosts == 0 && request.version() < Version::HTTP_11))
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
