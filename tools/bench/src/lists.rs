//! Pages of keys as the engine makes them, in every order and under every filter, and as they go over HTTP.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::key::{KeyFilter, KeySort, StateFilter};
use keyfold_domain::policy::{Actor, Principal, RequestInfo};
use keyfold_domain::scope::KeyKind;
use keyfold_engine::{DatabaseUrl, Engine, EngineOptions, OpenRole, Pepper, SystemClock, SystemEntropy};

use crate::figures::{percentile, time, whole};
use crate::http::get;
use crate::postgres::{Postgres, Schema};
use crate::report::Row;
use crate::run::{Place, Programs};
use crate::say;
use crate::server::Server;
use crate::verification::ratio;

/// What every page has to keep to.
const GOAL: &str = "≤ 100 ms";
/// How often each page of the engine is asked for.
const TRIES: usize = 5;
/// How often each page over HTTP is asked for.
const REQUESTS: usize = 200;
/// The workspace of the demo data with the many keys.
const CROWDED: &str = "orchard";
/// A resource of it.
const RESOURCE: &str = "collection:quarterly-reports";
/// Pages of 200 keys before the one that is called deep.
const PAGES_DEEP: usize = 200;
/// The password of everybody in the demo data.
const PASSWORD: &str = "measured-but-never-kept-29";

/// What to measure with.
#[derive(clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: Place,
    /// How many keys
    #[arg(long, value_name = "NUMBER", default_value_t = 100_000)]
    keys: u32,
    /// A PostgreSQL server that may be filled with rubbish
    #[arg(long, env = "TEST_POSTGRES_URL", hide_env_values = true, value_name = "URL")]
    postgres: Option<String>,
    /// The folder of an instance that `keyfold demo` has filled before, whose database `--postgres` names if it is not a file;
    /// nothing is filled then
    #[arg(long, value_name = "FOLDER")]
    filled: Option<PathBuf>,
}

/// What the pages of one database cost.
pub(crate) struct Measured {
    /// The slowest, and what goes over HTTP: for the table of everything.
    pub(crate) rows: Vec<Row>,
    /// Every order and filter, as a Markdown table with its heading.
    pub(crate) grid: String,
}

/// Measures the pages alone, and prints every order and filter.
pub(crate) async fn run(args: Args) -> Result<String> {
    let programs = args.place.programs()?;
    let (mut rows, mut grids) = (Vec::new(), String::new());
    if let Some(filled) = &args.filled {
        let measured = of(&programs, &filled.canonicalize()?, args.postgres.as_deref(), args.keys).await?;
        return Ok(format!("{}\n{}", crate::report::table(&measured.rows), measured.grid));
    }
    for database in [None, args.postgres.as_deref()].into_iter().take(1 + usize::from(args.postgres.is_some())) {
        let measured = on(&programs, database, args.keys).await?;
        rows.extend(measured.rows);
        grids += &measured.grid;
    }
    Ok(format!("{}\n{grids}", crate::report::table(&rows)))
}

/// The pages of one database: a file, or a schema on that PostgreSQL server.
pub(crate) async fn on(programs: &Programs, postgres: Option<&str>, keys: u32) -> Result<Measured> {
    let server: Option<Postgres> = postgres.map(str::parse).transpose()?;
    let schema = match &server {
        Some(server) => Some(Schema::create(server).await?),
        None => None,
    };
    let folder = programs.folder.join(if schema.is_some() { "pages-postgresql" } else { "pages-sqlite" });
    let url = schema.as_ref().map(Schema::url);
    say(&format!("making {keys} keys"));
    demo(programs, &folder, url.as_deref(), keys)?;
    of(programs, &folder, url.as_deref(), keys).await
}

/// The pages of a filled instance.
async fn of(programs: &Programs, folder: &Path, url: Option<&str>, keys: u32) -> Result<Measured> {
    let engine_name = if url.is_some() { "PostgreSQL" } else { "SQLite" };
    say(&format!("pages of {keys} keys on {engine_name}"));
    let database = match url {
        Some(url) => url.parse()?,
        None => DatabaseUrl::Sqlite(folder.join("keyfold.db")),
    };
    let place = format!("{} keys, {engine_name}", whole(f64::from(keys)));
    let label = |what: &str| format!("{what}, {place}");
    let pages = combinations(folder, database).await?;
    let slowest = pages.iter().max_by(|one, other| one.micros.total_cmp(&other.micros)).context("nothing was measured")?;
    let (simplest, count) = (simplest(&pages), pages.len());
    let mut rows = vec![Row {
        what: label(&format!("Slowest of {count} pages ({})", slowest.name())),
        keyfold: time(slowest.micros),
        beside: format!("{} the simplest page", time(simplest)),
        ratio: ratio(slowest.micros / simplest),
        goal: GOAL,
    }];
    rows.extend(over_http(programs, folder, url, &label).await?);
    Ok(Measured { rows, grid: format!("### Pages of {place}\n\n{}\n", grid(&pages)) })
}

/// Fills an instance with the data of `keyfold demo`.
fn demo(programs: &Programs, folder: &Path, url: Option<&str>, keys: u32) -> Result<()> {
    let mut command = Command::new(&programs.keyfold);
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

/// How long one page took.
struct Page {
    /// What was asked for.
    filter: &'static str,
    sort: KeySort,
    descending: bool,
    /// Of everybody's keys, and not of one workspace's?
    everybodys: bool,
    /// In the middle of the list, and not its first?
    deep: bool,
    micros: f64,
}

impl Page {
    fn order(&self) -> String {
        format!("{}, {}", self.sort.as_str(), if self.descending { "largest first" } else { "smallest first" })
    }

    fn name(&self) -> String {
        let whose = if self.everybodys { "everybody's" } else { "a workspace's" };
        let depth = if self.deep { "deep" } else { "first" };
        format!("{whose}, {}, by {}, {depth} page", self.filter, self.order())
    }
}

/// Every order under every filter, of one workspace and of all, the first page and one in the middle of the list.
async fn combinations(folder: &Path, database: DatabaseUrl) -> Result<Vec<Page>> {
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
    let crowded = engine.workspaces.get(&operator, CROWDED).await?.id;
    let owner = engine.keys.list(&operator, &crowded, &KeyFilter::default()).await?.items.first().map(|key| key.owner.id.clone());
    let filters = filters(owner);
    let mut pages = Vec::new();
    for place in [Some(&crowded), None] {
        let asker = Asker { engine: &engine, actor: &operator, place };
        for (sort, descending) in KeySort::ALL.into_iter().flat_map(|sort| [(sort, true), (sort, false)]) {
            let middle = asker.middle(sort, descending).await?;
            for (name, filter) in &filters {
                for cursor in [None, middle.clone()] {
                    let (deep, everybodys) = (cursor.is_some(), place.is_none());
                    let filter = KeyFilter { sort, descending, cursor, ..filter.clone() };
                    pages.push(Page { filter: name, sort, descending, everybodys, deep, micros: asker.timed(&filter).await? });
                }
            }
        }
    }
    engine.close().await;
    Ok(pages)
}

/// What can be asked for: the first asks for nothing.
fn filters(owner: Option<UserId>) -> Vec<(&'static str, KeyFilter)> {
    let usual = KeyFilter::default();
    let in_state = |state| KeyFilter { state, ..usual.clone() };
    let search = |text: &str| KeyFilter { search: text.into(), ..usual.clone() };
    vec![
        ("live", usual.clone()),
        ("active", in_state(StateFilter::Active)),
        ("inactive", in_state(StateFilter::Inactive)),
        ("deleted", in_state(StateFilter::Deleted)),
        ("all", in_state(StateFilter::All)),
        ("search: a common name", search("billing")),
        ("search: a rare name", search("billing worker 77")),
        ("search: two characters", search("77")),
        ("search: two characters of no name", search("zq")),
        ("search: no such name", search("zzzz")),
        ("search in all: no such name", KeyFilter { state: StateFilter::All, ..search("zzzz") }),
        ("search in inactive: no such name", KeyFilter { state: StateFilter::Inactive, ..search("zzzz") }),
        ("a scope", KeyFilter { scope: "verify".parse().ok(), ..usual.clone() }),
        ("no such scope", KeyFilter { scope: "nobody".parse().ok(), ..usual.clone() }),
        ("a kind", KeyFilter { kind: Some(KeyKind::Management), ..usual.clone() }),
        ("never used", KeyFilter { never_used: true, ..usual.clone() }),
        ("idle for 90 days", KeyFilter { idle: Some(90), ..usual.clone() }),
        ("idle for years", KeyFilter { idle: Some(3000), ..usual.clone() }),
        ("expiring", KeyFilter { expiring: Some(14), ..usual.clone() }),
        ("a resource", KeyFilter { resource: RESOURCE.into(), ..usual.clone() }),
        ("an owner", KeyFilter { owner, ..usual }),
    ]
}

/// Who asks for the pages of one list.
struct Asker<'a> {
    engine: &'a Engine,
    actor: &'a Actor,
    /// `None` for everybody's keys.
    place: Option<&'a WorkspaceId>,
}

impl Asker<'_> {
    /// Asks for a page; the cursor of the next.
    async fn page(&self, filter: &KeyFilter) -> Result<Option<String>> {
        let keys = &self.engine.keys;
        Ok(match self.place {
            Some(place) => keys.list(self.actor, place, filter).await?.next,
            None => keys.list_all(self.actor, filter).await?.next,
        })
    }

    /// A cursor in the middle of the list.
    async fn middle(&self, sort: KeySort, descending: bool) -> Result<Option<String>> {
        let mut filter = KeyFilter { sort, descending, limit: 200, ..KeyFilter::default() };
        for _ in 0..PAGES_DEEP {
            let next = self.page(&filter).await?;
            if next.is_none() {
                break;
            }
            filter.cursor = next;
        }
        Ok(filter.cursor)
    }

    /// The middle of several tries, in microseconds.
    async fn timed(&self, filter: &KeyFilter) -> Result<f64> {
        let mut tries = Vec::new();
        for _ in 0..TRIES {
            let start = Instant::now();
            self.page(filter).await?;
            tries.push(start.elapsed());
        }
        tries.sort_unstable();
        Ok(percentile(&tries, 50))
    }
}

/// What the first page takes that a person sees: the workspace's newest live keys.
fn simplest(pages: &[Page]) -> f64 {
    pages.first().map_or(f64::NAN, |page| page.micros)
}

/// One line for each order of which nothing else is asked, and one for each filter with its slowest order; whose keys and how deep
/// across. Beside each time stands how often the simplest page fits into it.
fn grid(pages: &[Page]) -> String {
    const COLUMNS: [(bool, bool); 4] = [(false, false), (false, true), (true, false), (true, true)];
    let simplest = simplest(pages);
    let cell = |wanted: &dyn Fn(&&Page) -> bool| {
        let micros = pages.iter().filter(wanted).map(|page| page.micros).fold(0.0, f64::max);
        format!("{} ({} ×)", time(micros), ratio(micros / simplest))
    };
    let mut lines = Vec::new();
    let mut seen = Vec::new();
    for page in pages.iter().filter(|page| page.filter == "live") {
        let order = page.order();
        if !seen.contains(&order) {
            let cells = COLUMNS.map(|(all, deep)| {
                cell(&|other| other.filter == "live" && other.order() == order && (other.everybodys, other.deep) == (all, deep))
            });
            lines.push((format!("by {order}"), cells));
            seen.push(order);
        }
    }
    let mut names: Vec<_> = pages.iter().map(|page| page.filter).collect();
    let mut met = std::collections::HashSet::new();
    names.retain(|name| met.insert(*name));
    for name in names.into_iter().filter(|name| *name != "live") {
        let cells = COLUMNS.map(|(all, deep)| cell(&|other| other.filter == name && (other.everybodys, other.deep) == (all, deep)));
        lines.push((format!("{name}, slowest order"), cells));
    }
    let head = ["Asked for", "Workspace, first page", "Workspace, deep page", "Everybody's, first page", "Everybody's, deep page"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(lines.into_iter().map(|(name, [one, two, three, four])| [name, one, two, three, four]));
    crate::report::aligned(&rows)
}

/// The list as scripts and as browsers get it.
async fn over_http(programs: &Programs, folder: &Path, url: Option<&str>, label: &impl Fn(&str) -> String) -> Result<Vec<Row>> {
    let data = folder.to_str().context("the folder's name is not text")?;
    let variables: Vec<(&str, &str)> = url.map(|url| ("KEYFOLD_DATABASE_URL", url)).into_iter().collect();
    // More is asked here in a minute than anybody may.
    let command =
        [programs.keyfold.as_str(), "serve", "--data-dir", data, "--shutdown-delay-seconds", "0", "--management-requests-per-minute", "0"];
    let mut server = Server::start(&crate::server::Start { command: &command, variables: &variables, folder })?;
    server.answered(b"GET /readyz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").await?;
    let cookie = sign_in(&server).await?;
    let next = next_of(&server, &cookie, "/v1/workspaces/orchard/keys?limit=200", 100).await?;
    let pages = [
        ("REST: first page", "/v1/workspaces/orchard/keys".to_owned()),
        ("REST: search", "/v1/workspaces/orchard/keys?search=billing%20worker%2077".to_owned()),
        ("REST: search, a common name", "/v1/workspaces/orchard/keys?search=billing".to_owned()),
        ("REST: search, no such name", "/v1/workspaces/orchard/keys?search=zzzz".to_owned()),
        ("REST: search, two characters", "/v1/workspaces/orchard/keys?search=zq".to_owned()),
        ("REST: search, by name", "/v1/workspaces/orchard/keys?search=worker%2077&sort=name".to_owned()),
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
        let figure = format!("{} (p99 {})", time(percentile(&took, 50)), time(percentile(&took, 99)));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_has_a_line_for_each_order_and_one_for_each_filter_with_its_slowest_order() {
        let page =
            |filter, descending, everybodys, deep, micros| Page { filter, sort: KeySort::Name, descending, everybodys, deep, micros };
        let text = grid(&[
            page("live", true, false, false, 500.0),
            page("live", true, true, true, 1000.0),
            page("live", false, false, false, 600.0),
            page("a kind", true, false, false, 700.0),
            page("a kind", false, false, false, 900.0),
        ]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines.len(), 5, "{text}");
        assert!(lines[2].starts_with("| by name, largest first  | 500.00 µs (1.00 ×)"), "{text}");
        assert!(lines[2].contains("1.00 ms (2.00 ×)"), "{text}");
        assert!(lines[4].starts_with("| a kind, slowest order   | 900.00 µs (1.80 ×)"), "{text}");
    }
}
