//! A client for HTTP/1.1 on 127.0.0.1: as much as measuring needs, and cheap, so that what is measured is the server.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The longest answer that is read, in bytes. The console's WebAssembly is the largest.
const LONGEST: usize = 32 << 20;

/// An answer that ends with its head (RFC 9110, 15.3.5).
const NO_CONTENT: u16 = 204;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The status code.
    pub(crate) status: u16,
    /// The body as it was sent, compressed if it was.
    pub(crate) body: Vec<u8>,
}

/// A connection that is used again and again.
pub(crate) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    /// Connects.
    pub(crate) async fn open(addr: SocketAddr) -> Result<Self> {
        ensure!(addr.ip().is_loopback(), "only servers on this machine are measured, not {addr}");
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(4096) })
    }

    /// Sends one request and reads its answer, whose length must be announced if it has a body.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Result<Answer> {
        self.stream.write_all(request).await?;
        let end = loop {
            if let Some(end) = head_end(&self.buffer) {
                break end;
            }
            self.more().await?;
        };
        let head = std::str::from_utf8(&self.buffer[..end]).context("the head of an answer is not text")?;
        let status = status(head)?;
        let length: usize = match header(head, "content-length") {
            Some(length) => length.parse()?,
            None if status == NO_CONTENT => 0,
            None => bail!("an answer does not say how long it is"),
        };
        ensure!(length <= LONGEST, "an answer of {length} bytes is too long");
        while self.buffer.len() < end + length {
            self.more().await?;
        }
        let body = self.buffer[end..end + length].to_vec();
        self.buffer.drain(..end + length);
        Ok(Answer { status, body })
    }

    async fn more(&mut self) -> Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => bail!("the server closed the connection"),
            _ => Ok(()),
        }
    }
}

/// A GET on a connection of its own, with further header lines, each ended by CR LF.
///
/// Speaks HTTP/1.0, so that the answer's end is the connection's end, however it is made.
pub(crate) async fn get(addr: SocketAddr, path: &str, headers: &str) -> Result<Answer> {
    let mut connection = Connection::open(addr).await?;
    connection.stream.write_all(format!("GET {path} HTTP/1.0\r\nHost: {addr}\r\n{headers}\r\n").as_bytes()).await?;
    let limit = u64::try_from(LONGEST)?;
    (&mut connection.stream).take(limit).read_to_end(&mut connection.buffer).await?;
    let end = head_end(&connection.buffer).with_context(|| format!("the answer to GET {path} broke off"))?;
    let status = status(std::str::from_utf8(&connection.buffer[..end])?)?;
    Ok(Answer { status, body: connection.buffer.split_off(end) })
}

/// A POST on a connection of its own, like [`get`]; `headers` say how long the body is. Returns the head of the answer.
pub(crate) async fn post(addr: SocketAddr, path: &str, headers: &str, body: &str) -> Result<String> {
    let mut connection = Connection::open(addr).await?;
    connection.stream.write_all(format!("POST {path} HTTP/1.0\r\nHost: {addr}\r\n{headers}\r\n{body}").as_bytes()).await?;
    let limit = u64::try_from(LONGEST)?;
    (&mut connection.stream).take(limit).read_to_end(&mut connection.buffer).await?;
    let end = head_end(&connection.buffer).with_context(|| format!("the answer to POST {path} broke off"))?;
    Ok(std::str::from_utf8(&connection.buffer[..end])?.to_owned())
}

/// Where the body begins, if the whole head is there.
fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn status(head: &str) -> Result<u16> {
    let code = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1));
    code.and_then(|code| code.trim().parse().ok()).with_context(|| format!("this is no answer of HTTP: {head}"))
}

/// The value of the header with that lower-case name.
fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn a_head_is_taken_apart() {
        let head = "HTTP/1.1 201 Created\r\nContent-Length: 12\r\nx: a:b\r\n\r\n";
        assert_eq!(head_end(head.as_bytes()), Some(head.len()));
        assert_eq!(head_end(b"HTTP/1.1 200 OK\r\n"), None);
        assert_eq!(status(head).unwrap(), 201);
        assert_eq!(status("HTTP/1.0 204\r\n\r\n").unwrap(), 204);
        assert!(status("SSH-2.0\r\n\r\n").is_err());
        assert_eq!((header(head, "content-length"), header(head, "x"), header(head, "y")), (Some("12"), Some("a:b"), None));
    }

    #[tokio::test]
    async fn answers_that_arrive_in_pieces_or_together_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut connection = Connection::open(listener.local_addr().unwrap()).await.unwrap();
        let (mut server, _) = listener.accept().await.unwrap();
        let answering = tokio::spawn(async move {
            let answers = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\noneHTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
            for piece in answers.chunks(7) {
                server.write_all(piece).await.unwrap();
                tokio::task::yield_now().await;
            }
            server
        });
        let first = connection.send(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        assert_eq!((first.status, first.body.as_slice()), (200, b"one".as_slice()));
        assert_eq!(connection.send(b"GET / HTTP/1.1\r\n\r\n").await.unwrap().status, 404);
        drop(answering.await.unwrap());
        assert!(connection.send(b"GET / HTTP/1.1\r\n\r\n").await.is_err());
    }

    #[tokio::test]
    async fn other_machines_are_left_alone() {
        let refused = Connection::open("192.0.2.1:80".parse().unwrap()).await.err().unwrap();
        assert!(refused.to_string().contains("192.0.2.1"));
    }
}
