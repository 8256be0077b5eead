//! The body of an answer: from the fast lane, where it is one piece and nothing is boxed, or from behind the router.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Error;
use axum::body::{Body, Bytes, HttpBody};
use http_body_util::Full;
use hyper::body::{Frame, SizeHint};

/// A body on its way out.
pub(crate) enum AnswerBody {
    /// All of it, there already.
    Whole(Full<Bytes>),
    /// Whatever the router's handlers made.
    Routed(Body),
}

impl AnswerBody {
    /// The same body in the router's own type.
    pub(super) fn into_routed(self) -> Body {
        match self {
            Self::Whole(whole) => Body::new(whole),
            Self::Routed(body) => body,
        }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self.get_mut() {
            Self::Whole(whole) => Pin::new(whole).poll_frame(context).map_err(|never: Infallible| match never {}),
            Self::Routed(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.is_end_stream(),
            Self::Routed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => whole.size_hint(),
            Self::Routed(body) => body.size_hint(),
        }
    }
}
