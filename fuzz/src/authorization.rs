//! The header `Authorization`.

#[path = "../../server/src/auth/bearer.rs"]
mod bearer;
#[path = "../../server/src/auth/bearer/plainly.rs"]
mod plainly;

use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderValue};

use bearer::bearer;
use plainly::plainly;

/// Each line is a header. One alone holds the token that a plain reading finds; several hold none, and are refused.
pub fn check(data: &[u8]) {
    // As they come off a connection, where blanks are cut at both ends.
    let lines: Vec<&[u8]> = data.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    let values: Result<Vec<HeaderValue>, _> = lines.iter().map(|line| HeaderValue::from_bytes(line)).collect();
    let Ok(values) = values else { return };
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(AUTHORIZATION, value);
    }
    let read = bearer(&headers);
    match lines.as_slice() {
        [line] => assert_eq!(read.as_ref().ok().copied().flatten(), plainly(line).as_deref(), "{line:?}"),
        _ => assert!(read.is_err(), "{lines:?}"),
    }
    // What is there and no token is refused; it is never as if nothing had been there.
    assert_ne!(read, Ok(None), "{lines:?}");
}
