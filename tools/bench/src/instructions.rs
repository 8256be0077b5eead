//! Instructions for one verification, counted by valgrind: the one figure that repeats on a busy machine.
//!
//! The server runs under callgrind. It is told to count only once it runs, and to write down and forget its sum after each of
//! some short windows. The least counts, less the least of as much time idle: what a job in the background executes now and
//! then, which no request pays for, falls into some windows and not into others.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::figures::{float, whole};
use crate::filling::{Instance, Wanted, fill};
use crate::http::Connection;
use crate::report::Row;
use crate::run::{Place, Programs};
use crate::say;
use crate::server::Server;
use crate::verification::ratio;

/// Requests of one window.
const REQUESTS: u32 = 100;
/// Windows under load, and idle ones.
const WINDOWS: usize = 12;
const IDLE_WINDOWS: usize = 3;
/// Requests before that, so that buffers have grown and pages have been touched.
const WARM_UP: u32 = 200;
/// By how much a gate may be exceeded: the figures repeat within a small part of this.
const SLACK: f64 = 1.05;

/// What the gate allows: instructions of Keyfold by those of the bare route, both in the build that the tests run, which is not
/// optimised. Whoever makes the path longer on purpose writes the new figure here, and the reason in the commit; whoever makes it
/// shorter does so too, so that it stays short.
const ALLOWED: [(Kind, f64); 3] = [(Kind::Whoami, 1.69), (Kind::Verify, 2.69), (Kind::Unknown, 2.16)];

/// What is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whoami,
    Verify,
    /// A key of another installation.
    Unknown,
}

impl Kind {
    const fn title(self) -> &'static str {
        match self {
            Self::Whoami => "GET /v1/whoami, known key",
            Self::Verify => "POST /v1/verify, known key",
            Self::Unknown => "GET /v1/whoami, unknown key",
        }
    }

    const fn status(self) -> u16 {
        match self {
            Self::Unknown => 401,
            _ => 200,
        }
    }

    fn request(self, own: &Instance, other: &Instance) -> Result<Vec<u8>> {
        match self {
            Self::Whoami => own.whoami(),
            Self::Verify => own.verify(),
            Self::Unknown => other.whoami(),
        }
    }
}

/// What to count with, for the gate.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
}

/// Counts, and fails where a path has become longer than is allowed. Ends with a line as test runners print it.
pub(crate) async fn gate(args: Args) -> Result<String> {
    let programs = args.place.programs()?;
    let filled = async |name: &str| {
        let wanted = Wanted { folder: &programs.folder.join(name), database: None, keys: 20, known_per_workspace: 20, empty_workspaces: 0 };
        fill(&wanted).await
    };
    let (own, other) = (filled("own").await?, filled("other").await?);
    let counts = count(&programs, &own, &other, &ALLOWED.map(|(kind, _)| kind)).await?;
    let mut exceeded = 0;
    for ((kind, allowed), (own, bare)) in ALLOWED.into_iter().zip(&counts) {
        let found = own / bare;
        let verdict = if found > allowed * SLACK {
            exceeded += 1;
            "LONGER than allowed"
        } else if found < allowed / SLACK {
            exceeded += 1;
            "SHORTER: write the new figure into tools/bench/src/instructions.rs, so that it stays so"
        } else {
            "as allowed"
        };
        let (own, bare) = (whole(*own), whole(*bare));
        say(&format!("{}: {own} instructions, {bare} bare axum: {found:.3}, {allowed:.3} allowed; {verdict}", kind.title()));
    }
    if exceeded > 0 {
        bail!("{} passed\n{exceeded} failed", ALLOWED.len() - exceeded);
    }
    Ok(format!("{} passed\n", ALLOWED.len()))
}

/// Instructions for one request of each kind with a known key, beside the bare route.
pub(crate) async fn measure(programs: &Programs, instance: &Instance, other: &Instance) -> Result<Vec<Row>> {
    say("instructions (valgrind)");
    let kinds = [Kind::Whoami, Kind::Verify, Kind::Unknown];
    let counts = count(programs, instance, other, &kinds).await?;
    let rows = kinds.into_iter().zip(counts).map(|(kind, (own, bare))| Row {
        what: format!("{}: instructions", kind.title()),
        keyfold: whole(own),
        beside: format!("{} bare axum", whole(bare)),
        ratio: ratio(own / bare),
        goal: if kind == Kind::Whoami { "≤ 1.25" } else { "" },
    });
    Ok(rows.collect())
}

/// Instructions of one request of each kind, of Keyfold and of the bare route.
async fn count(programs: &Programs, own: &Instance, other: &Instance, kinds: &[Kind]) -> Result<Vec<(f64, f64)>> {
    let asked = kinds.iter().map(|kind| Ok((kind.request(own, other)?, kind.status()))).collect::<Result<Vec<_>>>()?;
    // Whatever Keyfold is asked, the reference answers the same plain GET: its work is the framework's and nothing else.
    let plain = [(own.whoami()?, 200)];
    let bare = Counted::start(programs, None).await?.all(&plain).await?;
    let own = Counted::start(programs, Some(own)).await?.all(&asked).await?;
    Ok(own.into_iter().map(|count| (count, bare[0])).collect())
}

/// A server under valgrind.
struct Counted {
    server: Server,
    /// Where valgrind writes; each sum goes to a file with a number more.
    out: PathBuf,
    sums: u32,
}

impl Counted {
    async fn start(programs: &Programs, instance: Option<&Instance>) -> Result<Self> {
        let out = programs.folder.join(if instance.is_some() { "callgrind.own" } else { "callgrind.bare" });
        let file = format!("--callgrind-out-file={}", out.display());
        let valgrind = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--main-stacksize=67108864", &file];
        let server = match instance {
            Some(instance) => programs.serve_under(&valgrind, instance, &[]).await?.0,
            None => programs.reference_under(&valgrind).await?,
        };
        Ok(Self { server, out, sums: 0 })
    }

    /// What each of these requests costs beyond as much time spent idle.
    async fn all(mut self, requests: &[(Vec<u8>, u16)]) -> Result<Vec<f64>> {
        self.control(&["-i", "on"])?;
        let mut counts = Vec::new();
        for (request, status) in requests {
            // One of its own: the server ends connections that are idle for as long as is measured in between.
            let mut connection = Connection::open(self.server.addr).await?;
            ask(&mut connection, request, *status, WARM_UP).await?;
            self.sum()?;
            let (mut loaded, mut took) = (Vec::new(), Duration::ZERO);
            for _ in 0..WINDOWS {
                let begun = Instant::now();
                ask(&mut connection, request, *status, REQUESTS).await?;
                took = begun.elapsed();
                loaded.push(self.sum()?);
            }
            let mut idle = Vec::new();
            for _ in 0..IDLE_WINDOWS {
                tokio::time::sleep(took).await;
                idle.push(self.sum()?);
            }
            let least = |sums: &[u64]| sums.iter().copied().min().unwrap_or_default();
            let (loaded, idle) = (least(&loaded), least(&idle));
            ensure!(loaded > idle, "valgrind counted {loaded} instructions under load and {idle} without");
            counts.push(float(loaded - idle) / f64::from(REQUESTS));
        }
        self.control(&["-i", "off"])?;
        self.server.stop().await?;
        Ok(counts)
    }

    /// The sum since the last time, which is forgotten.
    fn sum(&mut self) -> Result<u64> {
        self.control(&["-d"])?;
        self.sums += 1;
        let path = format!("{}.{}", self.out.display(), self.sums);
        let written = std::fs::read_to_string(&path).with_context(|| format!("valgrind did not write {path}"))?;
        std::fs::remove_file(&path)?;
        summary(&written)
    }

    fn control(&self, what: &[&str]) -> Result<()> {
        let done = Command::new("callgrind_control").args(what).arg(self.server.id().to_string()).output();
        let done = done.context("callgrind_control cannot be run; it comes with valgrind")?;
        let (printed, complaint) = (String::from_utf8_lossy(&done.stdout), String::from_utf8_lossy(&done.stderr));
        ensure!(done.status.success() && printed.contains("OK."), "callgrind_control {what:?} failed:\n{printed}{complaint}");
        Ok(())
    }
}

async fn ask(connection: &mut Connection, request: &[u8], wanted: u16, times: u32) -> Result<()> {
    for _ in 0..times {
        let status = connection.send(request).await?.status;
        ensure!(status == wanted, "a request under valgrind is answered with {status}");
    }
    Ok(())
}

/// The sum in what callgrind writes (valgrind's manual, "Callgrind Format Specification": `totals`).
fn summary(written: &str) -> Result<u64> {
    let line = written.lines().rev().find_map(|line| line.strip_prefix("totals: "));
    line.and_then(|count| count.trim().parse().ok()).context("valgrind wrote no sum")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_found_in_what_valgrind_writes() {
        let written = "# callgrind format\nevents: Ir\nsummary: 9\n\nfn=(1) a\n1 9\n\ntotals: 123456\n";
        assert_eq!(summary(written).unwrap(), 123_456);
        assert!(summary("events: Ir\n").is_err());
    }
}
