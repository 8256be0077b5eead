//! Bytes on a connection that are no proper request. Whatever they are, no byte of one request is ever taken for another.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use crate::support::{Cli, Server};

/// All that the server answers to these bytes before it closes the connection or has nothing more to say.
fn answers(server: &Server, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    // The server may have closed the connection before it read everything.
    drop(stream.write_all(bytes));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    String::from_utf8_lossy(&answer).into_owned()
}

fn statuses(answers: &str) -> Vec<&str> {
    answers.split("HTTP/1.1 ").skip(1).filter_map(|answer| answer.get(..3)).collect()
}

async fn server() -> (tempfile::TempDir, Server) {
    let (folder, cli) = Cli::founded();
    let server = Server::start(&cli, &[]).await;
    (folder, server)
}

const SMUGGLED: &str = "GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";

#[tokio::test]
async fn what_contradicts_itself_is_refused_and_ends_its_connection() {
    let (_folder, server) = server().await;
    let heads = [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: 5, 6\r\n",
        "content-length: +5\r\n",
        "content-length: -1\r\n",
        "content-length: 0x5\r\n",
        "content-length: 99999999999999999999\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: gzip\r\n",
        "x : 1\r\n",
        "x: 1\r\n folded\r\n",
        "x: a\0b\r\n",
        "x\0: a\r\n",
        "x y: a\r\n",
        ": a\r\n",
    ];
    for head in heads {
        let bytes = format!("POST /v1/verify HTTP/1.1\r\nhost: x\r\n{head}\r\n{SMUGGLED}{SMUGGLED}");
        assert_eq!(statuses(&answers(&server, bytes.as_bytes())), ["400"], "{head:?}");
    }
    let old = format!("POST /v1/verify HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{SMUGGLED}");
    assert_eq!(statuses(&answers(&server, old.as_bytes())), ["400"]);
    for line in ["GET http://x/healthz HTTP/1.1\r\nhost: x", "GET /healthz HTTP/1.1", "GET /healthz HTTP/1.1\r\nhost: x\r\nhost: y"] {
        let bytes = format!("{line}\r\n\r\n{SMUGGLED}");
        assert_eq!(statuses(&answers(&server, bytes.as_bytes())), ["400"], "{line:?}");
    }
}

#[tokio::test]
async fn after_a_body_in_chunks_nothing_on_the_connection_is_read_as_a_request() {
    let (_folder, server) = server().await;
    // Of two lengths the encoding counts (RFC 9112, 6.3); a proxy that believed the other one sent the rest as a body.
    for lengths in [
        "content-length: 40\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 40\r\n",
        "transfer-encoding: chunked\r\n",
    ] {
        for path in ["/v1/verify", "/v1/workspaces", "/nowhere"] {
            let bytes = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{lengths}\r\n0\r\n\r\n{SMUGGLED}");
            let answers = answers(&server, bytes.as_bytes());
            assert_eq!(statuses(&answers).len(), 1, "{lengths:?} {path}: {answers}");
            assert!(answers.to_lowercase().contains("connection: close"), "{lengths:?} {path}: {answers}");
        }
    }
    for chunks in ["x\r\n", "-1\r\n", "5\r\nabc\r\n0\r\n\r\n", "fffffffffffffffff\r\n"] {
        let bytes = format!("POST /v1/workspaces HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunks}{SMUGGLED}");
        let answers = answers(&server, bytes.as_bytes());
        assert!(statuses(&answers).len() <= 1 && !answers.contains("200 OK"), "{chunks:?}: {answers}");
    }
}

#[tokio::test]
async fn a_bare_line_feed_ends_a_line_and_nothing_else() {
    let (_folder, server) = server().await;
    // RFC 9112, 2.2 lets a recipient read a line feed alone as the end of a line, and so does hyper; it cannot be told not
    // to. A body's length is taken by its number all the same, so it moves no border between requests.
    let lenient = answers(&server, b"GET /healthz HTTP/1.1\nhost: x\n\n");
    assert_eq!(statuses(&lenient), ["200"]);
    let counted = format!("POST /v1/verify HTTP/1.1\nhost: x\ncontent-length: {}\n\n{SMUGGLED}", SMUGGLED.len());
    assert_eq!(statuses(&answers(&server, counted.as_bytes())), ["401"]);
    // Not in the middle of a value, nor between chunks.
    assert_eq!(statuses(&answers(&server, b"GET /healthz HTTP/1.1\r\nhost: x\r\nx: a\rb\r\n\r\n")), ["400"]);
    let chunks = format!("POST /v1/workspaces HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\na\n0\n\n{SMUGGLED}");
    let answers = answers(&server, chunks.as_bytes());
    assert!(statuses(&answers).len() <= 1 && !answers.contains("200 OK"), "{answers}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let (_folder, server) = server().await;
    let many = "x: 1\r\n".repeat(1000);
    let long = format!("x: {}\r\n", "a".repeat(64 * 1024));
    for head in [many, long] {
        let bytes = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{head}\r\n{SMUGGLED}");
        let seen = answers(&server, bytes.as_bytes());
        assert!(statuses(&seen).iter().all(|status| *status == "431"), "{} bytes: {seen}", head.len());
        assert!(!seen.contains("200 OK"));
    }
    assert_eq!(statuses(&answers(&server, SMUGGLED.as_bytes())), ["200"], "the server goes on");
}
