//! Pages of keys as the engine makes them, in every order and under every filter, and as they go over HTTP.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::key::{KeyFilter, KeySort, StateFilter};
use keyfold_domain::policy::{Actor, Principal, RequestInfo};
use keyfold_domain::scope::KeyKind;
use keyfold_engine::{DatabaseUrl, Engine, EngineOptions, OpenRole, Pepper, SystemClock, SystemEntropy};

use crate::figures::{percentile, time, whole};
use crate::http::get;
use crate::postgres::{Postgres, Schema};
use crate::report::Row;
use crate::run::Programs;
use crate::say;
use crate::server::Server;

/// What every page has to keep to.
const GOAL: &str = "≤ 100 ms";
/// How often each page of the engine is asked for.
const TRIES: usize = 5;
/// How often each page over HTTP is asked for.
const REQUESTS: usize = 60;
/// The workspace of the demo data with the many keys.
const CROWDED: &str = "orchard";
/// The password of everybody in the demo data.
const PASSWORD: &str = "measured-but-never-kept-29";

/// What to measure with.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The built server
    #[arg(long, value_name = "FILE")]
    keyfold: PathBuf,
    /// An empty folder on the disk that is to be measured
    #[arg(long, value_name = "FOLDER")]
    folder: PathBuf,
    /// How many keys
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    keys: u32,
    /// Print every order and filter, and not only the slowest
    #[arg(long)]
    all: bool,
    /// A PostgreSQL server that may be filled with rubbish
    #[arg(long, env = "TEST_POSTGRES_URL", hide_env_values = true, value_name = "URL")]
    postgres: Option<String>,
}

/// Measures the pages alone, and prints each order and filter.
pub(crate) async fn run(args: Args) -> Result<String> {
    let (folder, keyfold) = (args.folder.canonicalize()?, args.keyfold.canonicalize()?);
    let keyfold = keyfold.to_str().context("the path of keyfold is not text")?;
    let programs = Programs { keyfold, bench: "", folder: &folder };
    let mut rows = Vec::new();
    for database in [None, args.postgres.as_deref()].into_iter().take(1 + usize::from(args.postgres.is_some())) {
        rows.extend(on(&programs, database, args.keys, args.all).await?);
    }
    Ok(crate::report::table(&rows))
}

/// The rows of one database: a file, or a schema on that PostgreSQL server.
pub(crate) async fn on(programs: &Programs<'_>, postgres: Option<&str>, keys: u32, all: bool) -> Result<Vec<Row>> {
    let server: Option<Postgres> = postgres.map(str::parse).transpose()?;
    let schema = match &server {
        Some(server) => Some(Schema::create(server).await?),
        None => None,
    };
    let engine_name = if schema.is_some() { "PostgreSQL" } else { "SQLite" };
    say(&format!("pages of {keys} keys on {engine_name}"));
    let folder = programs.folder.join(format!("pages-{engine_name}"));
    let url = schema.as_ref().map(Schema::url);
    demo(programs, &folder, url.as_deref(), keys)?;
    let database = match &url {
        Some(url) => url.parse()?,
        None => DatabaseUrl::Sqlite(folder.join("keyfold.db")),
    };
    let label = |what: &str| format!("{what}, {} keys, {engine_name}", whole(f64::from(keys)));
    let mut rows = combinations(&folder, database, all, &label).await?;
    rows.extend(over_http(programs, &folder, url.as_deref(), &label).await?);
    Ok(rows)
}

/// Fills an instance with the data of `keyfold demo`.
fn demo(programs: &Programs<'_>, folder: &Path, url: Option<&str>, keys: u32) -> Result<()> {
    let mut command = Command::new(programs.keyfold);
    command.args(["demo", "--password-stdin", "--keys", &keys.to_string(), "--data-dir"]).arg(folder);
    command.env_clear().envs(url.map(|url| ("KEYFOLD_DATABASE_URL", url)));
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().context("keyfold cannot be run")?;
    let mut input = child.stdin.take().context("keyfold takes no input")?;
    std::io::Write::write_all(&mut input, format!("{PASSWORD}\n").as_bytes())?;
    drop(input);
    ensure!(child.wait()?.success(), "keyfold demo failed");
    Ok(())
}

/// Every order under every filter, first page and a page deep in the list.
async fn combinations(folder: &Path, database: DatabaseUrl, all: bool, label: &impl Fn(&str) -> String) -> Result<Vec<Row>> {
    let options = EngineOptions {
        database,
        pepper: Pepper::load_or_create(&folder.join("pepper.key"), None)?,
        prefix: keyfold_domain::token::Prefix::default(),
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        role: OpenRole::Beside,
    };
    let engine = Box::pin(Engine::open(options)).await?;
    let operator = Actor { principal: Principal::Operator, request: RequestInfo { id: "bench".into(), ..RequestInfo::default() } };
    let place = engine.workspaces.get(&operator, CROWDED).await?.id;
    let mut measured = Vec::new();
    for sort in KeySort::ALL {
        for descending in [true, false] {
            let cursor = deep(&engine, &operator, &place, sort, descending).await?;
            for (name, filter) in filters() {
                for (depth, cursor) in [("first", None), ("deep", cursor.clone())] {
                    let filter = KeyFilter { sort, descending, cursor, ..filter.clone() };
                    let took = timed(&engine, &operator, Some(&place), &filter).await?;
                    let order = if descending { "-" } else { "" };
                    measured.push((took, format!("{name}, by {order}{}, {depth} page", sort.as_str())));
                }
            }
            for (name, filter) in filters() {
                let filter = KeyFilter { sort, descending, ..filter };
                let took = timed(&engine, &operator, None, &filter).await?;
                measured.push((took, format!("everybody's: {name}, by {}, first page", sort.as_str())));
            }
        }
    }
    engine.close().await;
    measured.sort_by(|one, other| other.0.total_cmp(&one.0));
    let count = measured.len();
    let of_workspace = |(_, name): &&(f64, String)| !name.starts_with("everybody");
    let slowest = measured.iter().find(of_workspace).context("nothing was measured")?;
    let mut rows = vec![
        Row::alone(label(&format!("Slowest of {count} orders, filters and depths ({})", slowest.1)), time(slowest.0), GOAL),
        Row::alone(label("Slowest page of everybody's keys"), time(measured.first().map_or(0.0, |first| first.0)), ""),
    ];
    if all {
        rows.extend(measured.into_iter().map(|(took, name)| Row::alone(name, time(took), "")));
    }
    Ok(rows)
}

fn filters() -> Vec<(String, KeyFilter)> {
    let of = |name: &str, filter: KeyFilter| (name.to_owned(), filter);
    let usual = KeyFilter::default();
    let mut all: Vec<_> = StateFilter::ALL.into_iter().map(|state| of(state.as_str(), KeyFilter { state, ..usual.clone() })).collect();
    all.extend([
        of("a common name", KeyFilter { search: "billing".into(), ..usual.clone() }),
        of("a rare name", KeyFilter { search: "billing worker 77".into(), ..usual.clone() }),
        of("no such name", KeyFilter { search: "zzzz".into(), ..usual.clone() }),
        of("no such name in all", KeyFilter { search: "zzzz".into(), state: StateFilter::All, ..usual.clone() }),
        of("inactive and no such name", KeyFilter { search: "zzzz".into(), state: StateFilter::Inactive, ..usual.clone() }),
        of("a scope", KeyFilter { scope: "verify".parse().ok(), ..usual.clone() }),
        of("no such scope", KeyFilter { scope: "nobody".parse().ok(), ..usual.clone() }),
        of("a kind", KeyFilter { kind: Some(KeyKind::Management), ..usual.clone() }),
        of("never used", KeyFilter { never_used: true, ..usual.clone() }),
        of("idle", KeyFilter { idle: Some(90), ..usual.clone() }),
        of("idle for years", KeyFilter { idle: Some(3000), ..usual.clone() }),
        of("expiring", KeyFilter { expiring: Some(14), ..usual }),
    ]);
    all
}

/// A cursor in the middle of the list.
async fn deep(engine: &Engine, actor: &Actor, place: &WorkspaceId, sort: KeySort, descending: bool) -> Result<Option<String>> {
    let mut filter = KeyFilter { sort, descending, limit: 200, ..KeyFilter::default() };
    for _ in 0..200 {
        filter.cursor = engine.keys.list(actor, place, &filter).await?.next;
        if filter.cursor.is_none() {
            break;
        }
    }
    Ok(filter.cursor)
}

/// The middle of several tries, in microseconds.
async fn timed(engine: &Engine, actor: &Actor, place: Option<&WorkspaceId>, filter: &KeyFilter) -> Result<f64> {
    let mut tries = Vec::new();
    for _ in 0..TRIES {
        let start = Instant::now();
        match place {
            Some(place) => drop(engine.keys.list(actor, place, filter).await?),
            None => drop(engine.keys.list_all(actor, filter).await?),
        }
        tries.push(start.elapsed());
    }
    tries.sort_unstable();
    Ok(percentile(&tries, 50))
}

/// The list as scripts and as browsers get it.
async fn over_http(programs: &Programs<'_>, folder: &Path, url: Option<&str>, label: &impl Fn(&str) -> String) -> Result<Vec<Row>> {
    let data = folder.to_str().context("the folder's name is not text")?;
    let variables: Vec<(&str, &str)> = url.map(|url| ("KEYFOLD_DATABASE_URL", url)).into_iter().collect();
    // More is asked here in a minute than anybody may.
    let command = [programs.keyfold, "serve", "--data-dir", data, "--shutdown-delay-seconds", "0", "--management-requests-per-minute", "0"];
    let mut server = Server::start(&crate::server::Start { command: &command, variables: &variables, folder })?;
    server.answered(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await?;
    let cookie = sign_in(&server).await?;
    let next = next_of(&server, &cookie, "/v1/workspaces/orchard/keys?limit=200", 100).await?;
    let pages = [
        ("REST: first page", "/v1/workspaces/orchard/keys".to_owned()),
        ("REST: search", "/v1/workspaces/orchard/keys?search=billing%20worker%2077".to_owned()),
        ("REST: deep page", format!("/v1/workspaces/orchard/keys?limit=200&cursor={next}")),
        ("HTML: first page", "/w/orchard/keys".to_owned()),
        ("HTML: search", "/w/orchard/keys?q=billing%20worker%2077".to_owned()),
        ("HTML: deep page", format!("/w/orchard/keys?cursor={next}")),
        ("REST: everybody's keys", "/v1/admin/keys".to_owned()),
    ];
    let mut rows = Vec::new();
    for (name, path) in pages {
        let mut took = Vec::new();
        for _ in 0..REQUESTS {
            let start = Instant::now();
            let answer = get(server.addr, &path, &format!("Accept: text/html, application/json\r\nCookie: {cookie}\r\n")).await?;
            took.push(start.elapsed());
            ensure!(answer.status == 200, "GET {path} answers {}", answer.status);
        }
        took.sort_unstable();
        let figure = format!("{} (p95 {})", time(percentile(&took, 50)), time(percentile(&took, 95)));
        rows.push(Row::alone(label(name), figure, GOAL));
    }
    server.stop().await?;
    Ok(rows)
}

/// The cookie of a fresh session of the administrator.
async fn sign_in(server: &Server) -> Result<String> {
    let body = format!("login=ada&password={PASSWORD}");
    let head =
        format!("Origin: http://{}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n", server.addr, body.len());
    let answer = crate::http::post(server.addr, "/_app/sign_in", &head, &body).await?;
    let cookie = answer.lines().find(|line| line.to_ascii_lowercase().starts_with("set-cookie:"));
    let cookie = cookie.and_then(|line| line.split_once(": ")?.1.split(';').next()).context("signing in sets no cookie")?;
    Ok(cookie.to_owned())
}

/// The cursor after so many pages.
async fn next_of(server: &Server, cookie: &str, path: &str, pages: usize) -> Result<String> {
    let mut next = String::new();
    for _ in 0..pages {
        let cursor = if next.is_empty() { String::new() } else { format!("&cursor={next}") };
        let answer = get(server.addr, &format!("{path}{cursor}"), &format!("Cookie: {cookie}\r\n")).await?;
        let text = String::from_utf8(answer.body)?;
        let found = text.rsplit_once("\"next\":\"").and_then(|(_, rest)| rest.split('"').next());
        match found {
            Some(found) => found.clone_into(&mut next),
            None => break,
        }
    }
    Ok(next)
}
