//! What can go wrong in a use case, and the one table that turns it into what may leave the building.

use keyfold_domain::policy::Decision;
use keyfold_domain::problem::{Problem, ProblemCode};

/// A use case was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Refused, with words that may be sent.
    #[error("{0}")]
    Refused(Problem),
    /// The store cannot answer now; nothing was changed that was not acknowledged. Try again.
    #[error("the store is not available: {0}")]
    Unavailable(String),
    /// The store gave the transaction up before anything of it was kept: it may be tried again as it is.
    #[error("the store gave a transaction up: {0}")]
    Interrupted(String),
    /// A fault of ours or data that makes no sense. Details are for the log only.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// Nobody is signed in, or the credential is no good.
    pub(crate) fn unauthenticated(message: &str) -> Self {
        Self::Refused(Problem::new(ProblemCode::Unauthenticated, message))
    }

    /// The caller is known and may not do this.
    pub(crate) fn forbidden(message: &str) -> Self {
        Self::Refused(Problem::new(ProblemCode::Forbidden, message))
    }

    /// There is no such thing, or the caller may not know of it.
    pub(crate) fn not_found() -> Self {
        Self::Refused(Problem::not_found())
    }

    /// The state is in the way.
    pub(crate) fn conflict(field: Option<&str>, message: impl Into<String>) -> Self {
        Self::Refused(Problem { field: field.map(str::to_owned), ..Problem::new(ProblemCode::Conflict, message) })
    }

    /// The policy table's answer as a result.
    pub(crate) fn unless_allowed(decision: Decision) -> Result<(), Self> {
        match decision {
            Decision::Allow => Ok(()),
            Decision::Hide => Err(Self::not_found()),
            Decision::Forbid => Err(Self::forbidden("You may not do this. Ask an administrator of the workspace.")),
            Decision::Identify => Err(Self::unauthenticated("Sign in, or send a management key as a Bearer token.")),
        }
    }

    /// Is it this kind of refusal?
    pub fn is(&self, code: ProblemCode) -> bool {
        matches!(self, Self::Refused(problem) if problem.code == code)
    }

    /// What may be told to whoever asked.
    pub fn problem(&self) -> Problem {
        match self {
            Self::Refused(problem) => problem.clone(),
            Self::Unavailable(_) | Self::Interrupted(_) => Problem {
                retry_after: Some(1),
                ..Problem::new(ProblemCode::Unavailable, "The data store cannot answer at the moment. Nothing was lost; try again.")
            },
            Self::Internal(_) => {
                Problem::new(ProblemCode::Internal, "Something went wrong on our side. Give the request id to the administrator.")
            }
        }
    }

    /// What belongs in the log, once, at the boundary; `None` for plain refusals.
    pub fn source_text(&self) -> Option<&str> {
        match self {
            Self::Refused(_) => None,
            Self::Unavailable(text) | Self::Interrupted(text) | Self::Internal(text) => Some(text),
        }
    }
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        error.problem()
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::RowNotFound | sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
                Self::Internal(error.to_string())
            }
            sqlx::Error::Database(database) if database.code().is_some_and(|code| is_interruption(&code)) => {
                Self::Interrupted(error.to_string())
            }
            // Constraint breaches that a use case expects are mapped where they can happen; the rest are ours.
            sqlx::Error::Database(database) if database.kind() != sqlx::error::ErrorKind::Other => Self::Internal(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

/// SQLSTATEs after which nothing of the transaction is kept, and which may be gone at the next try: it lost to another one
/// (40001, 40P01), or the server ended it or the connection (57P01 to 57P03, class 08).
/// See <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn is_interruption(code: &str) -> bool {
    is_lost_race(code) || matches!(code, "57P01" | "57P02" | "57P03") || code.starts_with("08")
}

/// Did the transaction lose to another one? The only interruptions after which a failed commit is known to have failed.
pub(crate) fn is_lost_race(code: &str) -> bool {
    matches!(code, "40001" | "40P01")
}

/// Did the statement break a unique constraint?
pub(crate) fn is_unique_violation(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}
