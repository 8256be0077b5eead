//! What Keyfold is compared with: a bare axum route that answers a fixed body, on the same runtime and kind of listener.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

/// The answer to everything.
const BODY: &str = r#"{"valid":true,"code":"valid"}"#;

/// How the reference is served.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where to listen; on this machine only
    #[arg(long, value_name = "ADDRESS:PORT")]
    addr: SocketAddr,
}

/// Serves until the process is ended.
pub(crate) async fn run(args: Args) -> Result<String> {
    ensure!(args.addr.ip().is_loopback(), "the reference serves this machine only, not {}", args.addr);
    let listener = TcpListener::bind(args.addr).await?.tap_io(|stream| {
        // As Keyfold does. Where the system refuses, it is only slower.
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router()).await?;
    Ok(String::new())
}

fn router() -> Router {
    Router::new().route("/v1/whoami", get(|| async { ([(CONTENT_TYPE, "application/json")], BODY) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http;

    #[tokio::test]
    async fn the_reference_answers_its_one_path() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move { axum::serve(listener, router()).await });
        let answer = http::get(addr, "/v1/whoami", "Authorization: Bearer x\r\n").await.unwrap();
        assert_eq!((answer.status, answer.body.as_slice()), (200, BODY.as_bytes()));
        assert_eq!(http::get(addr, "/", "").await.unwrap().status, 404);
        serving.abort();
    }

    #[tokio::test]
    async fn it_does_not_listen_to_other_machines() {
        assert!(run(Args { addr: "0.0.0.0:0".parse().unwrap() }).await.is_err());
    }
}
