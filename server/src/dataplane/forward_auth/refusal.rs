//! Why a request may not pass, as a body that the clients of all platforms can read: problem+json (RFC 9457) with
//! `message`, `error` and `details` beside it.

use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::verdict::Code;
use serde::Serialize;

/// A refusal in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::dataplane) struct Refusal {
    problem: Box<Problem>,
    /// The verdict, or what else is the matter, in one word for programs.
    reason: &'static str,
    required_scope: Option<String>,
    resource: Option<String>,
}

/// The body. `code` is the status for clients that read a number there.
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: &'static str,
    status: u16,
    code: CodeField<'a>,
    reason: &'a str,
    detail: &'a str,
    message: &'a str,
    error: &'a str,
    details: Vec<Detail<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    required_scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    request_id: &'a str,
}

#[derive(Serialize)]
#[serde(untagged)]
enum CodeField<'a> {
    Name(&'a str),
    Status(u16),
}

#[derive(Serialize)]
struct Detail<'a> {
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    required_scope: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
}

/// How a body writes its `code`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::dataplane) enum Dialect {
    /// The reason, as everywhere in our own API.
    Own,
    /// The status as a number: clients of h2oGPTe read nothing of a body that has anything else there.
    H2ogpte,
}

impl Refusal {
    /// A problem under its own code.
    pub(in crate::dataplane) fn of(problem: &Problem) -> Self {
        Self::because(problem.code.as_str(), problem.clone())
    }

    /// A request that cannot be decided as it was put.
    pub(in crate::dataplane) fn invalid(message: &str) -> Self {
        Self::of(&Problem::new(ProblemCode::Invalid, message))
    }

    /// A problem under a word of its own.
    pub(super) fn because(reason: &'static str, problem: Problem) -> Self {
        Self { problem: Box::new(problem), reason, required_scope: None, resource: None }
    }

    /// A key that does not pass.
    pub(super) fn verdict(code: Code, retry_after: Option<u32>) -> Self {
        let problem = Problem { retry_after, ..Problem::new(problem_code(code), code.explanation()) };
        Self::because(code.as_str(), problem)
    }

    /// The same refusal, which also says what would have been needed.
    pub(super) fn needing(self, required_scope: Option<String>, resource: Option<String>) -> Self {
        Self { required_scope, resource, ..self }
    }

    pub(in crate::dataplane) fn status(&self) -> u16 {
        self.problem.code.status()
    }

    /// In one word.
    pub(in crate::dataplane) const fn reason(&self) -> &'static str {
        self.reason
    }

    pub(in crate::dataplane) fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Was a key presented that is not good for anything?
    pub(in crate::dataplane) fn is_bad_key(&self) -> bool {
        self.problem.code == ProblemCode::Unauthenticated && self.reason != ProblemCode::Unauthenticated.as_str()
    }

    /// The body as JSON in ASCII: it also travels in a header.
    pub(in crate::dataplane) fn body(&self, dialect: Dialect, request_id: &str) -> String {
        let (required_scope, resource) = (self.required_scope.as_deref(), self.resource.as_deref());
        let status = self.status();
        let body = Body {
            r#type: "about:blank",
            title: self.problem.code.title(),
            status,
            code: if dialect == Dialect::Own { CodeField::Name(self.reason) } else { CodeField::Status(status) },
            reason: self.reason,
            detail: &self.problem.message,
            message: &self.problem.message,
            error: &self.problem.message,
            details: vec![Detail { reason: self.reason, required_scope, resource }],
            required_scope,
            resource,
            request_id,
        };
        ascii(&serde_json::to_string(&body).unwrap_or_default())
    }
}

/// The status for a verdict. 401 says that the key is good for nothing, 403 that it is a good key and may not do this, and
/// 429 that it may, later: never 401 for a limit.
const fn problem_code(code: Code) -> ProblemCode {
    match code {
        Code::IpDenied | Code::MissingScope | Code::WrongResource => ProblemCode::Forbidden,
        Code::RateLimited | Code::QuotaExceeded => ProblemCode::RateLimited,
        _ => ProblemCode::Unauthenticated,
    }
}

/// JSON with everything that is not visible ASCII written as `\u….`; what is in it stays the same.
fn ascii(json: &str) -> String {
    let mut plain = String::with_capacity(json.len());
    for found in json.chars() {
        if found.is_ascii() && !found.is_ascii_control() {
            plain.push(found);
        } else {
            let mut units = [0; 2];
            plain.extend(found.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn body(refusal: &Refusal, dialect: Dialect) -> serde_json::Value {
        serde_json::from_str(&refusal.body(dialect, "req_0")).unwrap()
    }

    #[test]
    fn one_body_serves_every_client() {
        let refusal = Refusal::verdict(Code::MissingScope, None).needing(Some("project".into()), None);
        let text = Code::MissingScope.explanation();
        let expected = json!({
            "type": "about:blank", "title": "Not allowed", "status": 403, "code": "missing_scope", "reason": "missing_scope",
            "detail": text, "message": text, "error": text,
            "details": [{"reason": "missing_scope", "required_scope": "project"}],
            "required_scope": "project", "request_id": "req_0",
        });
        assert_eq!(body(&refusal, Dialect::Own), expected);
        assert_eq!(body(&refusal, Dialect::H2ogpte)["code"], 403);
    }

    #[test]
    fn a_limit_is_never_a_bad_key() {
        for code in Code::ALL {
            let refusal = Refusal::verdict(code, None);
            let expected = match code {
                Code::RateLimited | Code::QuotaExceeded => 429,
                Code::IpDenied | Code::MissingScope | Code::WrongResource => 403,
                _ => 401,
            };
            assert_eq!((refusal.status(), refusal.reason()), (expected, code.as_str()));
        }
    }

    #[test]
    fn a_body_fits_into_a_header_whatever_the_client_named() {
        let refusal = Refusal::verdict(Code::WrongResource, None).needing(None, Some("collection:Zürich 🦀\u{7f}\"\r\n".into()));
        let text = refusal.body(Dialect::Own, "req_0");
        assert!(text.bytes().all(|byte| (b' '..0x7f).contains(&byte)), "{text}");
        assert_eq!(body(&refusal, Dialect::Own)["resource"], "collection:Zürich 🦀\u{7f}\"\r\n");
    }
}
