//! Everything, one after the other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::creation::{Effort, on_postgres, on_sqlite};
use crate::figures::whole;
use crate::filling::{Instance, Wanted, fill};
use crate::report::{Row, machine, page, table};
use crate::server::{Server, Start};
use crate::startup::Sized;
use crate::verification::Contest;
use crate::wrk::Wrk;
use crate::{instructions, isolation, lists, propagation, say, startup, weight};

/// The smaller instance.
const FEW: u32 = 1000;

/// What to measure with, and how thoroughly.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// Write the page for people here
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// Keys of the larger instance
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(10_000..=1_000_000))]
    keys: u32,
    /// Rounds of which the middle counts
    #[arg(long, value_name = "NUMBER", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=20))]
    rounds: u16,
    /// The length of one slice
    #[arg(long, value_name = "SECONDS", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Leave out what needs valgrind
    #[arg(long)]
    no_instructions: bool,
    /// A PostgreSQL server that may be filled with rubbish; without one, creation is measured on SQLite only
    #[arg(long, env = "TEST_POSTGRES_URL", hide_env_values = true, value_name = "URL")]
    postgres: Option<String>,
}

/// Measures everything and returns the table.
pub(crate) async fn run(args: Args) -> Result<String> {
    let cores = std::thread::available_parallelism()?.get();
    ensure!(cores >= 2, "measuring needs two processor cores, one for the server and one for the load");
    let programs = args.place.programs()?;
    let (rows, pages) = measure(&args, &programs, &programs.folder).await?;
    let (table, machine) = (table(&rows), machine()?);
    if let Some(path) = &args.report {
        let page = page(&table, &pages, &method(&args), &machine);
        std::fs::write(path, page).with_context(|| format!("{} cannot be written", path.display()))?;
        say(&format!("wrote {}", path.display()));
    }
    Ok(format!("{table}\n{pages}{machine}\n"))
}

/// The rows of the table of everything, and the tables of the pages of keys.
async fn measure(args: &Args, programs: &Programs, folder: &Path) -> Result<(Vec<Row>, String)> {
    let rooms = usize::from(isolation::ROOMS * args.rounds);
    say(&format!("filling: {FEW} keys, {} keys", args.keys));
    let filled = async |name: &str, keys: u32, known_per_workspace, empty_workspaces| {
        let (folder, keys) = (&folder.join(name), usize::try_from(keys)?);
        fill(&Wanted { folder, database: None, keys, known_per_workspace, empty_workspaces }).await
    };
    let (few, many) = (filled("few", FEW, 1000, 0).await?, filled("many", args.keys, 100, rooms).await?);

    let mut rows = verification(args, programs, &few, &many).await?;
    if !args.no_instructions {
        rows.extend(instructions::measure(programs, &few, &many).await?);
    }
    let effort = Effort { rounds: args.rounds, seconds: u64::from(args.seconds) };
    rows.extend(on_sqlite(programs, folder, effort).await?);
    if let Some(url) = &args.postgres {
        rows.push(on_postgres(programs, folder, url, effort).await?);
        rows.extend(propagation::measure(programs, url).await?);
    }
    let mut pages = String::new();
    for database in [None, args.postgres.as_deref()].into_iter().take(1 + usize::from(args.postgres.is_some())) {
        let measured = lists::on(programs, database, args.keys).await?;
        rows.extend(measured.rows);
        pages += &measured.grid;
    }
    let (small, large) = (Sized { instance: &few, keys: u64::from(FEW) }, Sized { instance: &many, keys: u64::from(args.keys) });
    rows.extend(startup::measure(programs, &small, &large).await?);
    // Last of those with many keys: it makes more.
    rows.push(isolation::measure(programs, &many, effort).await?);
    let server = programs.serve(&few, &[]).await?;
    rows.extend(weight::of_site(server.addr).await?);
    server.stop().await?;
    rows.push(weight::of_binary(Path::new(&programs.keyfold))?);
    Ok((rows, pages))
}

async fn verification(args: &Args, programs: &Programs, few: &Instance, many: &Instance) -> Result<Vec<Row>> {
    let wrk = Wrk::new(&programs.folder)?;
    let keyfold = programs.serve(many, &[]).await?;
    let reference = programs.reference_under(&[]).await?;
    let contest = Contest {
        wrk: &wrk,
        keyfold: &keyfold,
        reference: &reference,
        known: &many.known,
        // Well-formed, and made by another installation.
        unknown: &few.known,
        rounds: u32::from(args.rounds),
        seconds: args.seconds,
    };
    let rows = contest.run().await?;
    keyfold.stop().await?;
    Ok(rows)
}

/// What is measured, and where.
#[derive(clap::Args)]
pub(crate) struct Place {
    /// The built server
    #[arg(long, value_name = "FILE")]
    keyfold: PathBuf,
    /// An empty folder on the disk that is to be measured
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
}

impl Place {
    /// The programs, wherever they are called from.
    pub(crate) fn programs(&self) -> Result<Programs> {
        let folder = self.folder.canonicalize().with_context(|| format!("{} cannot be used", self.folder.display()))?;
        let keyfold = self.keyfold.canonicalize().with_context(|| format!("{} is not there; build it first", self.keyfold.display()))?;
        let text = |path: &Path| path.to_str().map(str::to_owned).with_context(|| format!("{} is not text", path.display()));
        Ok(Programs { keyfold: text(&keyfold)?, bench: text(&std::env::current_exe()?)?, folder })
    }
}

/// The programs under measurement, and where they may leave files.
pub(crate) struct Programs {
    /// The server.
    pub(crate) keyfold: String,
    /// This program.
    pub(crate) bench: String,
    /// For files.
    pub(crate) folder: PathBuf,
}

impl Programs {
    /// The same programs, with a folder of that name within this one.
    pub(crate) fn in_folder(&self, name: &str) -> Result<Self> {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(Self { keyfold: self.keyfold.clone(), bench: self.bench.clone(), folder })
    }

    /// A server that answers for the keys of this instance.
    pub(crate) async fn serve(&self, instance: &Instance, variables: &[(&str, &str)]) -> Result<Server> {
        Ok(self.serve_timed(instance, variables).await?.0)
    }

    /// The same, and how long it took from its start to the first verified key.
    pub(crate) async fn serve_timed(&self, instance: &Instance, variables: &[(&str, &str)]) -> Result<(Server, Duration)> {
        self.serve_under(&[], instance, variables).await
    }

    /// The same, run by another program.
    pub(crate) async fn serve_under(&self, by: &[&str], instance: &Instance, variables: &[(&str, &str)]) -> Result<(Server, Duration)> {
        let data = instance.folder.to_str().context("the folder's name is not text")?;
        // More is asked here in a minute than anybody may.
        let own =
            [self.keyfold.as_str(), "serve", "--data-dir", data, "--shutdown-delay-seconds", "0", "--management-requests-per-minute", "0"];
        let mut server = Server::start(&Start { command: &[by, &own].concat(), variables, folder: &self.folder })?;
        let took = server.answered(&instance.whoami()?).await?;
        Ok((server, took))
    }

    /// The reference, run by another program or by none.
    pub(crate) async fn reference_under(&self, by: &[&str]) -> Result<Server> {
        let own = [self.bench.as_str(), "reference"];
        let folder = self.folder.join("reference");
        std::fs::create_dir_all(&folder)?;
        let mut server = Server::start(&Start { command: &[by, &own].concat(), variables: &[], folder: &folder })?;
        server.answered(b"GET /v1/whoami HTTP/1.1\r\nHost: reference\r\n\r\n").await?;
        Ok(server)
    }
}

/// What the page says of the method.
fn method(args: &Args) -> String {
    format!(
        "Everything runs on 127.0.0.1. The server has one processor core to itself and the load the other; release builds.\n\n\
         - *Bare axum* is a route of axum 0.8 that answers a fixed body of 29 bytes to the same GET, on the same runtime. Each slice\n\
         \x20 of {} s on Keyfold lies between two on it; what is shown is the middle of {} rounds. The load is wrk with 32 connections\n\
         \x20 that are kept open, {} known keys of {} in turn ({} unknown ones); every answer must be of the expected kind. CPU is what\n\
         \x20 the kernel charged to the server's process.\n\
         - *Instructions* are counted by callgrind: the least of 12 windows of 100 requests on a warm connection, less what the\n\
         \x20 server executes in the same time idle.\n\
         \x20 Valgrind lacks the processor's SHA instructions, so hashing looks dearer than it is.\n\
         - *Beside other work*: whoami at about 3,000 requests a second, with nothing else going on and then while 32 clients make keys,\n\
         \x20 one searches, backups are taken one after the other and counts are flushed; their load shares a core with the measuring one.\n\
         - *Creation* is `POST /v1/workspaces/…/keys` with a management key, each answered after the key, its audit event and its\n\
         \x20 line in the change log are on disk, in workspaces that grow to 1,000 keys. *fdatasync* is one page of 4 KiB written and\n\
         \x20 synced at a time, in the same folder. *Plain inserts* are single-row transactions by pgbench, with as many clients.\n\
         - *Revocation*: three servers on one core and one PostgreSQL; 300 keys are deleted through the first, one after the other, while\n\
         \x20 the other two are asked about each without a pause. The time is from the answer to the deletion to the later refusal.\n\
         - *Pages of keys* are of the workspace of `keyfold demo --keys {}` and of everybody's keys there: as the engine makes them, the\n\
         \x20 middle of 5, in every order under every filter, first and deep, which is after 40,000 keys or as many as there are; then over\n\
         \x20 HTTP by a signed-in administrator, one request at a time, the middle and the 95th percentile of 60. The deep page there is the\n\
         \x20 101st of 200 keys. HTML is the whole page as browsers get it.\n\
         - *Start* is from starting the process to the first 200 of `/v1/whoami`, the middle of 5, files in the system's cache.\n\
         - *Memory* is VmRSS three seconds after that. The weight of the site is what the server sends.\n",
        args.seconds,
        args.rounds,
        whole(f64::from(args.keys / 10)),
        whole(f64::from(args.keys)),
        FEW - 1,
        args.keys,
    )
}
