//! The whole server as one service: the data plane first, then the router.

use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Request, Response};
use keyfold_domain::problem::{Problem, ProblemCode};
use tower::{Service, ServiceExt as _};

use super::layers::Peer;
use super::{AnswerBody, Area, harden, probes, refuse, router};
use crate::dataplane;
use crate::metrics::Endpoint;
use crate::state::AppState;

struct Inner {
    state: AppState,
    router: Router,
}

/// Answers requests. Cheap to clone.
#[derive(Clone)]
pub struct AppService {
    inner: Arc<Inner>,
    peer: Option<IpAddr>,
}

/// The service of a server in this state; requests seem to come from nowhere until [`AppService::from_peer`] says more.
pub fn app_service(state: AppState) -> AppService {
    let router = router(state.clone());
    AppService { inner: Arc::new(Inner { state, router }), peer: None }
}

/// The service of a listener for the data plane alone: verification, probes and figures. Everything else is absent there.
pub(crate) fn verify_service(state: AppState) -> AppService {
    let router = probes(state.clone());
    AppService { inner: Arc::new(Inner { state, router }), peer: None }
}

impl AppService {
    /// The same service for a connection from this address.
    #[must_use]
    pub fn from_peer(&self, peer: IpAddr) -> Self {
        Self { inner: Arc::clone(&self.inner), peer: Some(peer) }
    }

    /// Answers one request.
    pub async fn answer<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        self.respond(request).await.map(AnswerBody::into_routed)
    }

    /// Answers one request that came over a connection.
    pub(crate) async fn respond<B>(&self, request: Request<B>) -> Response<AnswerBody>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn Error + Send + Sync>>,
    {
        match dataplane::try_answer(&self.inner.state, self.peer, request).await {
            Ok(response) => response,
            // Boxed, so that the fast lane does not carry the router's weight.
            Err(request) => Box::pin(self.route(request.map(Body::new))).await.map(AnswerBody::Routed),
        }
    }

    /// The answer to a request that is not addressed as it must be, and the end of its connection.
    pub(crate) fn turn_away(&self) -> Response<AnswerBody> {
        let message = "Send a request with a path as its target and exactly one Host header.";
        let mut response = refuse(Area::Api, &Problem::new(ProblemCode::Invalid, message));
        harden(&self.inner.state.config, response.headers_mut());
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        response.map(AnswerBody::Routed)
    }

    async fn route(&self, mut request: Request<Body>) -> Response<Body> {
        let started = Instant::now();
        request.extensions_mut().insert(Peer(self.peer));
        let response = match self.inner.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        self.inner.state.metrics.answered(Endpoint::Other, response.status(), started.elapsed());
        response
    }
}

impl<B> Service<Request<B>> for AppService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move { Ok(service.answer(request).await) })
    }
}
