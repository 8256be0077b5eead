//! Answers of the fast lane, with the same shape of problem as behind the router.
//!
//! They carry fewer headers than those behind the router: `nosniff`, `no-store`, the type and the request's id. They are
//! JSON for programs: a browser renders none of them, and what guards pages would only be bytes that no caller reads.

use axum::body::Body;
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use hyper::{Response, StatusCode};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::time::{DAY_MS, Timestamp};
use keyfold_domain::verdict::Code;
use keyfold_engine::{Answer, KeyRecord};

use super::bodies::VerdictBody;
use super::forward_auth::{Dialect, Refusal};
use super::written;
use crate::problem::{ProblemResponse, logged, stamp};
use crate::rest::moments;
use crate::router::{AnswerBody, NO_SNIFF, NO_STORE};
use crate::telemetry::RequestId;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const INVALID_KEY: HeaderValue = HeaderValue::from_static("Bearer realm=\"Keyfold\", error=\"invalid_token\"");
const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");
/// Where a proxy finds the reason of a no.
const CODE: HeaderName = HeaderName::from_static("keyfold-code");
/// The body of a no once more, for proxies that drop the body.
const REFUSAL: HeaderName = HeaderName::from_static("keyfold-refusal");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Room for the description of a usual key, so that writing it does not grow the buffer.
const USUAL_BODY: usize = 640;
/// Room for all headers of an answer.
const HEADERS: usize = 6;
/// For how many seconds the server has been out of touch with the database, where it answers all the same.
const STALE: HeaderName = HeaderName::from_static("keyfold-stale");
/// When a thing ends: RFC 8594.
const SUNSET: HeaderName = HeaderName::from_static("sunset");
/// From how near an end on a key's answers tell it, in milliseconds: 14 days, as the pages do.
const SOON_MS: i64 = 14 * DAY_MS;

/// Does the end lie ahead, and near?
const fn is_near(end: Timestamp, now: Timestamp) -> bool {
    let left = end.millis_since(now);
    0 < left && left <= SOON_MS
}

/// Says of an answer that it goes by what was known some time ago.
pub(super) fn tell_stale(headers: &mut HeaderMap, answer: &Answer) {
    if let Some(seconds) = answer.stale {
        headers.insert(STALE, HeaderValue::from(seconds));
    }
}

/// One answer in the making.
pub(crate) struct Reply {
    id: RequestId,
}

impl Reply {
    /// The answer to a request that has just begun.
    pub(super) fn new() -> Self {
        Self { id: RequestId::generate() }
    }

    /// A decided question. `detail`: what was missing in it.
    pub(super) fn verdict(self, answer: &Answer, detail: Option<&'static str>) -> Response<AnswerBody> {
        let mut bytes = Vec::with_capacity(USUAL_BODY);
        if let Err(problem) = self.write(&mut bytes, answer, detail) {
            return self.problem(&problem);
        }
        let key = answer.key.as_deref();
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(CONTENT_TYPE, JSON);
        if let Some(end) = key.and_then(KeyRecord::expires_at).filter(|end| is_near(*end, answer.at))
            && let Some(date) = moments::http_date(end)
        {
            headers.insert(SUNSET, date);
        }
        tell_stale(&mut headers, answer);
        let mut response = Response::new(AnswerBody::Whole(Full::new(Bytes::from(bytes))));
        *response.headers_mut() = headers;
        self.finished(response)
    }

    /// Several decided questions, with what was missing in each.
    pub(super) fn verdicts(self, answers: &[(Answer, Option<&'static str>)]) -> Response<AnswerBody> {
        let mut bytes = Vec::with_capacity(USUAL_BODY * answers.len());
        let mut before: &[u8] = b"{\"data\":[";
        for (answer, detail) in answers {
            bytes.extend_from_slice(before);
            if let Err(problem) = self.write(&mut bytes, answer, *detail) {
                return self.problem(&problem);
            }
            before = b",";
        }
        bytes.extend_from_slice(b"]}");
        let mut response = Response::new(AnswerBody::Whole(Full::new(Bytes::from(bytes))));
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(CONTENT_TYPE, JSON);
        if let Some((answer, _)) = answers.iter().find(|(answer, _)| answer.stale.is_some()) {
            tell_stale(&mut headers, answer);
        }
        *response.headers_mut() = headers;
        self.finished(response)
    }

    fn write(&self, bytes: &mut Vec<u8>, answer: &Answer, detail: Option<&'static str>) -> Result<(), Problem> {
        let id = self.id.as_str();
        if detail.is_none() && answer.checks.is_none() && written::write(bytes, answer, id) {
            return Ok(());
        }
        serde_json::to_writer(bytes, &VerdictBody::new(answer, detail, id)).map_err(|error| {
            tracing::error!(request_id = %self.id, %error, "a verdict could not be written");
            Problem::new(ProblemCode::Internal, "The verdict could not be written.")
        })
    }

    /// A presented key that does not pass, told to its holder.
    pub(super) fn refused_key(self, answer: &Answer) -> Response<AnswerBody> {
        let code = answer.code;
        let problem_code = match code {
            Code::IpDenied | Code::MissingScope | Code::WrongResource => ProblemCode::Forbidden,
            Code::RateLimited | Code::QuotaExceeded => ProblemCode::RateLimited,
            _ => ProblemCode::Unauthenticated,
        };
        let problem = Problem { retry_after: answer.retry_after, ..Problem::new(problem_code, code.explanation()) };
        let mut response = ProblemResponse::with_verdict(&problem, code, &self.id);
        tell_stale(response.headers_mut(), answer);
        if problem_code == ProblemCode::Unauthenticated {
            response.headers_mut().insert(WWW_AUTHENTICATE, INVALID_KEY);
        }
        self.finished(response.map(AnswerBody::Routed))
    }

    /// A refusal.
    pub(super) fn problem(self, problem: &Problem) -> Response<AnswerBody> {
        let response = ProblemResponse::with_request_id(problem, &self.id);
        self.finished(response.map(AnswerBody::Routed))
    }

    /// A refusal or a fault of the engine; a fault's source is logged here, once.
    pub(super) async fn error(self, error: &keyfold_engine::Error) -> Response<AnswerBody> {
        let problem = self.logged(error).await;
        self.problem(&problem)
    }

    /// What may be sent of an error, after its source has been logged under this request's id.
    pub(super) async fn logged(&self, error: &keyfold_engine::Error) -> Problem {
        self.id.scope(async { logged(error) }).await
    }

    /// A request that a proxy may let pass, as whoever these headers say.
    pub(super) fn passed(self, identity: HeaderMap) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::Whole(Full::default()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        *response.headers_mut() = identity;
        self.finished(response)
    }

    /// A request that a proxy may not let pass.
    pub(super) fn held_back(self, refusal: &Refusal, dialect: Dialect, in_header: bool) -> Response<AnswerBody> {
        let body = refusal.body(dialect, self.id.as_str());
        let mut headers = HeaderMap::with_capacity(HEADERS + 4);
        headers.insert(CONTENT_TYPE, PROBLEM_JSON);
        headers.insert(CODE, HeaderValue::from_static(refusal.reason()));
        if in_header && let Ok(body) = HeaderValue::from_str(&body) {
            headers.insert(REFUSAL, body);
        }
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(refusal.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = headers;
        stamp(&mut response, refusal.problem());
        if refusal.is_bad_key() {
            response.headers_mut().insert(WWW_AUTHENTICATE, INVALID_KEY);
        }
        self.finished(response.map(AnswerBody::Routed))
    }

    /// Which methods the path has.
    pub(super) fn options(self, allowed: &'static str) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::Whole(Full::default()));
        *response.status_mut() = StatusCode::NO_CONTENT;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        self.finished(response)
    }

    /// The path is right and the method is not.
    pub(super) fn method_not_allowed(self, allowed: &'static str) -> Response<AnswerBody> {
        let problem = Problem::new(ProblemCode::MethodNotAllowed, format!("Use {allowed} here."));
        let mut response = self.problem(&problem);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        response
    }

    fn finished(self, mut response: Response<AnswerBody>) -> Response<AnswerBody> {
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, NO_STORE);
        headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
        if let Ok(id) = HeaderValue::from_str(self.id.as_str()) {
            headers.insert(REQUEST_ID, id);
        }
        response
    }
}
