//! All rows of a database, read from one engine and written to the other. Which tables and columns there are is read from the
//! databases' own catalogues, so that what a later migration adds is carried along without anybody having to think of it.

use std::collections::BTreeSet;

use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, AssertSqlSafe, Executor as _, PgConnection, Row as _, SqliteConnection};

use super::db::{Conn, on};
use crate::error::Error;
use crate::mac::hex;

/// sqlx's own record of migrations. Each engine has its own: the texts of the migrations differ.
const MIGRATIONS: &str = "_sqlx_migrations";
/// As much is gathered before it is sent to PostgreSQL, in bytes.
const PIECE: usize = 256 * 1024;
/// SQLite takes so many values in one statement (its own limit is 32,766).
const MOST_VALUES: usize = 8_000;
/// Whoever watches is told after so many rows.
const TELL_EVERY: u64 = 20_000;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Integer,
    Boolean,
    Bytes,
}

impl Kind {
    /// By PostgreSQL's name of the type: SQLite's tables do not tell booleans from integers.
    fn named(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "bigint" => Some(Self::Integer),
            "boolean" => Some(Self::Boolean),
            "bytea" => Some(Self::Bytes),
            _ => None,
        }
    }
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: Kind,
}

/// A table as both engines have it. Its columns are sorted by name, because their order in the tables may differ.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    columns: Vec<Column>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Null,
    Text(String),
    Integer(i64),
    Boolean(bool),
    Bytes(Vec<u8>),
}

/// What is carried over: every table of the target, those that others refer to first.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) tables: Vec<Table>,
    /// Tables beside ours that the source has.
    pub(crate) left_out: Vec<String>,
}

/// How many rows there are and what is in them, in whatever order they are read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) rows: u64,
    sum: [u64; 4],
}

impl Tally {
    /// The sum of every row's SHA-256, so that neither order nor engine matters.
    fn add(&mut self, row: &[Value]) {
        let mut hash = Sha256::new();
        for value in row {
            match value {
                Value::Null => hash.update([0]),
                Value::Text(text) => measured(&mut hash, 1, text.as_bytes()),
                Value::Integer(number) => measured(&mut hash, 2, &number.to_be_bytes()),
                Value::Boolean(choice) => hash.update([3, u8::from(*choice)]),
                Value::Bytes(bytes) => measured(&mut hash, 4, bytes),
            }
        }
        let mut part = [0; 8];
        for (sum, bytes) in self.sum.iter_mut().zip(hash.finalize().chunks_exact(8)) {
            part.copy_from_slice(bytes);
            *sum = sum.wrapping_add(u64::from_be_bytes(part));
        }
        self.rows += 1;
    }

    /// Its beginning in hexadecimal digits: enough to compare by eye.
    pub(crate) fn digest(&self) -> String {
        hex(&self.sum[0].to_be_bytes())
    }
}

fn measured(hash: &mut Sha256, tag: u8, bytes: &[u8]) {
    hash.update([tag]);
    hash.update(u64::try_from(bytes.len()).unwrap_or(u64::MAX).to_be_bytes());
    hash.update(bytes);
}

/// Every table of the first schema of the search path, or of the file, but those that the engine and sqlx keep.
pub(crate) async fn table_names(conn: &mut Conn<'_>) -> Result<BTreeSet<String>, sqlx::Error> {
    let names: Vec<String> = match conn {
        Conn::Sqlite(raw) => {
            // Not what an index for searching is made of, which fills itself.
            let sql =
                r"SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\_%' ESCAPE '\'";
            sqlx::query_scalar(sql).fetch_all(&mut **raw).await?
        }
        Conn::Postgres(raw) => {
            let sql = "SELECT tablename::TEXT FROM pg_tables WHERE schemaname = current_schema()";
            sqlx::query_scalar(sql).fetch_all(&mut **raw).await?
        }
    };
    Ok(names.into_iter().filter(|name| name != MIGRATIONS).collect())
}

/// How many tables, views and sequences there are in a place that should hold nothing.
pub(crate) async fn things(conn: &mut PgConnection) -> Result<i64, sqlx::Error> {
    let sql = "SELECT COUNT(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')";
    sqlx::query_scalar(sql).fetch_one(conn).await
}

/// Names and types of a table's columns, sorted by name.
async fn columns(conn: &mut Conn<'_>, table: &str) -> Result<Vec<(String, String)>, sqlx::Error> {
    let mut found: Vec<(String, String)> = match conn {
        Conn::Sqlite(raw) => {
            // Without the numbers that SQLite's index of names gives: they mean nothing elsewhere.
            let sql = "SELECT name, type FROM pragma_table_info($1) WHERE name <> 'search_number'";
            sqlx::query_as(sql).bind(table).fetch_all(&mut **raw).await?
        }
        Conn::Postgres(raw) => {
            let sql = "SELECT a.attname::TEXT, format_type(a.atttypid, a.atttypmod)
                FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE n.nspname = current_schema() AND c.relname = $1 AND a.attnum > 0 AND NOT a.attisdropped";
            sqlx::query_as(sql).bind(table).fetch_all(&mut **raw).await?
        }
    };
    found.sort();
    Ok(found)
}

/// The tables that a table refers to.
async fn parents(conn: &mut Conn<'_>, table: &str) -> Result<BTreeSet<String>, sqlx::Error> {
    let found: Vec<String> = match conn {
        Conn::Sqlite(raw) => {
            sqlx::query_scalar(r#"SELECT "table" FROM pragma_foreign_key_list($1)"#).bind(table).fetch_all(&mut **raw).await?
        }
        Conn::Postgres(raw) => {
            let sql =
                "SELECT p.relname::TEXT FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class p ON p.oid = f.confrelid
                JOIN pg_namespace n ON n.oid = c.relnamespace WHERE f.contype = 'f' AND n.nspname = current_schema() AND c.relname = $1";
            sqlx::query_scalar(sql).bind(table).fetch_all(&mut **raw).await?
        }
    };
    Ok(found.into_iter().filter(|parent| parent != table).collect())
}

/// What there is to carry over into a target that has all of its tables. One of the two is PostgreSQL.
pub(crate) async fn plan(source: &mut Conn<'_>, target: &mut Conn<'_>) -> Result<Plan, Error> {
    let (there, mut wanted) = (table_names(source).await?, table_names(target).await?);
    let left_out = there.difference(&wanted).cloned().collect();
    let mut tables: Vec<Table> = Vec::new();
    while !wanted.is_empty() {
        let mut ready = Vec::new();
        for name in &wanted {
            if parents(target, name).await?.iter().all(|parent| !wanted.contains(parent)) {
                ready.push(name.clone());
            }
        }
        if ready.is_empty() {
            return Err(Error::Internal(format!("tables refer to each other in a circle: {wanted:?}")));
        }
        for name in ready {
            wanted.remove(&name);
            tables.push(table(source, target, name).await?);
        }
    }
    Ok(Plan { tables, left_out })
}

async fn table(source: &mut Conn<'_>, target: &mut Conn<'_>, name: String) -> Result<Table, Error> {
    let (here, there) = (columns(source, &name).await?, columns(target, &name).await?);
    if here.iter().map(|(column, _)| column).ne(there.iter().map(|(column, _)| column)) {
        return Err(Error::Internal(format!("the table {name} has other columns in the source than in the target")));
    }
    let typed = if matches!(source, Conn::Postgres(_)) { here } else { there };
    let columns = typed.into_iter().map(|(column, named)| match Kind::named(&named) {
        Some(kind) => Ok(Column { name: column, kind }),
        None => Err(Error::Internal(format!("{name}.{column} is of the type {named}, which cannot be carried over"))),
    });
    Ok(Table { columns: columns.collect::<Result<_, _>>()?, name })
}

/// A name as both engines quote it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

impl Table {
    fn column_list(&self) -> String {
        self.columns.iter().map(|column| quoted(&column.name)).collect::<Vec<_>>().join(", ")
    }

    /// Every row, one after the other: nobody holds them all.
    fn rows<'c>(&'c self, conn: &'c mut Conn<'_>) -> BoxStream<'c, Result<Vec<Value>, sqlx::Error>> {
        let sql = format!("SELECT {} FROM {}", self.column_list(), quoted(&self.name));
        on!(conn, raw => sqlx::query(AssertSqlSafe(sql)).fetch(&mut **raw).map(|row| {
            let row = row?;
            let values = self.columns.iter().enumerate().map(|(at, column)| Ok(match column.kind {
                Kind::Text => row.try_get::<Option<String>, _>(at)?.map_or(Value::Null, Value::Text),
                Kind::Integer => row.try_get::<Option<i64>, _>(at)?.map_or(Value::Null, Value::Integer),
                Kind::Boolean => row.try_get::<Option<bool>, _>(at)?.map_or(Value::Null, Value::Boolean),
                Kind::Bytes => row.try_get::<Option<Vec<u8>>, _>(at)?.map_or(Value::Null, Value::Bytes),
            }));
            values.collect()
        }).boxed())
    }

    /// Empties it. Migrations put rows in some tables.
    pub(crate) async fn clear(&self, conn: &mut Conn<'_>) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(format!("DELETE FROM {}", quoted(&self.name)));
        on!(conn, raw => (&mut **raw).execute(sql).await.map(|_| ()))
    }

    /// Forbids everybody to write to it until the end of the transaction. SQLite's transactions do so for all tables.
    pub(crate) async fn hold(name: &str, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        conn.execute(AssertSqlSafe(format!("LOCK TABLE {} IN SHARE MODE", quoted(name)))).await.map(|_| ())
    }

    /// What is in it.
    pub(crate) async fn tally(&self, conn: &mut Conn<'_>) -> Result<Tally, sqlx::Error> {
        let mut tally = Tally::default();
        let mut rows = self.rows(conn);
        while let Some(row) = rows.try_next().await? {
            tally.add(&row);
        }
        Ok(tally)
    }

    /// Carries all of it over, and says what that was. `told` hears now and then how many rows there were.
    pub(crate) async fn copy(
        &self,
        source: &mut Conn<'_>,
        target: &mut Conn<'_>,
        told: &mut (dyn FnMut(u64) + Send),
    ) -> Result<Tally, sqlx::Error> {
        let mut tally = Tally::default();
        let mut rows = self.rows(source).inspect_ok(|row| {
            tally.add(row);
            if tally.rows.is_multiple_of(TELL_EVERY) {
                told(tally.rows);
            }
        });
        match target {
            Conn::Sqlite(raw) => self.insert_all(&mut rows, raw).await?,
            Conn::Postgres(raw) => self.copy_all(&mut rows, raw).await?,
        }
        drop(rows);
        Ok(tally)
    }

    async fn insert_all<S>(&self, rows: &mut S, target: &mut SqliteConnection) -> Result<(), sqlx::Error>
    where
        S: futures_util::Stream<Item = Result<Vec<Value>, sqlx::Error>> + Unpin,
    {
        let at_once = (MOST_VALUES / self.columns.len().max(1)).max(1);
        let mut group = Vec::with_capacity(at_once);
        while let Some(row) = rows.try_next().await? {
            group.push(row);
            if group.len() == at_once {
                self.insert(std::mem::take(&mut group), target).await?;
            }
        }
        if group.is_empty() { Ok(()) } else { self.insert(group, target).await }
    }

    async fn insert(&self, rows: Vec<Vec<Value>>, target: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let places = format!("({})", vec!["?"; self.columns.len()].join(", "));
        let all = vec![places; rows.len()].join(", ");
        let sql = format!("INSERT INTO {} ({}) VALUES {all}", quoted(&self.name), self.column_list());
        let mut arguments = SqliteArguments::default();
        for value in rows.into_iter().flatten() {
            let added = match value {
                Value::Null => arguments.add(None::<i64>),
                Value::Text(text) => arguments.add(text),
                Value::Integer(number) => arguments.add(number),
                Value::Boolean(choice) => arguments.add(choice),
                Value::Bytes(bytes) => arguments.add(bytes),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        sqlx::query_with(AssertSqlSafe(sql), arguments).execute(target).await.map(|_| ())
    }

    async fn copy_all<S>(&self, rows: &mut S, target: &mut PgConnection) -> Result<(), sqlx::Error>
    where
        S: futures_util::Stream<Item = Result<Vec<Value>, sqlx::Error>> + Unpin,
    {
        let sql = format!("COPY {} ({}) FROM STDIN", quoted(&self.name), self.column_list());
        let mut copy = target.copy_in_raw(&sql).await?;
        let mut piece = Vec::with_capacity(PIECE + PIECE / 4);
        loop {
            match rows.try_next().await {
                Ok(Some(row)) => line(&row, &mut piece),
                Ok(None) => break,
                Err(error) => {
                    copy.abort("the source cannot be read").await?;
                    return Err(error);
                }
            }
            if piece.len() >= PIECE {
                copy.send(&piece[..]).await?;
                piece.clear();
            }
        }
        copy.send(&piece[..]).await?;
        copy.finish().await.map(|_| ())
    }
}

/// A row in the text format of COPY: <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.55.9.2>.
fn line(row: &[Value], piece: &mut Vec<u8>) {
    for (at, value) in row.iter().enumerate() {
        if at > 0 {
            piece.push(b'\t');
        }
        match value {
            Value::Null => piece.extend(b"\\N"),
            Value::Integer(number) => piece.extend(number.to_string().as_bytes()),
            Value::Boolean(choice) => piece.push(if *choice { b't' } else { b'f' }),
            Value::Bytes(bytes) => {
                piece.extend(b"\\\\x");
                piece.extend(hex(bytes).as_bytes());
            }
            Value::Text(text) => {
                for byte in text.bytes() {
                    match byte {
                        b'\\' => piece.extend(b"\\\\"),
                        b'\t' => piece.extend(b"\\t"),
                        b'\n' => piece.extend(b"\\n"),
                        b'\r' => piece.extend(b"\\r"),
                        _ => piece.push(byte),
                    }
                }
            }
        }
    }
    piece.push(b'\n');
}

/// Lets every sequence that numbers a column go on after the largest number there is.
pub(crate) async fn set_sequences(conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    let sql = "SELECT s.oid::REGCLASS::TEXT, t.relname::TEXT, a.attname::TEXT
        FROM pg_class s JOIN pg_depend d ON d.objid = s.oid AND d.classid = 'pg_class'::REGCLASS AND d.deptype IN ('a', 'i')
        JOIN pg_class t ON t.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
        JOIN pg_namespace n ON n.oid = t.relnamespace
        WHERE s.relkind = 'S' AND n.nspname = current_schema()";
    let found: Vec<(String, String, String)> = sqlx::query_as(sql).fetch_all(&mut *conn).await?;
    for (sequence, table, column) in found {
        let (table, column) = (quoted(&table), quoted(&column));
        let sql = format!("SELECT setval($1::REGCLASS, COALESCE((SELECT MAX({column}) FROM {table}), 0) + 1, FALSE)");
        sqlx::query(AssertSqlSafe(sql)).bind(sequence).execute(&mut *conn).await?;
    }
    Ok(())
}

/// Tells PostgreSQL how its tables are filled: without it the first lists are read in foolish ways.
pub(crate) async fn analyze(table: &Table, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    conn.execute(AssertSqlSafe(format!("ANALYZE {}", quoted(&table.name)))).await.map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_written_as_copy_reads_it() {
        let mut piece = Vec::new();
        let text = Value::Text("a\tb\\c\nd\re\u{e9}\\N".into());
        line(&[Value::Null, text, Value::Integer(-7), Value::Boolean(true), Value::Bytes(vec![0, 0xff])], &mut piece);
        assert_eq!(String::from_utf8(piece).unwrap(), "\\N\ta\\tb\\\\c\\nd\\re\u{e9}\\\\N\t-7\tt\t\\\\x00ff\n");
    }

    #[test]
    fn a_tally_tells_rows_apart_and_not_their_order() {
        let tally = |rows: &[&[Value]]| {
            let mut tally = Tally::default();
            for row in rows {
                tally.add(row);
            }
            tally
        };
        let (one, other) = ([Value::Text("a".into()), Value::Text("b".into())], [Value::Text("ab".into()), Value::Text(String::new())]);
        assert_eq!(tally(&[&one, &other]), tally(&[&other, &one]));
        assert_ne!(tally(&[&one]), tally(&[&other]));
        assert_ne!(tally(&[&[Value::Null]]), tally(&[&[Value::Boolean(false)]]));
        assert_ne!(tally(&[&[Value::Text("a".into())]]), tally(&[&[Value::Bytes(b"a".into())]]));
        assert_ne!(tally(&[&one]), tally(&[&one, &one]));
    }

    #[tokio::test]
    async fn a_sequence_goes_on_after_the_largest_number_that_was_moved() {
        let Some(url) = crate::testing::postgres_url() else { return };
        let crate::store::db::DatabaseUrl::Postgres(url) = crate::testing::fresh_schema(&url).await.unwrap() else { unreachable!() };
        let mut conn = crate::store::db::postgres_connection(&url).await.unwrap();
        let made = "CREATE TABLE numbered (id BIGINT GENERATED BY DEFAULT AS IDENTITY, name TEXT);
            CREATE TABLE empty (id BIGINT GENERATED ALWAYS AS IDENTITY, name TEXT); INSERT INTO numbered (id, name) VALUES (41, 'moved')";
        conn.execute(made).await.unwrap();
        set_sequences(&mut conn).await.unwrap();
        for (table, next) in [("numbered", 42), ("empty", 1)] {
            let sql = AssertSqlSafe(format!("INSERT INTO {table} (name) VALUES ('new') RETURNING id"));
            let id: i64 = sqlx::query_scalar(sql).fetch_one(&mut conn).await.unwrap();
            assert_eq!(id, next, "{table}");
        }
    }
}
