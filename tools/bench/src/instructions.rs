//! Instructions for one verification, counted by valgrind: the one figure that repeats on a busy machine.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::figures::{float, whole};
use crate::filling::Instance;
use crate::http::Connection;
use crate::report::Row;
use crate::run::Programs;
use crate::say;
use crate::server::Server;
use crate::verification::ratio;

/// Requests that are counted.
const REQUESTS: u64 = 10_000;
/// Requests before that, so that buffers have grown and pages have been touched.
const WARM_UP: u64 = 200;

/// Instructions for one `GET /v1/whoami` with a known key, beside the bare route.
pub(crate) async fn measure(programs: &Programs<'_>, instance: &Instance) -> Result<Row> {
    say("instructions (valgrind)");
    let request = instance.whoami()?;
    let own = Counted { programs, instance: Some(instance), request: &request }.per_request().await?;
    let bare = Counted { programs, instance: None, request: &request }.per_request().await?;
    Ok(Row {
        what: "GET /v1/whoami, known key: instructions".into(),
        keyfold: whole(own),
        beside: format!("{} bare axum", whole(bare)),
        ratio: ratio(own / bare),
        goal: "≤ 1.25",
    })
}

/// A server to be run under valgrind: Keyfold with its instance, or the reference.
struct Counted<'a> {
    programs: &'a Programs<'a>,
    instance: Option<&'a Instance>,
    request: &'a [u8],
}

impl Counted<'_> {
    /// What the requests cost beyond starting, ending, and as much time spent idle.
    async fn per_request(&self) -> Result<f64> {
        let (server, connection) = self.start().await?;
        let begun = Instant::now();
        ask(connection, self.request, REQUESTS).await?;
        let took = begun.elapsed();
        let loaded = collected(&server.stop().await?)?;
        let idle = self.idle(took).await?;
        ensure!(loaded > idle, "valgrind counted {loaded} instructions under load and {idle} without");
        Ok(float(loaded - idle) / float(REQUESTS))
    }

    async fn idle(&self, time: Duration) -> Result<u64> {
        let (server, connection) = self.start().await?;
        tokio::time::sleep(time).await;
        drop(connection);
        collected(&server.stop().await?)
    }

    async fn start(&self) -> Result<(Server, Connection)> {
        let valgrind = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null"];
        let server = match self.instance {
            Some(instance) => self.programs.serve_under(&valgrind, instance, &[]).await?.0,
            None => self.programs.reference_under(&valgrind).await?,
        };
        let mut connection = Connection::open(server.addr).await?;
        for _ in 0..WARM_UP {
            connection.send(self.request).await?;
        }
        Ok((server, connection))
    }
}

async fn ask(mut connection: Connection, request: &[u8], times: u64) -> Result<()> {
    for _ in 0..times {
        let status = connection.send(request).await?.status;
        ensure!(status == 200, "a request under valgrind is answered with {status}");
    }
    Ok(())
}

/// The sum that callgrind prints at the end.
fn collected(printed: &str) -> Result<u64> {
    let line = printed.lines().rev().find_map(|line| line.split_once("Collected : "));
    let count = line.and_then(|(_, count)| count.split_whitespace().next()?.parse().ok());
    count.with_context(|| format!("valgrind printed no sum:\n{printed}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_found_in_what_valgrind_prints() {
        let printed = "==7== Events    : Ir\n==7== Collected : 123456\n==7== \n==7== I   refs:      123,456\n";
        assert_eq!(collected(printed).unwrap(), 123_456);
        assert!(collected("==7== Events    : Ir\n").is_err());
    }
}
