//! PostgreSQL as something to compare with: a schema of one's own on a given server, and plain inserts into it by pgbench.

use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use anyhow::{Context as _, Result};

use crate::commands::finished;

/// What a plain insert writes: a table of a key's size with a primary key and one index.
const TABLE: &str = "CREATE TABLE plain (id TEXT PRIMARY KEY, workspace_id TEXT NOT NULL, mac BYTEA NOT NULL, created_at BIGINT NOT NULL);
    CREATE INDEX plain_by_creation ON plain (workspace_id, created_at, id)";
const INSERT: &str = "INSERT INTO plain VALUES (gen_random_uuid()::text, 'wsp_bench', sha256(random()::text::bytea), 1800000000000);\n";

/// A server, taken apart so that its password need not stand on a command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Postgres {
    url: String,
    user: String,
    password: String,
    host: String,
    port: String,
    database: String,
}

impl FromStr for Postgres {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> Result<Self> {
        let parts = || {
            let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"))?;
            let (user, place) = rest.split_once('@')?;
            let (user, password) = user.split_once(':').unwrap_or((user, ""));
            let (place, database) = place.split_once('/')?;
            let (host, port) = place.split_once(':').unwrap_or((place, "5432"));
            // Names that would have to be decoded first are none that scripts/postgres.sh gives.
            let plain = [user, password, host, port, database].iter().all(|part| !part.contains(['%', '?', '/', '@', ':', '[']));
            let owned = |part: &str| part.to_owned();
            plain.then(|| Self {
                url: owned(url),
                user: owned(user),
                password: owned(password),
                host: owned(host),
                port: owned(port),
                database: owned(database),
            })
        };
        parts().context("the URL of PostgreSQL must look like postgres://USER:PASSWORD@HOST:PORT/DATABASE")
    }
}

impl Postgres {
    /// A program of PostgreSQL's that finds the server in its environment.
    fn program(&self, program: &str, arguments: &[&str], options: &str) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).env("PGHOST", &self.host).env("PGPORT", &self.port).env("PGUSER", &self.user);
        command.env("PGPASSWORD", &self.password).env("PGDATABASE", &self.database).env("PGOPTIONS", options);
        command
    }

    fn sql(&self, sql: &str, options: &str) -> Command {
        self.program("psql", &["--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", "--command", sql], options)
    }
}

/// A schema that is dropped at the end.
pub(crate) struct Schema<'a> {
    server: &'a Postgres,
    name: String,
}

impl<'a> Schema<'a> {
    /// Makes one that nobody else uses.
    pub(crate) async fn create(server: &'a Postgres) -> Result<Self> {
        let name = format!("bench_{}", std::process::id());
        finished(server.sql(&format!("CREATE SCHEMA {name}"), "")).await?;
        let schema = Self { server, name };
        finished(server.sql(TABLE, &schema.options())).await?;
        Ok(schema)
    }

    /// A URL that uses this schema.
    pub(crate) fn url(&self) -> String {
        format!("{}?options=-csearch_path%3D{}", self.server.url, self.name)
    }

    fn options(&self) -> String {
        format!("-csearch_path={}", self.name)
    }

    /// Plain inserts per second, each a transaction of its own, by so many clients.
    pub(crate) async fn plain_inserts(&self, folder: &Path, clients: u16, seconds: u64) -> Result<f64> {
        let script = folder.join("insert.sql");
        std::fs::write(&script, INSERT)?;
        let (clients, seconds, script) = (clients.to_string(), seconds.to_string(), script.to_string_lossy());
        let arguments = ["--no-vacuum", "--protocol=prepared", "--client", &clients, "--time", &seconds, "--file", &script];
        rate(&finished(self.server.program("pgbench", &arguments, &self.options())).await?)
    }
}

impl Drop for Schema<'_> {
    fn drop(&mut self) {
        // On a throw-away server it is gone anyway, and on another it is only in the way.
        let _ = self.server.sql(&format!("DROP SCHEMA {} CASCADE", self.name), "-cclient_min_messages=warning").output();
    }
}

/// The rate in pgbench's report.
fn rate(report: &str) -> Result<f64> {
    let line = report.lines().find_map(|line| line.strip_prefix("tps = "));
    let number = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.with_context(|| format!("pgbench reports no rate:\n{report}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_taken_apart() {
        let server: Postgres = "postgres://keyfold:s3cret@127.0.0.1:20001/postgres".parse().unwrap();
        assert_eq!((server.user.as_str(), server.password.as_str()), ("keyfold", "s3cret"));
        assert_eq!((server.host.as_str(), server.port.as_str(), server.database.as_str()), ("127.0.0.1", "20001", "postgres"));
        assert_eq!("postgres://u@h/d".parse::<Postgres>().unwrap().port, "5432");
        for bad in ["", "mysql://u@h/d", "postgres://h/d", "postgres://u:p%40q@h/d", "postgres://u@h/d?x=y"] {
            let error = bad.parse::<Postgres>().unwrap_err().to_string();
            assert!(!error.contains("p%40q"), "the error repeats the password");
        }
    }

    #[test]
    fn a_rate_is_found_in_the_report() {
        let report = "number of transactions actually processed: 41\ntps = 123.456 (without initial connection time)\n";
        assert!((rate(report).unwrap() - 123.456).abs() < 1e-9);
        assert!(rate("tps = many").is_err());
    }
}
