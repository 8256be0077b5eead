//! Clients that create keys over HTTP, each sending its next request when the last one is answered. A process of its own,
//! so that it can be kept off the server's core.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::task::JoinSet;

use crate::figures::{float, line, micros, percentile};
use crate::http::Connection;

/// How to create.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The server
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) addr: SocketAddr,
    /// A file with workspace, owner, room and the maker's secret on each line
    #[arg(long, value_name = "FILE")]
    pub(crate) rooms: PathBuf,
    /// Leave out so many workspaces at the beginning of the file, which have been filled already
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) skip: usize,
    /// Use so many workspaces
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) workspaces: u16,
    /// How many clients ask at the same time
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) clients: u16,
    /// End after so many seconds, or when there is no more room
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=60))]
    pub(crate) seconds: u64,
}

/// Requests, and which of them is next.
struct Queue {
    requests: Vec<Vec<u8>>,
    room: usize,
    next: AtomicUsize,
    deadline: Instant,
}

impl Queue {
    /// The next request, unless time or room is used up.
    fn next(&self) -> Option<&[u8]> {
        let at = self.next.fetch_add(1, Ordering::Relaxed);
        let open = at < self.requests.len() * self.room && Instant::now() < self.deadline;
        open.then(|| self.requests[at % self.requests.len()].as_slice())
    }
}

/// Creates keys and prints how many, how long it took, and how long one took.
pub(crate) async fn run(args: Args) -> Result<String> {
    let rooms = std::fs::read_to_string(&args.rooms).with_context(|| format!("{} cannot be read", args.rooms.display()))?;
    // Each workspace has a line for each of its two owners.
    let chosen = rooms.lines().skip(args.skip * 2).take(usize::from(args.workspaces) * 2);
    let parsed: Vec<(Vec<u8>, usize)> = chosen.map(|line| request(args.addr, line)).collect::<Result<_>>()?;
    ensure!(parsed.len() == usize::from(args.workspaces) * 2, "{} has too few workspaces", args.rooms.display());
    let room = parsed.iter().map(|(_, room)| *room).min().unwrap_or_default();
    let requests = parsed.into_iter().map(|(request, _)| request).collect();

    let start = Instant::now();
    let queue = Arc::new(Queue { requests, room, next: AtomicUsize::new(0), deadline: start + Duration::from_secs(args.seconds) });
    let mut clients = JoinSet::new();
    for _ in 0..args.clients {
        clients.spawn(client(args.addr, Arc::clone(&queue)));
    }
    let mut times = Vec::new();
    while let Some(client) = clients.join_next().await {
        times.extend(client??);
    }
    let elapsed = start.elapsed();
    times.sort();
    let created = float(u64::try_from(times.len())?);
    Ok(line(&[("created", created), ("microseconds", micros(elapsed)), ("p50", percentile(&times, 50)), ("p99", percentile(&times, 99))]))
}

/// Sends one request after the other; how long each took.
async fn client(addr: SocketAddr, queue: Arc<Queue>) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(addr).await?;
    let mut times = Vec::new();
    while let Some(request) = queue.next() {
        let before = Instant::now();
        let answer = connection.send(request).await?;
        times.push(before.elapsed());
        // The answer to a creation holds a secret; only a refusal is shown.
        ensure!(answer.status == 201, "a key was not created: {} {}", answer.status, String::from_utf8_lossy(&answer.body));
    }
    Ok(times)
}

/// The request that creates a key, from a line of the file, and how many times there is room for it.
pub(crate) fn request(addr: SocketAddr, line: &str) -> Result<(Vec<u8>, usize)> {
    let mut parts = line.split_whitespace();
    let (Some(workspace), Some(owner), Some(room), Some(secret)) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
        anyhow::bail!("a line of the file of workspaces is incomplete");
    };
    let body = format!(r#"{{"name":"Benchmark","kind":"secret","scopes":["inference"],"owner":"{owner}"}}"#);
    let head = format!(
        "POST /v1/workspaces/{workspace}/keys HTTP/1.1\r\nHost: {addr}\r\nAuthorization: Bearer {secret}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    Ok(((head + &body).into_bytes(), room.parse()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_becomes_a_request_of_the_announced_length() {
        let addr = "127.0.0.1:3000".parse().unwrap();
        let (request, room) = request(addr, "bench-1 usr_1 499 kf_adm_x").unwrap();
        let text = String::from_utf8(request).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(room, 499);
        assert!(head.starts_with("POST /v1/workspaces/bench-1/keys HTTP/1.1\r\n"));
        assert!(head.contains("\r\nAuthorization: Bearer kf_adm_x\r\n"));
        assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
        assert!(body.contains(r#""owner":"usr_1""#));
        assert!(super::request(addr, "bench-1 usr_1 499").is_err());
    }

    #[test]
    fn a_queue_ends_when_there_is_no_more_room_or_time() {
        let queue = |deadline| Queue { requests: vec![vec![1], vec![2]], room: 2, next: AtomicUsize::new(0), deadline };
        let open = queue(Instant::now() + Duration::from_mins(1));
        let sent: Vec<&[u8]> = std::iter::from_fn(|| open.next()).collect();
        assert_eq!(sent, [[1], [2], [1], [2]]);
        assert!(queue(Instant::now()).next().is_none());
    }
}
