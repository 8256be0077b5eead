//! The disk's own rate of durable writes: what creation is compared with.

use std::fs::OpenOptions;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::figures::{float, percentile};

/// One write, in bytes: a page of SQLite's.
const PAGE: usize = 4096;
/// Pages after which the same ones are written again, as in a WAL that is reused.
const PAGES: u64 = 1024;

/// How fast the disk is.
#[derive(Debug)]
pub(crate) struct Disk {
    /// Pages written and synced one after another, per second.
    pub(crate) syncs_per_second: f64,
    /// The middle one's time, in microseconds.
    pub(crate) median_micros: f64,
}

/// Writes pages to a file in `folder`, each followed by fdatasync, for that long.
pub(crate) fn measure(folder: &Path, time: Duration) -> Result<Disk> {
    let path = folder.join("syncs");
    let mut file = OpenOptions::new().write(true).create_new(true).open(&path)?;
    for _ in 0..PAGES {
        file.write_all(&[0x5a; PAGE])?;
    }
    file.sync_all()?;

    let mut times = Vec::new();
    let mut written = 0u64;
    let start = Instant::now();
    while start.elapsed() < time {
        if written.is_multiple_of(PAGES) {
            file.seek(SeekFrom::Start(0))?;
        }
        let before = Instant::now();
        file.write_all(&[0xa5; PAGE])?;
        file.sync_data()?;
        times.push(before.elapsed());
        written += 1;
    }
    let seconds = start.elapsed().as_secs_f64();
    drop(file);
    std::fs::remove_file(&path)?;
    times.sort();
    Ok(Disk { syncs_per_second: float(written) / seconds, median_micros: percentile(&times, 50) })
}
