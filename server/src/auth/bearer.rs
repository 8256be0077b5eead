//! The token in `Authorization`.

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};
use keyfold_domain::problem::{Problem, ProblemCode};

/// The key in `Authorization: Bearer …`; `None` if the header is absent. Anything else in it is refused.
pub(crate) fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => token(only).map(Some).ok_or_else(unreadable),
        (Some(_), Some(_)) => Err(unreadable()),
    }
}

fn token(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_at_checked("Bearer ".len())?;
    let token = token.trim_start_matches(' ');
    (scheme.eq_ignore_ascii_case("Bearer ") && !token.is_empty()).then_some(token)
}

fn unreadable() -> Problem {
    Problem::new(ProblemCode::Unauthenticated, "Send one header `Authorization: Bearer …` with a management key.")
}

#[cfg(test)]
#[path = "bearer/plainly.rs"]
mod plainly;

#[cfg(test)]
mod tests {
    use super::plainly::plainly;
    use super::*;
    use proptest::prelude::*;

    fn read(lines: &[&str]) -> Result<Option<String>, ProblemCode> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(AUTHORIZATION, line.parse().unwrap());
        }
        bearer(&headers).map(|token| token.map(str::to_owned)).map_err(|problem| problem.code)
    }

    #[test]
    fn the_scheme_is_read_in_any_case_and_the_key_as_it_is() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&["Bearer kf_adm_x"]), Ok(Some("kf_adm_x".into())));
        assert_eq!(read(&["bEARER  kf_adm_x"]), Ok(Some("kf_adm_x".into())));
    }

    proptest! {
        #[test]
        fn a_header_is_read_as_a_plain_reading_reads_it(scheme in "(?i)bearer|basic|bear|", blanks in " {0,3}", rest in "[!-~ ]{0,20}", odd in proptest::option::of(128u8..)) {
            let text = format!("{scheme}{blanks}{rest}");
            let bytes: Vec<u8> = text.bytes().chain(odd).collect();
            // As it comes off a connection, where hyper cuts blanks at both ends.
            let Ok(value) = HeaderValue::from_bytes(bytes.trim_ascii()) else { return Ok(()) };
            let expected = plainly(bytes.trim_ascii());
            let headers: HeaderMap = [(AUTHORIZATION, value)].into_iter().collect();
            prop_assert_eq!(bearer(&headers).ok().flatten(), expected.as_deref());
        }
    }

    #[test]
    fn any_other_credential_is_refused() {
        for lines in [&["Basic YTpi"][..], &["Bearer"], &["Bearer "], &["kf_adm_x"], &["Bearer a", "Bearer b"]] {
            assert_eq!(read(lines), Err(ProblemCode::Unauthenticated), "{lines:?}");
        }
    }
}
