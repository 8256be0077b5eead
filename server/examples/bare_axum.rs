//! A bare axum route that answers a fixed body: the measure for the verifier in `make bench`.
//!
//! It does nothing that Keyfold does: no key, no header, no log. What it reaches on a core is what the framework costs.

use std::net::SocketAddr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::any;

/// As long as a usual answer of the verifier, so that both send the same amount.
const BODY: &str = concat!(
    r#"{"valid":true,"code":"valid","key":{"id":"key_0000000000000000000000","kind":"secret","name":"bench","#,
    r#""scopes":["inference"],"owner":{"id":"usr_0000000000000000000000","username":"bench0"},"#,
    r#""workspace_id":"wsp_0000000000000000000000","expires_at":null}}"#
);

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr = std::env::args().nth(1).ok_or("usage: bare_axum ADDRESS:PORT")?.parse()?;
    let router = Router::new().route("/", any(async || ([(CONTENT_TYPE, "application/json")], BODY)));
    axum::serve(tokio::net::TcpListener::bind(address).await?, router).await?;
    Ok(())
}
