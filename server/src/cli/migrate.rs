//! `keyfold migrate`: an instance moves from SQLite to PostgreSQL, or back.

use keyfold_engine::{DatabaseUrl, Error, MoveError, MoveOptions, MoveProgress, MoveReport, SystemClock, move_instance};
use serde::Serialize;

use crate::cli::output::columns;
use crate::cli::{CliError, Printer, operator};
use crate::config::Config;
use crate::serve::make_folder;

/// Move the instance from SQLite to PostgreSQL, or back. The server has to be stopped
///
/// Every row is carried over and compared, in one transaction: all of it, or nothing. The target has to be empty, and the source stays as
/// it is. One of the two can be left out, and is what the configuration names as `database_url`: so a password need not be on the command
/// line. PGPASSWORD and ~/.pgpass work as well.
#[derive(clap::Args)]
pub(super) struct Args {
    /// Where the instance is: `sqlite:PATH` or `postgres://USER@HOST/NAME`
    #[arg(long, value_name = "URL")]
    from: Option<String>,
    /// Where it is to be, and where there is nothing yet
    #[arg(long, value_name = "URL")]
    to: Option<String>,
}

impl From<MoveError> for CliError {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::Refused(error) => error.into(),
            MoveError::Store(url, Error::Refused(problem)) => Self::Refused(format!("{url}: {problem}")),
            error => Self::Refused(error.to_string()),
        }
    }
}

#[derive(Serialize)]
struct Body {
    from: String,
    to: String,
    schema: i64,
    rows: u64,
    audit_events: u64,
    tables: Vec<TableBody>,
    left_out: Vec<String>,
}

#[derive(Serialize)]
struct TableBody {
    name: String,
    rows: u64,
    digest: String,
}

impl Body {
    fn of(options: &MoveOptions<'_>, report: MoveReport) -> Self {
        let tables = report.tables.into_iter().map(|table| TableBody { name: table.name, rows: table.rows, digest: table.digest });
        let tables: Vec<TableBody> = tables.collect();
        Self {
            from: options.from.to_string(),
            to: options.to.to_string(),
            schema: report.schema,
            rows: tables.iter().map(|table| table.rows).sum(),
            audit_events: report.events,
            tables,
            left_out: report.left_out,
        }
    }

    fn words(&self) -> String {
        let heads = ["TABLE", "ROWS", "DIGEST, THE SAME ON BOTH SIDES"].map(str::to_owned);
        let row = |table: &TableBody| [table.name.clone(), table.rows.to_string(), table.digest.clone()];
        let table = columns(&std::iter::once(heads).chain(self.tables.iter().map(row)).collect::<Vec<_>>());
        let Self { from, to, schema, rows, audit_events, .. } = self;
        format!(
            "{table}\nMoved {rows} rows of {} tables (schema {schema}) from {from} to {to}; {audit_events} audit events checked there.\n\
             Set database_url to the new place and start the server with the same pepper. Put the old database out of the way: whoever starts a \
             server on it again finds keys working that were stopped since.",
            self.tables.len()
        )
    }
}

/// The database of that name, or the configured one. A URL that cannot be read is not repeated: it may hold a password.
fn place(flag: &str, given: Option<&str>, config: &Config) -> Result<DatabaseUrl, CliError> {
    given.map_or_else(|| Ok(config.database_url.clone()), |text| text.parse().map_err(|error| CliError::Usage(format!("{flag}: {error}"))))
}

pub(super) async fn run(args: Args, config: &Config, printer: &Printer) -> Result<(), CliError> {
    if args.from.is_none() && args.to.is_none() {
        return Err(CliError::Usage("say where the instance is to move with --to, or where it is with --from".to_owned()));
    }
    let (from, to) = (place("--from", args.from.as_deref(), config)?, place("--to", args.to.as_deref(), config)?);
    let pepper = config.pepper(false)?;
    if matches!(to, DatabaseUrl::Sqlite(_)) {
        make_folder(config)?;
    }
    let options = MoveOptions { from, to, pepper, clock: &SystemClock };
    let mut told = |MoveProgress { table, rows, compared }: MoveProgress<'_>| {
        printer.note(&format!("{table}: {rows} rows{}", if compared { ", compared" } else { " …" }));
    };
    let report = move_instance(&operator(), &options, &mut told).await?;
    if !report.left_out.is_empty() {
        printer.note(&format!("Not Keyfold's, and left where they are: {}.", report.left_out.join(", ")));
    }
    let body = Body::of(&options, report);
    printer.data(&body, &body.words())
}
