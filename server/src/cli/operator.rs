//! What the commands that change things share: who acts, how things are named, where a password comes from.

use std::io::{self, BufRead as _};

use keyfold_domain::policy::{Actor, Principal, RequestInfo};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_engine::{Error, Password};

use crate::cli::CliError;
use crate::telemetry::RequestId;

/// The longest line taken for a password, in bytes. The engine's own limit is far below it.
const LONGEST_LINE: u64 = 4096;

/// Whoever may run this command on this machine has the database anyway, and acts without a role.
pub(crate) fn operator() -> Actor {
    Actor { principal: Principal::Operator, request: RequestInfo { id: RequestId::generate().to_string(), ..RequestInfo::default() } }
}

/// What was looked up by a name; if there is none, the refusal says which name that was.
pub(crate) fn named<T>(what: &str, name: &str, found: Result<T, Error>) -> Result<T, Error> {
    found.map_err(|error| {
        if error.is(ProblemCode::NotFound) {
            Problem::new(ProblemCode::NotFound, format!("There is no {what} {name}.")).into()
        } else {
            error
        }
    })
}

/// The first line of standard input, without its line break. Everything else about it is kept as it was typed.
pub(crate) fn stdin_password() -> Result<Password, CliError> {
    stdin_line().map(Password::new)
}

/// The same as text, for a password that is given to several people.
pub(crate) fn stdin_line() -> Result<String, CliError> {
    line_from(io::stdin().lock())
}

fn line_from(input: impl io::BufRead) -> Result<String, CliError> {
    let mut line = String::new();
    let read = input.take(LONGEST_LINE).read_line(&mut line);
    if let Err(error) = read {
        return Err(CliError::Refused(format!("the password on standard input cannot be read: {error}")));
    }
    for ending in ['\n', '\r'] {
        if line.ends_with(ending) {
            line.pop();
        }
    }
    if line.is_empty() {
        return Err(CliError::Refused("there is no password on standard input".to_owned()));
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_input_is_no_password() {
        for input in ["", "\n", "\r\n"] {
            assert!(matches!(line_from(input.as_bytes()), Err(CliError::Refused(_))), "{input:?}");
        }
        assert!(line_from("  a pass phrase with spaces \r\nsecond line".as_bytes()).is_ok());
        assert!(matches!(line_from(&b"\xff\n"[..]), Err(CliError::Refused(_))));
    }

    #[test]
    fn what_is_not_found_is_named() {
        let error = named::<()>("user", "ada", Err(Problem::not_found().into())).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("There is no user ada."));
    }
}
