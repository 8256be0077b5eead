//! The error that may leave the building: what a person or a program is told when something was refused or went wrong.
//! It never carries a secret or an internal detail.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What sort of refusal it is. Each maps to one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// A value given cannot be accepted; `field` says which (400).
    Invalid,
    /// Nobody is signed in, or the credential is not good (401).
    Unauthenticated,
    /// The caller is known and may not do this (403).
    Forbidden,
    /// The act asks for the password again first (403).
    StepUpRequired,
    /// There is no such thing, or the caller may not know of it (404).
    NotFound,
    /// The path exists, the method does not (405).
    MethodNotAllowed,
    /// The state has changed meanwhile or is in the way (409).
    Conflict,
    /// The body is larger than accepted (413).
    PayloadTooLarge,
    /// The body is not of the type that is read here (415).
    UnsupportedMediaType,
    /// Too many tries; wait `retry_after` seconds (429).
    RateLimited,
    /// A fault of ours, logged under the request id (500).
    Internal,
    /// The data store cannot answer now; nothing was lost; try again (503).
    Unavailable,
}

impl ProblemCode {
    /// Every code.
    pub const ALL: [Self; 12] = [
        Self::Invalid,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::StepUpRequired,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::Conflict,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::Internal,
        Self::Unavailable,
    ];

    /// The HTTP status.
    pub const fn status(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Unauthenticated => 401,
            Self::Forbidden | Self::StepUpRequired => 403,
            Self::NotFound => 404,
            Self::MethodNotAllowed => 405,
            Self::Conflict => 409,
            Self::PayloadTooLarge => 413,
            Self::UnsupportedMediaType => 415,
            Self::RateLimited => 429,
            Self::Internal => 500,
            Self::Unavailable => 503,
        }
    }

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::Forbidden => "forbidden",
            Self::StepUpRequired => "step_up_required",
            Self::NotFound => "not_found",
            Self::MethodNotAllowed => "method_not_allowed",
            Self::Conflict => "conflict",
            Self::PayloadTooLarge => "payload_too_large",
            Self::UnsupportedMediaType => "unsupported_media_type",
            Self::RateLimited => "rate_limited",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
        }
    }

    /// A short heading, the same for every problem of this code.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Invalid => "The request is not valid",
            Self::Unauthenticated => "Sign-in or an API key is needed",
            Self::Forbidden => "Not allowed",
            Self::StepUpRequired => "Password needed again",
            Self::NotFound => "Not found",
            Self::MethodNotAllowed => "Method not allowed",
            Self::Conflict => "Changed meanwhile",
            Self::PayloadTooLarge => "The request is too large",
            Self::UnsupportedMediaType => "This type of content is not read here",
            Self::RateLimited => "Too many requests",
            Self::Internal => "Something went wrong on our side",
            Self::Unavailable => "Not available at the moment",
        }
    }
}

/// A refusal or a fault, in words for a person and a code for a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What sort it is.
    pub code: ProblemCode,
    /// What happened and what to do about it, as a sentence for a person.
    pub message: String,
    /// The input at fault, by its name in the form and the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// Seconds to wait before another try.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u32>,
}

impl Problem {
    /// A problem that concerns no single input.
    pub fn new(code: ProblemCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), field: None, retry_after: None }
    }

    /// An input that cannot be accepted: which, and the rule it breaks.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: Some(field.into()), ..Self::new(ProblemCode::Invalid, message) }
    }

    /// The same answer for what does not exist and what the caller may not know of.
    pub fn not_found() -> Self {
        Self::new(ProblemCode::NotFound, "There is nothing here under this name, or you may not see it.")
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.code.status()
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_on_the_wire_is_the_serialised_name() {
        for code in ProblemCode::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
            assert!((400..=503).contains(&code.status()));
        }
    }
}
