//! Verification while everything else that a server does is done at the same time: does it notice?

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::commands::finished;
use crate::creation::{Effort, create};
use crate::figures::{median, time, whole};
use crate::filling::Instance;
use crate::http::Connection;
use crate::report::Row;
use crate::run::Programs;
use crate::say;
use crate::verification::ratio;
use crate::wrk::{Case, Load, Wrk};

/// Workspaces for keys that are made in one round: room for 9,980.
pub(crate) const ROOMS: u16 = 10;
/// Clients that make them.
const MAKERS: u16 = 32;
/// How long each connection of the verifying load rests, in milliseconds.
const PAUSE_MS: u32 = 10;

/// The slowest of a thousand verifications, on a server with nothing else to do and on one that makes keys, writes what was
/// counted, searches and is backed up.
pub(crate) async fn measure(programs: &Programs, instance: &Instance, effort: Effort) -> Result<Row> {
    say("verification beside other work");
    let wrk = Wrk::new(&programs.folder)?;
    let server = programs.serve(instance, &[]).await?;
    let load = Load { case: Case::Whoami, keys: &instance.known, pause_ms: PAUSE_MS, refused: false };
    let seconds = u32::try_from(effort.seconds)?;
    wrk.slice(&server, &load, 1).await?;
    let (mut alone, mut beside, mut made) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..effort.rounds {
        alone.push(wrk.slice(&server, &load, seconds).await?.p999_micros);
        let until = Instant::now() + Duration::from_secs(effort.seconds);
        let (slice, created, searched, saved) = tokio::join!(
            wrk.slice(&server, &load, seconds),
            create(programs, &server, instance, (ROOMS * round, ROOMS, MAKERS), effort),
            search(&server, instance, until),
            back_up(programs, instance, until),
        );
        searched?;
        saved?;
        beside.push(slice?.p999_micros);
        made.push(created?.per_second);
    }
    server.stop().await?;
    let (alone, beside) = (median(alone), median(beside));
    Ok(Row {
        what: format!("GET /v1/whoami beside {} creations/s, flushes, searches and backups: p99.9", whole(median(made))),
        keyfold: time(beside),
        beside: format!("{} alone", time(alone)),
        ratio: ratio(beside / alone),
        goal: "≤ 2",
    })
}

/// Searches the largest workspace for what is not there, again and again.
async fn search(server: &crate::server::Server, instance: &Instance, until: Instant) -> Result<()> {
    let known = std::fs::read_to_string(&instance.known)?;
    let manager = known.split_whitespace().nth(1).context("no known key was noted")?;
    let request = format!(
        "GET /v1/workspaces/bench-1/keys?search=nothing-like-it HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {manager}\r\n\r\n"
    );
    let mut connection = Connection::open(server.addr).await?;
    while Instant::now() < until {
        let answer = connection.send(request.as_bytes()).await?;
        ensure!(answer.status == 200, "a search is answered with {}", answer.status);
    }
    Ok(())
}

/// Copies the database, again and again.
async fn back_up(programs: &Programs, instance: &Instance, until: Instant) -> Result<()> {
    let to = programs.folder.join("backup.db");
    while Instant::now() < until {
        let mut command = Command::new(&programs.keyfold);
        command.args(["backup", "--force", "--data-dir"]).arg(&instance.folder).arg(&to);
        finished(command).await?;
    }
    Ok(std::fs::remove_file(&to)?)
}
