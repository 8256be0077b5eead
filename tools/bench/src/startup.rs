//! From the start of the process to the first verified key, and what it takes to lie idle.

use std::time::Duration;

use anyhow::Result;

use crate::figures::{float, median, micros, size, time, whole};
use crate::filling::Instance;
use crate::report::Row;
use crate::run::Programs;
use crate::say;
use crate::server::Server;

/// Starts of which the middle counts.
const STARTS: u32 = 5;
/// Until a server that has just answered counts as idle.
const SETTLE: Duration = Duration::from_secs(3);

/// An instance and how many keys it holds.
pub(crate) struct Sized<'a> {
    /// The instance.
    pub(crate) instance: &'a Instance,
    /// Its keys.
    pub(crate) keys: u64,
}

/// Start and memory with few keys and with many.
pub(crate) async fn measure(programs: &Programs, few: &Sized<'_>, many: &Sized<'_>) -> Result<Vec<Row>> {
    say("cold start and idle memory");
    let mut rows = Vec::new();
    for (sized, goal) in [(few, "≤ 40 ms"), (many, "≤ 600 ms with 1,000,000")] {
        let what = format!("Start to first verified key, {} keys", whole(float(sized.keys)));
        rows.push(Row::alone(what, time(start(programs, sized.instance).await?), goal));
    }
    let (small, large) = (idle(programs, few.instance).await?, idle(programs, many.instance).await?);
    for (sized, resident, goal) in [(few, small, "≤ 40 MiB"), (many, large, "")] {
        rows.push(Row::alone(format!("Memory idle, {} keys", whole(float(sized.keys))), size(resident), goal));
    }
    let per_key = (large - small) / float(many.keys.saturating_sub(few.keys).max(1));
    rows.push(Row::alone("Memory per key beyond that", format!("{} bytes", whole(per_key)), "≤ 250 bytes"));
    Ok(rows)
}

/// The middle of several starts, in microseconds. Files are in the system's cache.
async fn start(programs: &Programs, instance: &Instance) -> Result<f64> {
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let (server, took) = programs.serve_timed(instance, &[]).await?;
        times.push(micros(took));
        server.stop().await?;
    }
    Ok(median(times))
}

/// Resident memory of a server that has answered one request and rests, in bytes.
async fn idle(programs: &Programs, instance: &Instance) -> Result<f64> {
    let server: Server = programs.serve(instance, &[]).await?;
    tokio::time::sleep(SETTLE).await;
    let resident = float(server.resident()?);
    server.stop().await?;
    Ok(resident)
}
