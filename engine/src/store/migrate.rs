//! Brings a database to the schema of this binary: forward only, at start, under a lock.

use std::borrow::Cow;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AssertSqlSafe, SqlSafeStr};

use super::db::{Conn, on};

const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "first light", include_str!("../../migrations/0001_first_light.sql")),
    (2, "secrets and usage", include_str!("../../migrations/0002_secrets_and_usage.sql")),
    (4, "people", include_str!("../../migrations/0004_people.sql")),
    (3, "resources and scopes", include_str!("../../migrations/0003_resources_and_scopes.sql")),
    (5, "policy and audit", include_str!("../../migrations/0005_policy_and_audit.sql")),
    (6, "lists", include_str!("../../migrations/0006_lists.sql")),
    (7, "who stopped it", include_str!("../../migrations/0007_who_stopped_it.sql")),
    (8, "route maps", include_str!("../../migrations/0008_route_maps.sql")),
    (9, "other clients", include_str!("../../migrations/0009_other_clients.sql")),
    (10, "limits", include_str!("../../migrations/0010_limits.sql")),
    (11, "ends", include_str!("../../migrations/0011_ends.sql")),
    (12, "everybody's lists", include_str!("../../migrations/0012_everybodys_lists.sql")),
    (13, "deep lists", include_str!("../../migrations/0013_deep_lists.sql")),
    (14, "nodes", include_str!("../../migrations/0014_nodes.sql")),
    (15, "shared limits", include_str!("../../migrations/0015_shared_limits.sql")),
    (16, "search", include_str!("../../migrations/0016_search.sql")),
];

/// The newest schema this binary knows.
pub(crate) const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].0;

/// What stands between these is for PostgreSQL alone.
const POSTGRES_ALONE: (&str, &str) = ("/* PostgreSQL: */", "/* end */");

/// The text without what is PostgreSQL's own.
fn without_postgres(sql: &str) -> String {
    let (begin, end) = POSTGRES_ALONE;
    let mut pieces = sql.split(begin);
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + piece.split_once(end).map_or("", |(_, rest)| rest))
}

/// SQLite's words for PostgreSQL's types, tables that check them, and what is marked as SQLite's own: `/* SQLite: … */`, which
/// PostgreSQL takes for a comment.
fn for_sqlite(sql: &str) -> String {
    let own = without_postgres(sql).replace("/* SQLite: ", "").replace("/* SQLite:\n", "\n").replace(" */", "");
    own.replace("BYTEA", "BLOB").replace("BIGINT", "INTEGER").replace("BOOLEAN", "INTEGER").replace("\n);", "\n) STRICT;")
}

fn migrator(sqlite: bool) -> Migrator {
    let migrations = MIGRATIONS.iter().map(|(version, name, sql)| {
        let sql = if sqlite { AssertSqlSafe(for_sqlite(sql)).into_sql_str() } else { (*sql).into_sql_str() };
        Migration::new(*version, Cow::Borrowed(*name), MigrationType::Simple, sql, false)
    });
    Migrator { migrations: migrations.collect(), ..Migrator::DEFAULT }
}

/// The version of the schema that is there; `None` in an empty database.
pub(crate) async fn current(conn: &mut Conn<'_>) -> Result<Option<i64>, sqlx::Error> {
    let there: Option<i64> = match conn {
        Conn::Sqlite(raw) => {
            sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'").fetch_optional(&mut **raw).await?
        }
        Conn::Postgres(raw) => {
            let sql = "SELECT COUNT(*) FROM pg_tables WHERE tablename = '_sqlx_migrations' AND schemaname = current_schema()";
            sqlx::query_scalar(sql).fetch_optional(&mut **raw).await?
        }
    };
    if there.unwrap_or_default() == 0 {
        return Ok(None);
    }
    on!(conn, raw => sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(&mut **raw).await)
}

/// Runs what is missing.
pub(crate) async fn run(conn: &mut Conn<'_>) -> Result<(), MigrateError> {
    match conn {
        Conn::Sqlite(raw) => {
            migrator(true).run_direct(None, &mut **raw, false).await?;
            Ok(super::names::take_in_all(raw).await?)
        }
        Conn::Postgres(raw) => {
            // A server that starts beside others waits for the one that migrates, and an index takes as long as it takes.
            sqlx::raw_sql("SET lock_timeout = 0; SET statement_timeout = 0").execute(&mut **raw).await?;
            let done = migrator(false).run_direct(None, &mut **raw, false).await;
            sqlx::raw_sql("RESET lock_timeout; RESET statement_timeout").execute(&mut **raw).await?;
            done
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_strict_on_sqlite_and_no_foreign_type_name_is_left() {
        for (_, _, sql) in MIGRATIONS {
            let sqlite = for_sqlite(sql);
            assert_eq!(sqlite.matches("CREATE TABLE").count(), sqlite.matches(") STRICT;").count());
            assert!(!sqlite.contains("BYTEA") && !sqlite.contains("BIGINT") && !sqlite.contains("BOOLEAN"));
            assert!(!sqlite.contains("/*") && !sqlite.contains("*/") && !sqlite.contains("$$"), "{sqlite}");
        }
    }

    #[test]
    fn what_is_postgresqls_alone_is_left_out_for_sqlite_and_the_other_way_round_it_is_a_comment() {
        let both = "A; /* PostgreSQL: */ DO $$ x $$; /* end */ B; /* SQLite: C (d); */ E; /* PostgreSQL: */ F; /* end */";
        assert_eq!(for_sqlite(both), "A;  B; C (d); E; ");
        assert_eq!(without_postgres("A; /* SQLite: B; */"), "A; /* SQLite: B; */");
    }
}
