//! The fast lane: `GET /v1/whoami`, `POST /v1/verify`, `POST /v1/verify:batch` and forward-auth, answered before the router from the key set in
//! memory.
//!
//! Nothing here touches the database, opens a tracing span or waits for anything but the request's own body. Everything
//! else is handed on untouched.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::{HeaderMap, Method, Request, Response};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::verdict::Code;
use keyfold_engine::{Answer, Client, Error, VerifyRequest};
use tokio::time::timeout;

use crate::auth::{bearer, client_ip, user_agent};
use crate::metrics::Endpoint;
use crate::problem;
use crate::router::{AnswerBody, MAX_BODY, MAX_QUESTIONS};
use crate::state::AppState;

mod bodies;
pub(crate) mod ext_authz;
pub(crate) mod forward_auth;
mod reply;
mod written;

pub(crate) use bodies::address;
use bodies::{Asked, BatchBody, VerdictBody, VerdictsBody, VerifyBody};
use forward_auth::Place;
pub(crate) use forward_auth::{IDENTITY, UNAVAILABLE};
use forward_auth::{check_any_request, check_request};
use reply::Reply;

/// A verdict, and what was missing in the question.
type Decided = (Answer, Option<&'static str>);

/// How long a body may take to arrive.
const BODY_TIME: Duration = Duration::from_secs(15);

/// What is asked at that path, if it is one of the data plane's but forward-auth's.
fn endpoint(path: &str) -> Option<Endpoint> {
    match path {
        "/v1/whoami" => Some(Endpoint::Whoami),
        "/v1/verify" => Some(Endpoint::Verify),
        "/v1/verify:batch" => Some(Endpoint::VerifyBatch),
        _ => None,
    }
}

/// Answers a request for a path of the data plane; any other is given back as it came.
///
/// `peer` is the other end of the connection.
pub(crate) async fn try_answer<B>(state: &AppState, peer: Option<IpAddr>, request: Request<B>) -> Result<Response<AnswerBody>, Request<B>>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let Some(endpoint) = endpoint(request.uri().path()) else {
        let Some(place) = Place::of(request.uri().path()) else { return Err(request) };
        let started = Instant::now();
        // The body is the application's, and stays unread.
        let about = (request.method(), request.uri(), request.headers());
        let response = if place.names_workspace() {
            check_request(state, Reply::new(), peer, &place, about).await
        } else {
            check_any_request(state, Reply::new(), peer, &place, about).await
        };
        state.metrics.answered(Endpoint::ForwardAuth, response.status(), started.elapsed());
        return Ok(response);
    };
    let started = Instant::now();
    let reply = Reply::new();
    let allowed = if endpoint == Endpoint::Whoami { "GET, HEAD" } else { "POST" };
    let response = match (endpoint, request.method()) {
        (Endpoint::Whoami, &Method::GET | &Method::HEAD) => {
            let headers = request.headers();
            whoami(state, reply, &client(state, peer, headers), headers).await
        }
        (Endpoint::Verify, &Method::POST) => {
            let (parts, body) = request.into_parts();
            verify(state, reply, &client(state, peer, &parts.headers), &parts.headers, body).await
        }
        (Endpoint::VerifyBatch, &Method::POST) => {
            let (parts, body) = request.into_parts();
            // Boxed, so that the single question does not carry its weight.
            Box::pin(verify_batch(state, reply, &client(state, peer, &parts.headers), &parts.headers, body)).await
        }
        (_, &Method::OPTIONS) => reply.options(allowed),
        _ => reply.method_not_allowed(allowed),
    };
    state.metrics.answered(endpoint, response.status(), started.elapsed());
    Ok(response)
}

/// Who sends this request.
fn client<'a>(state: &AppState, peer: Option<IpAddr>, headers: &'a HeaderMap) -> Client<'a> {
    Client { ip: client_ip(&state.config.trusted_proxies, peer, headers), user_agent: user_agent(headers) }
}

/// Ask a key about itself.
///
/// Send the key as `Authorization: Bearer …`. A key that works is described; one that does not is refused with the reason
/// as `code`: `malformed`, `not_found`, `deactivated`, `owner_disabled`, `expired`, `dormant` (401), `ip_denied` (403),
/// `rate_limited`, `quota_exceeded` (429, with `Retry-After`). The call takes one unit from each limit of the key, and the
/// client's address is that of the connection, or what trusted proxies say of it. In its last 14 days the answer carries
/// the moment of its end in the header `Sunset` (RFC 8594).
#[utoipa::path(
    get,
    path = "/v1/whoami",
    operation_id = "whoami",
    tag = "verification",
    security(("api_key" = [])),
    responses((status = 200, description = "The key works.", body = VerdictBody))
)]
pub(crate) async fn whoami(state: &AppState, reply: Reply, client: &Client<'_>, headers: &HeaderMap) -> Response<AnswerBody> {
    let Some(secret) = presented(headers) else { return reply.problem(&nothing_presented()) };
    let answer = match state.engine.verifier.whoami_from(secret, client) {
        Ok(answer) => answer,
        Err(error) => return reply.error(&error).await,
    };
    state.metrics.verdict(answer.code);
    if answer.code == Code::Valid { reply.verdict(&answer, None) } else { reply.refused_key(&answer) }
}

/// Ask whether a presented key may do a thing.
///
/// The caller needs a management key with the scope `verify` and is told only of keys of its own workspace. A decided
/// question is always answered with 200; `code` says why a key may not. A key that may takes `cost` from each of its limits,
/// or from none if one of them has too little left; a refused call takes nothing. 503 means that it cannot be known at the moment:
/// never take it for a yes.
///
/// In the last 14 days of a key the answer carries the moment of its end in the header `Sunset` (RFC 8594).
#[utoipa::path(
    post,
    path = "/v1/verify",
    operation_id = "verify_key",
    tag = "verification",
    security(("management_key" = [])),
    request_body = VerifyBody,
    responses((status = 200, description = "The verdict.", body = VerdictBody))
)]
pub(crate) async fn verify<B>(state: &AppState, reply: Reply, asker: &Client<'_>, headers: &HeaderMap, body: B) -> Response<AnswerBody>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (caller, body) = match read(headers, body, MAX_BODY).await {
        Ok(asked) => asked,
        Err(problem) => return reply.problem(&problem),
    };
    match decide(state, caller, asker, &body) {
        Ok((answer, detail)) => reply.verdict(&answer, detail),
        Err(error) => reply.error(&error).await,
    }
}

/// Ask about many presented keys at once.
///
/// As `verify_key`, for 1 to 100 questions: each is judged and counted like one of its own, in the order in which they are
/// given, and the verdicts come in the same order. The caller's key is used once, and each question takes one unit from its
/// limits. Where one question is no question, none is answered; `field` names it, like `checks[3].scope`.
#[utoipa::path(
    post,
    path = "/v1/verify:batch",
    operation_id = "verify_keys",
    tag = "verification",
    security(("management_key" = [])),
    request_body = BatchBody,
    responses((status = 200, description = "The verdicts.", body = VerdictsBody))
)]
pub(crate) async fn verify_batch<B>(
    state: &AppState,
    reply: Reply,
    asker: &Client<'_>,
    headers: &HeaderMap,
    body: B,
) -> Response<AnswerBody>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (caller, body) = match read(headers, body, MAX_QUESTIONS).await {
        Ok(asked) => asked,
        Err(problem) => return reply.problem(&problem),
    };
    match decide_all(state, caller, asker, &body) {
        Ok(answers) => reply.verdicts(&answers),
        Err(error) => reply.error(&error).await,
    }
}

/// The presented key. A header that cannot be read is as good as none.
fn presented(headers: &HeaderMap) -> Option<&str> {
    bearer(headers).ok().flatten()
}

fn nothing_presented() -> Problem {
    Problem::new(ProblemCode::Unauthenticated, "Send an API key as `Authorization: Bearer …`, in one header.")
}

fn decide(state: &AppState, caller: &str, asker: &Client<'_>, body: &[u8]) -> Result<Decided, Error> {
    let asked = bodies::read(body)?;
    let answer = state.engine.verifier.verify(caller, &asked.request(asker))?;
    Ok(decided(state, &asked, answer))
}

fn decide_all(state: &AppState, caller: &str, asker: &Client<'_>, body: &[u8]) -> Result<Vec<Decided>, Error> {
    let asked = bodies::read_batch(body)?;
    let requests: Vec<VerifyRequest<'_>> = asked.iter().map(|asked| asked.request(asker)).collect();
    let answers = state.engine.verifier.verify_batch(caller, asker, &requests)?;
    Ok(answers.into_iter().zip(&asked).map(|(answer, asked)| decided(state, asked, answer)).collect())
}

fn decided(state: &AppState, asked: &Asked<'_>, answer: Answer) -> Decided {
    if !asked.is_for_people() {
        state.metrics.verdict(answer.code);
    }
    let lack = asked.lack(&answer);
    (answer, lack)
}

/// Who asks, and what.
async fn read<B>(headers: &HeaderMap, body: B, most: usize) -> Result<(&str, Bytes), Problem>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let caller = presented(headers).ok_or_else(nothing_presented)?;
    if !problem::is_json(headers) {
        return Err(Problem::new(ProblemCode::UnsupportedMediaType, "Send the body as `Content-Type: application/json`."));
    }
    let late = |_| Problem::new(ProblemCode::Invalid, "The body did not arrive in time.");
    Ok((caller, timeout(BODY_TIME, problem::whole_body_up_to(body, most)).await.map_err(late)??))
}
