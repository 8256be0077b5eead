//! Durable creation of keys over HTTP, beside the disk or the database itself.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::commands::finished;
use crate::disk;
use crate::figures::{Figures, median, time, whole};
use crate::filling::{Instance, Wanted, fill};
use crate::postgres::{Postgres, Schema};
use crate::report::Row;
use crate::run::Programs;
use crate::say;
use crate::server::{LOAD_CORE, Server};
use crate::verification::ratio;

/// Clients on SQLite.
const MANY: u16 = 32;
/// Clients on PostgreSQL.
const MANY_POSTGRES: u16 = 16;
/// Workspaces for one round of many clients: room for 29,940 keys, 998 in each.
const FOR_MANY: u16 = 30;
/// Workspaces for one round of one client.
const FOR_ONE: u16 = 8;

/// How long and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effort {
    /// Rounds, of which the middle counts.
    pub(crate) rounds: u16,
    /// The length of a slice in seconds.
    pub(crate) seconds: u64,
}

impl Effort {
    fn time(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

/// What one slice of creation showed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Made {
    /// Keys a second.
    pub(crate) per_second: f64,
    median_micros: f64,
}

/// Creation on SQLite beside the disk's rate of fdatasync.
pub(crate) async fn on_sqlite(programs: &Programs, folder: &Path, effort: Effort) -> Result<Vec<Row>> {
    say("creation on SQLite");
    let empty_workspaces = usize::from((FOR_MANY + FOR_ONE) * effort.rounds);
    let wanted = Wanted { folder: &folder.join("creation"), database: None, keys: 0, known_per_workspace: 0, empty_workspaces };
    let instance = fill(&wanted).await?;
    let server = programs.serve(&instance, &[]).await?;
    let (mut many, mut one, mut syncs, mut sync_times) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for round in 0..effort.rounds {
        let skip = (FOR_MANY + FOR_ONE) * round;
        let disk = disk::measure(folder, effort.time())?;
        syncs.push(disk.syncs_per_second);
        sync_times.push(disk.median_micros);
        many.push(create(programs, &server, &instance, (skip, FOR_MANY, MANY), effort).await?.per_second);
        one.push(create(programs, &server, &instance, (skip + FOR_MANY, FOR_ONE, 1), effort).await?);
    }
    server.stop().await?;
    let (many, syncs, sync_time) = (median(many), median(syncs), median(sync_times));
    let single_rate = median(one.iter().map(|made| made.per_second).collect());
    let single = median(one.iter().map(|made| made.median_micros).collect());
    Ok(vec![
        Row {
            what: format!("Keys created/s, {MANY} clients, SQLite FULL"),
            keyfold: whole(many),
            beside: format!("{} fdatasync/s", whole(syncs)),
            ratio: ratio(many / syncs),
            goal: "",
        },
        Row {
            what: format!("Keys created/s, {MANY} clients beside one, SQLite FULL"),
            keyfold: whole(many),
            beside: format!("{} one client", whole(single_rate)),
            ratio: ratio(many / single_rate),
            goal: "",
        },
        Row {
            what: "Creating one key, one client, SQLite FULL: median".into(),
            keyfold: time(single),
            beside: format!("{} fdatasync", time(sync_time)),
            ratio: ratio(single / sync_time),
            goal: "≤ 1.5 × + 150 µs",
        },
    ])
}

/// Creation on PostgreSQL beside plain inserts with as many clients.
pub(crate) async fn on_postgres(programs: &Programs, folder: &Path, url: &str, effort: Effort) -> Result<Row> {
    say("creation on PostgreSQL");
    let postgres: Postgres = url.parse()?;
    let schema = Schema::create(&postgres).await?;
    let empty_workspaces = usize::from(FOR_MANY * effort.rounds);
    let database = Some(schema.url().parse()?);
    let instance =
        fill(&Wanted { folder: &folder.join("creation-postgres"), database, keys: 0, known_per_workspace: 0, empty_workspaces }).await?;
    let server = programs.serve(&instance, &[("KEYFOLD_DATABASE_URL", &schema.url())]).await?;
    let (mut own, mut plain) = (Vec::new(), Vec::new());
    for round in 0..effort.rounds {
        plain.push(schema.plain_inserts(folder, MANY_POSTGRES, effort.seconds).await?);
        own.push(create(programs, &server, &instance, (FOR_MANY * round, FOR_MANY, MANY_POSTGRES), effort).await?.per_second);
    }
    server.stop().await?;
    let (own, plain) = (median(own), median(plain));
    Ok(Row {
        what: format!("Keys created/s, {MANY_POSTGRES} clients, PostgreSQL"),
        keyfold: whole(own),
        beside: format!("{} plain inserts/s", whole(plain)),
        ratio: ratio(own / plain),
        goal: "≥ 0.70",
    })
}

/// One slice: `(workspaces to leave out, workspaces to use, clients)`.
pub(crate) async fn create(
    programs: &Programs,
    server: &Server,
    instance: &Instance,
    how: (u16, u16, u16),
    effort: Effort,
) -> Result<Made> {
    let (skip, workspaces, clients) = how;
    let mut command = Command::new("taskset");
    command.args(["-c", LOAD_CORE, programs.bench.as_str(), "create", "--addr", &server.addr.to_string(), "--rooms"]).arg(&instance.rooms);
    command.args(["--skip", &skip.to_string(), "--workspaces", &workspaces.to_string()]);
    command.args(["--clients", &clients.to_string(), "--seconds", &effort.seconds.to_string()]);
    let printed = finished(command).await?;
    let figures = Figures::find(&printed)?;
    Ok(Made { per_second: figures.get("created")? / figures.get("microseconds")? * 1e6, median_micros: figures.get("p50")? })
}
