//! The HTTP client towards the collector: hyper and rustls, which are in the program anyway.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError};
use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::delivery::Delivery;

/// The largest answer of a collector that is read, in bytes. An answer that says all is well is empty.
const MAX_ANSWER: usize = 64 * 1024;

type Inner = hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

/// Sends requests from a thread that belongs to no runtime.
pub(crate) struct Client {
    inner: Inner,
    runtime: Handle,
    patience: Duration,
    delivery: Arc<Delivery>,
}

impl Client {
    /// A client that trusts these roots and gives each request so much time; its work is done on that runtime.
    pub(crate) fn new(runtime: Handle, roots: RootCertStore, patience: Duration, delivery: Arc<Delivery>) -> Result<Self, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let tls = tls.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().build();
        let inner = hyper_util::client::legacy::Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { inner, runtime, patience, delivery })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").finish_non_exhaustive()
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (client, patience) = (self.inner.clone(), self.patience);
        let sent = self.runtime.spawn(async move { timeout(patience, exchange(&client, request)).await });
        let outcome = match sent.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err("no answer in time".into()),
            Err(_) => Err("the server stops".into()),
        };
        match &outcome {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => self.delivery.failed(format!("the collector answers {}", response.status().as_u16())),
            Err(error) => self.delivery.failed(causes(error.as_ref())),
        }
        outcome
    }
}

async fn exchange(client: &Inner, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (parts, body) = client.request(request.map(Full::new)).await?.into_parts();
    let body = Limited::new(body, MAX_ANSWER).collect().await?.to_bytes();
    Ok(Response::from_parts(parts, body))
}

/// The error and what caused it: `client error (Connect): tcp connect error: Connection refused`.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words = format!("{words}: {cause}");
        next = cause.source();
    }
    words
}
