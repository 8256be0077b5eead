//! What happens around every request behind the router: its id, its log line, its limits, and the end of its panics.

use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use keyfold_domain::policy::RequestInfo;
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::user_agent::in_words;
use tokio::time::{Instant, timeout};
use tracing::Instrument as _;

use super::{Area, body_limit, harden, refuse};
use crate::auth::{client_ip, user_agent};
use crate::problem::{too_large, whole_body_up_to};
use crate::state::AppState;
use crate::telemetry::RequestId;
use crate::traces::TracedRequest;

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(15);
/// How long an answer may take. Longer than the store's own limits, so that theirs speak first.
const ANSWER_TIME: Duration = Duration::from_secs(30);

/// The address at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) Option<IpAddr>);

/// Gives the request its id and its log line, and its answer the headers that all have.
pub(super) async fn accompany(State(state): State<AppState>, mut request: Request, next: Next) -> Response {
    let id = RequestId::generate();
    let peer = request.extensions().get::<Peer>().and_then(|peer| peer.0);
    let ip = client_ip(&state.config.trusted_proxies, peer, request.headers());
    let area = Area::of(&request);
    let method = request.method().clone();
    // Asked every few seconds, and its own answer is logged where it is made.
    let is_probe = request.uri().path() == "/readyz";
    // The path alone: a query can hold what somebody typed or a token.
    let ip_text = ip.map(|ip| ip.to_string()).unwrap_or_default();
    let span = tracing::info_span!("request", id = id.as_str(), %method, path = loggable(request.uri().path()), ip = ip_text);
    let traced = TracedRequest::begin(&request, id);
    request.extensions_mut().insert(id);
    let client = user_agent(request.headers()).and_then(in_words);
    request.extensions_mut().insert(RequestInfo { ip, id: id.as_str().to_owned(), client });
    let work = async {
        let started = Instant::now();
        let mut response = guarded(area, next.run(request)).await;
        harden(&state.config, response.headers_mut());
        if let Ok(value) = HeaderValue::from_str(id.as_str()) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        if !is_probe {
            log(&method, &response, started.elapsed());
        }
        traced.answered(response.status());
        response
    };
    traced.around(id.scope(work.instrument(span))).await
}

/// The path with its long parts left out: no name of ours is longer than 40 characters, and every secret is. People do
/// paste one where an id belongs.
fn loggable(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').map(|part| if part.len() > 40 { "…" } else { part }).collect();
    parts.join("/")
}

/// The answer, or 500 if making it panicked, or 503 if it took too long. It is whole: a page is rendered while its body is
/// read, and what goes wrong then must still be an answer and not a broken connection.
async fn guarded(area: Area, answer: impl Future<Output = Response>) -> Response {
    // Boxed, so that it can be dropped where a panic is caught: a page takes its owner and all that hangs on it along.
    let mut whole = Box::pin(async {
        let (parts, mut body) = answer.await.into_parts();
        let bytes = (&mut body).collect().await?.to_bytes();
        // The answer is there, and what goes wrong while the rest is tidied away does not make it worse.
        drop_quietly(body);
        Ok::<_, axum::Error>(Response::from_parts(parts, Body::from(bytes)))
    });
    // A handler that panicked is gone with all it held; what it shares with others is guarded by locks that survive.
    let outcome = timeout(ANSWER_TIME, AssertUnwindSafe(whole.as_mut()).catch_unwind()).await;
    drop_quietly(whole);
    match outcome {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(_)) | Err(_)) => refuse(
            area,
            &Problem::new(ProblemCode::Internal, "Something went wrong on our side. Give the request id to the administrator."),
        ),
        Err(_) => {
            let message = "The answer took too long. Whether the act was carried out can be seen in the list; try again.";
            refuse(area, &Problem { retry_after: Some(5), ..Problem::new(ProblemCode::Unavailable, message) })
        }
    }
}

/// Drops a thing whose end may panic. The panic is logged where it happens and goes no further.
fn drop_quietly<T>(thing: T) {
    drop(std::panic::catch_unwind(AssertUnwindSafe(|| drop(thing))));
}

fn log(method: &Method, response: &Response, took: Duration) {
    let (status, took_ms) = (response.status().as_u16(), took.as_millis());
    if status >= 500 {
        tracing::warn!(status, took_ms, "failed");
    } else if method.is_safe() {
        tracing::debug!(status, took_ms, "answered");
    } else {
        tracing::info!(status, took_ms, "answered");
    }
}

/// After signing out, browsers forget what they kept of these pages. Not the cookies: those of every port and of every
/// neighbour under the same name would go along. Plain HTTP is left out, where browsers refuse with a complaint.
pub(super) async fn forget_on_sign_out(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let leaves = request.uri().path() == "/_app/sign_out" && *request.method() == Method::POST;
    let mut response = next.run(request).await;
    let done = response.status().is_success() || response.status().is_redirection();
    if leaves && done && !state.config.is_insecure() {
        response.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\", \"storage\""));
    }
    response
}

/// Takes in the whole body before anybody looks at it: none is larger than it may be, and a slow or broken one costs nothing
/// but its own connection.
pub(super) async fn take_in(request: Request, next: Next) -> Response {
    let area = Area::of(&request);
    match taken_in(request).await {
        Ok(request) => next.run(request).await,
        Err(problem) => refuse(area, &problem),
    }
}

async fn taken_in(request: Request) -> Result<Request, Problem> {
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let most = body_limit(request.uri().path());
    if declared.is_some_and(|length| length > most) {
        return Err(too_large(most));
    }
    let (parts, body) = request.into_parts();
    let late = |_| Problem::new(ProblemCode::Invalid, "The body did not arrive in time.");
    let bytes = timeout(BODY_TIME, whole_body_up_to(body, most)).await.map_err(late)??;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_an_answer_that_tells_nothing() {
        let response = guarded(Area::Api, async { panic!("canary") }).await;
        assert_eq!(response.status(), 500);
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("canary"));
    }

    #[tokio::test]
    async fn a_page_that_breaks_while_it_is_written_is_an_answer_too() {
        let broken = futures_util::stream::once(async { panic!("canary") });
        let body = Body::from_stream(futures_util::StreamExt::map(broken, |(): ()| Ok::<_, std::io::Error>("")));
        assert_eq!(guarded(Area::Page, async { Response::new(body) }).await.status(), 500);
    }

    /// Panics when it is dropped.
    struct Bomb;

    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(std::thread::panicking(), "canary");
        }
    }

    #[tokio::test]
    async fn a_panic_while_a_finished_page_is_tidied_away_does_not_spoil_its_answer() {
        let bomb = Bomb;
        let pieces = futures_util::stream::iter(["<h1>", "whole"]);
        let body = Body::from_stream(futures_util::StreamExt::map(pieces, move |piece| {
            let _held = &bomb;
            Ok::<_, std::io::Error>(piece)
        }));
        let response = guarded(Area::Page, async { Response::new(body) }).await;
        assert_eq!(response.status(), 200);
        assert_eq!(axum::body::to_bytes(response.into_body(), 100).await.unwrap(), "<h1>whole");
    }

    #[tokio::test(start_paused = true)]
    async fn a_panic_while_a_late_answer_is_given_up_stays_inside() {
        let bomb = Bomb;
        let late = async move {
            let _held = &bomb;
            std::future::pending::<Response>().await
        };
        assert_eq!(guarded(Area::Page, late).await.status(), 503);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_come_is_given_up() {
        let response = guarded(Area::Api, std::future::pending()).await;
        assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (503, &HeaderValue::from_static("5")));
    }

    #[test]
    fn a_secret_in_a_path_is_not_logged() {
        let pasted = format!("/v1/workspaces/acme/keys/kf_sec_{}/activate", "0".repeat(49));
        assert_eq!(loggable(&pasted), "/v1/workspaces/acme/keys/…/activate");
        assert_eq!(loggable("/v1/workspaces/acme/keys/key_0000000000000000000000"), "/v1/workspaces/acme/keys/key_0000000000000000000000");
    }

    #[tokio::test]
    async fn a_body_that_is_declared_too_large_is_refused_unread() {
        let body = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let request = Request::builder().header(CONTENT_LENGTH, crate::router::MAX_BODY + 1).body(body).unwrap();
        assert_eq!(taken_in(request).await.unwrap_err().code, ProblemCode::PayloadTooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_arrive_is_given_up() {
        let body = Body::from_stream(futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>());
        let problem = taken_in(Request::new(body)).await.unwrap_err();
        assert_eq!((problem.code, problem.message.as_str()), (ProblemCode::Invalid, "The body did not arrive in time."));
    }
}
