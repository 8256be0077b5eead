//! Envoy's external authorization over gRPC: forward-auth in other words. What is asked is read here and what is answered is
//! written here; the decision, its body and its headers are those of [`forward_auth`].

mod told;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::header::{CONTENT_TYPE, HeaderName};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::time::timeout;
use tonic::server::Grpc;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;
use tower::service_fn;

use super::forward_auth::{self, IDENTITY};
use super::reply::Reply;
use crate::auth::is_trusted;
use crate::envoy::{
    self, CHECK, CheckRequest, CheckResponse, DeniedHttpResponse, HeaderValue, HeaderValueOption, HttpResponse, HttpStatus,
    OVERWRITE_IF_EXISTS_OR_ADD, OkHttpResponse,
};
use crate::metrics::Endpoint;
use crate::rate_limits::{RATE_LIMIT, RATE_LIMIT_POLICY};
use crate::router::AnswerBody;
use crate::state::AppState;
use told::Told;

/// The largest question, in bytes. Envoy takes heads of up to 60 KiB unless it is told otherwise.
const MAX_MESSAGE: usize = 256 * 1024;
/// How long a question may take to arrive.
const QUESTION_TIME: Duration = Duration::from_secs(15);
/// A message without a field, as gRPC frames it.
const NOTHING: Bytes = Bytes::from_static(&[0; 5]);
/// Where a key travels: no application needs to see it.
const CREDENTIALS: [&str; 2] = ["authorization", "x-api-key"];

/// Answers a request that came over a connection from `peer`.
pub(crate) async fn answer<B>(state: &AppState, peer: IpAddr, request: Request<B>) -> Response<tonic::body::Body>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    if request.uri().path() != CHECK {
        return Status::unimplemented(format!("There is {CHECK} here and nothing else.")).into_http();
    }
    if request.method() != Method::POST || !is_grpc(request.headers()) {
        let mut response = Response::new(tonic::body::Body::empty());
        *response.status_mut() = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return response;
    }
    // Of somebody who will not be answered nothing is read.
    let trusted = is_trusted(&state.config.trusted_proxies, peer);
    let request = request.map(|body| if trusted { Either::Left(body) } else { Either::Right(Full::new(NOTHING)) });
    let check = service_fn(|question: tonic::Request<CheckRequest>| async move {
        Ok::<_, Status>(tonic::Response::new(check(state, peer, &question.into_inner()).await))
    });
    let mut grpc = Grpc::new(ProstCodec::<CheckResponse, CheckRequest>::default()).max_decoding_message_size(MAX_MESSAGE);
    let late = |_| Status::deadline_exceeded("The question did not arrive in time.").into_http();
    timeout(QUESTION_TIME, grpc.unary(check, request)).await.unwrap_or_else(late)
}

fn is_grpc(headers: &HeaderMap) -> bool {
    let plain = |kind: &str| kind == "application/grpc" || kind.starts_with("application/grpc+proto");
    headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(plain)
}

/// May the request pass?
async fn check(state: &AppState, peer: IpAddr, question: &CheckRequest) -> CheckResponse {
    let started = Instant::now();
    let told = forward_auth::trusted(state, Some(peer)).and_then(|()| Told::of(question));
    let asked = match &told {
        Ok(told) => forward_auth::question(told.workspace, Ok(told.asked()), told.client(state, peer), &told.headers),
        Err(refusal) => Err(refusal.clone()),
    };
    let in_query = told.as_ref().is_ok_and(Told::has_key_in_query);
    let answer = forward_auth::answer(state, Reply::new(), asked, false).await;
    state.metrics.answered(Endpoint::ExtAuthz, answer.status(), started.elapsed());
    match answer.status() {
        StatusCode::NO_CONTENT => passes(answer.headers(), in_query),
        _ => held_back(answer).await,
    }
}

/// A yes: who it is for the application, what is left for the client.
fn passes(headers: &HeaderMap, in_query: bool) -> CheckResponse {
    let told = [RATE_LIMIT_POLICY, RATE_LIMIT];
    let ok = OkHttpResponse {
        headers: IDENTITY.iter().map(|name| set(name, headers.get(*name))).collect(),
        headers_to_remove: CREDENTIALS.map(str::to_owned).to_vec(),
        response_headers_to_add: told.iter().filter_map(|name| Some(add(name, headers.get(name)?))).collect(),
        query_parameters_to_remove: if in_query { vec![forward_auth::API_KEY.to_owned()] } else { Vec::new() },
    };
    CheckResponse { status: Some(envoy::Status { code: Code::Ok.into() }), http_response: Some(HttpResponse::Ok(ok)) }
}

/// A no, as a client gets it from every other proxy.
async fn held_back(answer: Response<AnswerBody>) -> CheckResponse {
    let (parts, body) = answer.into_parts();
    // It is in memory already, and text.
    let body = body.collect().await.map(|whole| String::from_utf8_lossy(&whole.to_bytes()).into_owned()).unwrap_or_default();
    let denied = DeniedHttpResponse {
        status: Some(HttpStatus { code: parts.status.as_u16().into() }),
        headers: parts.headers.iter().map(|(name, value)| set(name.as_str(), Some(value))).collect(),
        body,
    };
    CheckResponse { status: Some(envoy::Status { code: code(parts.status).into() }), http_response: Some(HttpResponse::Denied(denied)) }
}

/// The nearest that gRPC has to a status of HTTP. Never OK: that would be a yes.
const fn code(status: StatusCode) -> Code {
    match status {
        StatusCode::BAD_REQUEST => Code::InvalidArgument,
        StatusCode::UNAUTHORIZED => Code::Unauthenticated,
        StatusCode::TOO_MANY_REQUESTS => Code::ResourceExhausted,
        StatusCode::SERVICE_UNAVAILABLE => Code::Unavailable,
        _ => Code::PermissionDenied,
    }
}

/// A header in the place of whatever has its name.
fn set(name: &str, value: Option<&hyper::header::HeaderValue>) -> HeaderValueOption {
    HeaderValueOption { append_action: OVERWRITE_IF_EXISTS_OR_ADD, keep_empty_value: true, ..header(name, value) }
}

/// A header beside whatever has its name.
fn add(name: &HeaderName, value: &hyper::header::HeaderValue) -> HeaderValueOption {
    HeaderValueOption { append: Some(true), ..header(name.as_str(), Some(value)) }
}

fn header(name: &str, value: Option<&hyper::header::HeaderValue>) -> HeaderValueOption {
    // All of ours are visible ASCII.
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let header = HeaderValue { key: name.to_owned(), value, raw_value: Vec::new() };
    HeaderValueOption { header: Some(header), ..HeaderValueOption::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataplane::forward_auth::{Dialect, Refusal};
    use keyfold_domain::problem::{Problem, ProblemCode};

    #[tokio::test]
    async fn what_cannot_be_known_is_a_no_with_503_and_not_an_error_that_a_configuration_may_let_pass() {
        let problem = Problem { retry_after: Some(1), ..Problem::new(ProblemCode::Unavailable, "Later.") };
        let answer = Reply::new().held_back(&Refusal::of(&problem), Dialect::Own, false);
        let response = held_back(answer).await;
        assert_eq!(response.status.unwrap().code, i32::from(Code::Unavailable));
        let Some(HttpResponse::Denied(denied)) = response.http_response else { panic!("not a no") };
        assert_eq!(denied.status.unwrap().code, 503);
        let told = |name: &str| denied.headers.iter().filter_map(|option| option.header.as_ref()).any(|header| header.key == name);
        assert!(denied.body.contains("\"reason\":\"unavailable\"") && told("retry-after") && told("content-type"));
    }

    #[test]
    fn no_status_but_that_of_a_yes_is_one_for_envoy() {
        for status in 100..600 {
            assert_ne!(code(StatusCode::from_u16(status).unwrap()), Code::Ok, "{status}");
        }
    }
}
