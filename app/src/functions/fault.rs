//! The error of server functions: the domain's `Problem` in the form that Leptos can carry.

use std::collections::BTreeMap;

use keyfold_domain::problem::{Problem, ProblemCode};
use leptos::server_fn::Bytes;
use leptos::server_fn::error::{FromServerFnError, ServerFnErrorErr};
use leptos::server_fn::{Decodes, Encodes};
use serde::{Deserialize, Serialize};

use super::codec::JsonText;

const UNREACHABLE: &str = "The server cannot be reached. Nothing was changed. Check the connection and try again.";
const UNACCEPTABLE: &str = "A field is missing or has a form that is not accepted. Load the page again.";
const UNREADABLE: &str = "The server gave an answer that this page does not understand. Load the page again.";

/// A problem, and without script what was typed, so that the form can be shown again as it was. It travels in the page's
/// address then, so nothing secret may ever be in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Wire", into = "Wire")]
pub struct Fault {
    /// What is wrong.
    pub problem: Problem,
    /// Field names and values, never a password.
    pub typed: BTreeMap<String, String>,
}

/// A fault as it travels: the problem's fields and `typed` side by side. `serde(flatten)` says the same with less, but its
/// code in the browser weighs several kibibytes.
#[derive(Serialize, Deserialize)]
struct Wire {
    code: ProblemCode,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    field: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    typed: BTreeMap<String, String>,
}

impl From<Wire> for Fault {
    fn from(wire: Wire) -> Self {
        let Wire { code, message, field, retry_after, typed } = wire;
        Self { problem: Problem { code, message, field, retry_after }, typed }
    }
}

impl From<Fault> for Wire {
    fn from(fault: Fault) -> Self {
        let Problem { code, message, field, retry_after } = fault.problem;
        Self { code, message, field, retry_after, typed: fault.typed }
    }
}

/// What matters of an `application/problem+json` answer that was given before the server function was reached.
#[derive(Deserialize)]
struct Refusal {
    code: ProblemCode,
    detail: String,
}

impl Fault {
    /// No answer came.
    pub(crate) fn unreachable() -> Self {
        Problem::new(ProblemCode::Unavailable, UNREACHABLE).into()
    }

    /// Reads the body of a refusal.
    pub(crate) fn read(text: &str) -> Self {
        Self::de(Bytes::copy_from_slice(text.as_bytes()))
    }

    /// What was typed into a field, empty if unknown.
    pub fn typed(&self, field: &str) -> String {
        self.typed.get(field).cloned().unwrap_or_default()
    }

    /// Nobody is signed in (any more).
    pub fn is_signed_out(&self) -> bool {
        self.problem.code == ProblemCode::Unauthenticated
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Self { problem, typed: BTreeMap::new() }
    }
}

#[cfg(feature = "ssr")]
impl From<keyfold_engine::Error> for Fault {
    fn from(error: keyfold_engine::Error) -> Self {
        // The boundary: details are logged here, once, and go no further.
        if let Some(text) = error.source_text() {
            let request = leptos::prelude::use_context::<super::context::RequestContext>().map(|request| request.actor.request.id);
            tracing::error!(request_id = request.unwrap_or_default(), "{text}");
        }
        error.problem().into()
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem.fmt(f)
    }
}

impl std::error::Error for Fault {}

impl FromServerFnError for Fault {
    type Encoder = JsonText;

    fn from_server_fn_error(error: ServerFnErrorErr) -> Self {
        let (code, message) = match error {
            ServerFnErrorErr::Request(_) => (ProblemCode::Unavailable, UNREACHABLE),
            ServerFnErrorErr::Args(_) | ServerFnErrorErr::MissingArg(_) => (ProblemCode::Invalid, UNACCEPTABLE),
            // On the server that is a request which cannot be read, in the browser an answer.
            ServerFnErrorErr::Deserialization(_) if cfg!(feature = "ssr") => (ProblemCode::Invalid, UNACCEPTABLE),
            _ => (ProblemCode::Internal, UNREADABLE),
        };
        let fault = Self::from(Problem::new(code, message));
        #[cfg(feature = "ssr")]
        super::context::note_status(&fault.problem);
        fault
    }

    fn de(data: Bytes) -> Self {
        JsonText::decode(data.clone()).unwrap_or_else(|_| match JsonText::decode(data) {
            Ok(Refusal { code, detail }) => Problem::new(code, detail).into(),
            Err(_) => Problem::new(ProblemCode::Internal, UNREADABLE).into(),
        })
    }

    fn ser(&self) -> Bytes {
        JsonText::encode(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_survives_the_way_to_the_browser() {
        let fault = Fault { typed: [("login".to_owned(), "ada".to_owned())].into(), ..Problem::invalid("login", "No.").into() };
        assert_eq!(Fault::de(fault.ser()), fault);
    }

    #[test]
    fn a_refusal_of_the_rest_api_is_understood_too() {
        let body =
            r#"{"type":"about:blank","title":"Not allowed","status":403,"code":"forbidden","detail":"From elsewhere.","request_id":"x"}"#;
        let fault = Fault::de(Bytes::from_static(body.as_bytes()));
        assert_eq!((fault.problem.code, fault.problem.message.as_str()), (ProblemCode::Forbidden, "From elsewhere."));
        assert_eq!(Fault::de(Bytes::from_static(b"<html>")).problem.code, ProblemCode::Internal);
    }
}
