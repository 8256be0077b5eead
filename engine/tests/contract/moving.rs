//! An instance is moved from one engine to the other: everything in it, by what the databases themselves say that they hold, or
//! nothing.

use std::collections::{BTreeMap, BTreeSet};

use keyfold_domain::audit::ChainHead;
use keyfold_domain::key::{IssuedKey, KeyFilter, StateFilter};
use keyfold_domain::resource::NewResource;
use keyfold_domain::secret::{Grace, Rotation};
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::Role;
use keyfold_engine::testing::{execute, fresh_schema, open};
use keyfold_engine::{DatabaseUrl, Engine, MoveError, MoveOptions, MoveReport, NewNode, Pepper, move_instance};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};

use crate::support::{Instance, On, id_of, operator, postgres_url};

/// Every value of a table as text, by its name: what both engines say of it, by queries that the move does not use.
type Dump = BTreeMap<String, BTreeSet<Vec<String>>>;

async fn move_it(instance: &Instance, to: &DatabaseUrl) -> Result<MoveReport, MoveError> {
    move_with(instance, &instance.database, to, [7; 32]).await
}

async fn move_with(instance: &Instance, from: &DatabaseUrl, to: &DatabaseUrl, pepper: [u8; 32]) -> Result<MoveReport, MoveError> {
    let options = MoveOptions { from: from.clone(), to: to.clone(), pepper: Pepper::from_bytes(pepper), clock: instance.clock.as_ref() };
    move_instance(&operator(), &options, &mut |_| ()).await
}

/// Somewhere to move to: a fresh place of the other engine.
async fn elsewhere(instance: &Instance, name: &str) -> DatabaseUrl {
    match instance.database {
        DatabaseUrl::Sqlite(_) => fresh_schema(&postgres_url().unwrap()).await.unwrap(),
        DatabaseUrl::Postgres(_) => DatabaseUrl::Sqlite(instance.folder.path().join(name)),
    }
}

/// The rows that a query gives, every value as text.
async fn ask(database: &DatabaseUrl, sql: String) -> Vec<Vec<String>> {
    let sql = AssertSqlSafe(sql);
    let text = |value: Option<String>| value.unwrap_or_else(|| "NULL".to_owned());
    match database {
        DatabaseUrl::Sqlite(path) => {
            let mut connection = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
            let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            rows.iter().map(|row| (0..row.len()).map(|at| text(row.get(at))).collect()).collect()
        }
        DatabaseUrl::Postgres(url) => {
            let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
            let rows = sqlx::query(sql).fetch_all(&mut connection).await.unwrap();
            connection.close().await.unwrap();
            rows.iter().map(|row| (0..row.len()).map(|at| text(row.get(at))).collect()).collect()
        }
    }
}

/// Tables with their columns and types, as the database tells them.
async fn catalogue(database: &DatabaseUrl) -> BTreeMap<String, BTreeMap<String, String>> {
    let sql = match database {
        // SQLite's index of names is made of tables that fill themselves, and numbers the keys.
        DatabaseUrl::Sqlite(_) => {
            "SELECT m.name, c.name, c.type FROM pragma_table_list m, pragma_table_xinfo(m.name) c \
             WHERE m.schema = 'main' AND m.type = 'table' AND c.name <> 'search_number'"
        }
        DatabaseUrl::Postgres(_) => {
            "SELECT table_name::TEXT, column_name::TEXT, data_type::TEXT FROM information_schema.columns WHERE table_schema = current_schema()"
        }
    };
    let mut found: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
    for row in ask(database, sql.to_owned()).await {
        let [table, column, kind] = <[String; 3]>::try_from(row).unwrap();
        if table != "_sqlx_migrations" && !table.starts_with("sqlite_") {
            found.entry(table).or_default().insert(column, kind);
        }
    }
    found
}

async fn dump(database: &DatabaseUrl) -> Dump {
    let mut dump = Dump::new();
    for (table, columns) in catalogue(database).await {
        let text = columns.iter().map(|(column, kind)| match (database, kind.as_str()) {
            (_, "bytea") => format!("encode({column}, 'hex')"),
            (_, "BLOB") => format!("lower(hex({column}))"),
            (_, "boolean") => format!("({column}::INT)::TEXT"),
            _ => format!("CAST({column} AS TEXT)"),
        });
        let sql = format!("SELECT {} FROM {table}", text.collect::<Vec<_>>().join(", "));
        dump.insert(table, ask(database, sql).await.into_iter().collect());
    }
    dump
}

/// A life of an instance that leaves something in many tables.
async fn live(instance: &Instance) -> Vec<(IssuedKey, Code)> {
    let (engine, clock) = (&instance.engine, &instance.clock);
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let bob = instance.member(&acme.id, "bob", Role::Member).await;
    let works = instance.key(&ada, &acme.id, "works \\N 'quote' \"ü\" \u{1f511}").await;
    // What COPY has signs of its own for.
    instance.sql(format!("UPDATE keys SET note = 'tab\tnew\nline\r \\N \\. \\' WHERE id = '{}'", works.key.id)).await;
    let deleted = instance.key(&ada, &acme.id, "deleted").await;
    engine.keys.delete(&ada, &acme.id, &deleted.key.id).await.unwrap();
    let stopped = instance.key(&ada, &acme.id, "stopped").await;
    engine.keys.deactivate(&ada, &acme.id, &stopped.key.id, "lost").await.unwrap();
    let rotated = instance.key(&ada, &acme.id, "rotated").await;
    let rotation = Rotation { grace: Grace::Now, version: None };
    engine.keys.rotate(&ada, &acme.id, &rotated.key.id, rotation, None).await.unwrap();
    instance.key(&bob, &acme.id, "bob's").await;
    engine.members.remove(&ada, &acme.id, &id_of(&bob)).await.unwrap();
    let thing = NewResource { kind: "collection".into(), external_id: "c1".into(), name: "C 1".into(), owner: None };
    engine.resources.create(&ada, &acme.id, thing).await.unwrap();
    engine.join(NewNode { name: "one".to_owned(), staleness_budget: std::time::Duration::from_secs(5) }).await.unwrap();
    for _ in 0..3 {
        assert_eq!(instance.verdict(&works), Code::Valid);
    }
    clock.advance_ms(1);
    engine.flush_usage().await.unwrap();
    vec![(works, Code::Valid), (deleted, Code::NotFound), (stopped, Code::Deactivated), (rotated, Code::NotFound)]
}

/// Puts something into every table and every column that is still empty, whatever they are: a table or a column of a later migration
/// as well. `kinds` are PostgreSQL's, because SQLite does not tell booleans from integers.
async fn fill_the_rest(database: &DatabaseUrl, kinds: &BTreeMap<String, BTreeMap<String, String>>) {
    let value = |kind: &str, table: &str, column: &str| match kind {
        "text" => format!("'{table}.{column}'"),
        "bigint" => "1234567890123".to_owned(),
        "boolean" => "TRUE".to_owned(),
        "bytea" if matches!(database, DatabaseUrl::Sqlite(_)) => "zeroblob(32)".to_owned(),
        "bytea" => "decode(repeat('00', 32), 'hex')".to_owned(),
        other => panic!("{table}.{column} is of the type {other}: teach the move and this test what that is"),
    };
    let referred = references(database).await;
    let value_of = |table: &str, column: &str, kind: &str| {
        let to = referred.get(&(table.to_owned(), column.to_owned()));
        to.map_or_else(|| value(kind, table, column), |(parent, id)| format!("(SELECT MIN({id}) FROM {parent})"))
    };
    for round in 0..3 {
        // A row may need one of a table that is filled later.
        let last = round == 2;
        for (table, columns) in kinds {
            if ask(database, format!("SELECT CAST(COUNT(*) AS TEXT) FROM {table}")).await[0][0] == "0" {
                let names: Vec<&str> = columns.keys().map(String::as_str).collect();
                let values: Vec<String> = columns.iter().map(|(column, kind)| value_of(table, column, kind)).collect();
                let insert = format!("INSERT INTO {table} ({}) VALUES ({})", names.join(", "), values.join(", "));
                let done = execute(database, &insert).await;
                assert!(done.is_ok() || !last, "{insert}: {done:?}");
            }
        }
    }
    for (table, columns) in kinds {
        for (column, kind) in columns {
            let filled = format!("SELECT CAST(COUNT({column}) AS TEXT) FROM {table}");
            if ask(database, filled.clone()).await[0][0] == "0" {
                execute(database, &format!("UPDATE {table} SET {column} = {}", value_of(table, column, kind))).await.unwrap();
                assert_ne!(ask(database, filled).await[0][0], "0", "{table}.{column} is still empty");
            }
        }
    }
}

/// What columns refer to.
async fn references(database: &DatabaseUrl) -> BTreeMap<(String, String), (String, String)> {
    let sql = match database {
        DatabaseUrl::Sqlite(_) => {
            r#"SELECT m.name, f."from", f."table", f."to" FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'"#
        }
        DatabaseUrl::Postgres(_) => {
            "SELECT c.relname::TEXT, a.attname::TEXT, p.relname::TEXT, b.attname::TEXT FROM pg_constraint f
             JOIN pg_class c ON c.oid = f.conrelid JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace n ON n.oid = c.relnamespace
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = f.conkey[1]
             JOIN pg_attribute b ON b.attrelid = p.oid AND b.attnum = f.confkey[1]
             WHERE f.contype = 'f' AND n.nspname = current_schema()"
        }
    };
    let rows = ask(database, sql.to_owned()).await.into_iter();
    rows.map(|row| <[String; 4]>::try_from(row).unwrap()).map(|[from, column, to, id]| ((from, column), (to, id))).collect()
}

/// Ends the server. Another one, on a file beside it, takes its place, so that the lock is given back as by a process that ends.
async fn stop(instance: &mut Instance) {
    instance.engine.close().await;
    let decoy = DatabaseUrl::Sqlite(instance.folder.path().join("decoy.db"));
    instance.engine = open(decoy, &instance.clock, 9).await.unwrap();
}

async fn heads(engine: &Engine) -> Vec<ChainHead> {
    engine.audit.heads(&operator()).await.unwrap()
}

async fn everything_is_moved(on: On) {
    if postgres_url().is_none() {
        return;
    }
    let mut instance = Instance::open(on).await.unwrap();
    live(&instance).await;
    stop(&mut instance).await;
    // By the catalogue of a database that PostgreSQL has now, and not by a list that somebody would have to keep.
    let like = if matches!(instance.database, DatabaseUrl::Postgres(_)) { instance.database.clone() } else { fresh().await };
    let kinds = catalogue(&like).await;
    fill_the_rest(&instance.database, &kinds).await;
    // Nobody runs on it any more, as far as it knows.
    instance.sql("UPDATE nodes SET last_seen_at = 1".to_owned()).await;
    let to = elsewhere(&instance, "moved.db").await;
    let report = move_it(&instance, &to).await.unwrap();
    let (was, is) = (dump(&instance.database).await, dump(&to).await);
    assert_eq!(is.keys().collect::<Vec<_>>(), kinds.keys().collect::<Vec<_>>());
    for (table, rows) in &was {
        assert!(!rows.is_empty(), "{table} has nothing to be moved, so this test says nothing of it");
        assert_eq!(is.get(table), Some(rows), "{table}");
        for (at, column) in kinds[table].keys().enumerate() {
            assert!(rows.iter().any(|row| row[at] != "NULL"), "{table}.{column} has nothing to be moved");
        }
        let told = report.tables.iter().find(|moved| moved.name == *table).unwrap();
        assert_eq!((told.rows, told.digest.len()), (u64::try_from(rows.len()).unwrap(), 16));
    }
    assert_eq!((report.tables.len(), report.left_out.len()), (was.len(), 0));
}

async fn what_was_moved_goes_on(on: On) {
    if postgres_url().is_none() {
        return;
    }
    let mut instance = Instance::open(on).await.unwrap();
    let keys = live(&instance).await;
    let before = heads(&instance.engine).await;
    let revision = instance.count("SELECT value FROM change_sequence").await;
    stop(&mut instance).await;
    instance.sql("UPDATE nodes SET last_seen_at = 1".to_owned()).await;
    // What a server held that was killed. Where one alone can use the database, there is none.
    let held = matches!(instance.database, DatabaseUrl::Postgres(_));
    if held {
        instance.sql("INSERT INTO limit_leases (subject, name, node, units, wanted_at) VALUES ('x', 'y', 'gone', 5, 0)".to_owned()).await;
    }
    let to = elsewhere(&instance, "moved.db").await;
    let report = move_it(&instance, &to).await.unwrap();
    let engine = open(to.clone(), &instance.clock, 3).await.unwrap();
    if held {
        let counted =
            "SELECT CAST(SUM(units) AS TEXT), (SELECT CAST(COUNT(*) AS TEXT) FROM limit_leases) FROM limit_usage WHERE subject = 'x'";
        assert_eq!(ask(&to, counted.to_owned()).await, [["5", "0"]], "it counts as spent, once");
    }
    for (key, code) in &keys {
        assert_eq!(engine.verifier.whoami(key.secret.expose(), None).unwrap().code, *code, "{}", key.key.name);
    }
    assert_eq!(heads(&engine).await, before);
    let whole = engine.audit.verify_chains(&operator()).await.unwrap();
    assert_eq!((whole.broken, whole.events), (None, report.events));
    let acme = engine.workspaces.get(&operator(), "acme").await.unwrap();
    let all = KeyFilter { state: StateFilter::All, ..KeyFilter::default() };
    let listed = engine.keys.list(&operator(), &acme.id, &all).await.unwrap().items;
    assert_eq!(listed.len(), 5);
    let works = listed.iter().find(|key| key.id == keys[0].0.key.id).unwrap();
    // Three before the move, and one since.
    assert_eq!((&works.name, works.total_calls), (&keys[0].0.key.name, 4));
    // The change log goes on where it was.
    engine.keys.deactivate(&operator(), &acme.id, &works.id, "").await.unwrap();
    assert_eq!(ask(&to, "SELECT CAST(value AS TEXT) FROM change_sequence".to_owned()).await[0][0], (revision + 1).to_string());
    engine.close().await;
}

/// A PostgreSQL schema as this version makes it.
async fn fresh() -> DatabaseUrl {
    let instance = Instance::open(On::Postgres).await.unwrap();
    instance.engine.close().await;
    instance.database
}

#[tokio::test]
async fn every_table_and_column_is_moved_from_sqlite_to_postgres() {
    everything_is_moved(On::Sqlite).await;
}

#[tokio::test]
async fn every_table_and_column_is_moved_from_postgres_to_sqlite() {
    everything_is_moved(On::Postgres).await;
}

#[tokio::test]
async fn what_was_moved_to_postgres_goes_on() {
    what_was_moved_goes_on(On::Sqlite).await;
}

#[tokio::test]
async fn what_was_moved_to_sqlite_goes_on() {
    what_was_moved_goes_on(On::Postgres).await;
}

#[tokio::test]
async fn a_move_that_does_not_fit_is_refused_and_leaves_nothing() {
    let Some(url) = postgres_url() else { return };
    let mut instance = Instance::open(On::Sqlite).await.unwrap();
    let DatabaseUrl::Sqlite(path) = instance.database.clone() else { unreachable!() };
    live(&instance).await;
    let empty = fresh_schema(&url).await.unwrap();
    let refused = async |instance: &Instance, from: &DatabaseUrl, to: &DatabaseUrl, pepper: u8| {
        let error = move_with(instance, from, to, [pepper; 32]).await.unwrap_err();
        let words = error.to_string();
        let password = url.split_once("://keyfold:").unwrap().1.split('@').next().unwrap();
        assert!(!words.contains(password), "{words}");
        assert!(catalogue(&empty).await.is_empty(), "something is left after: {words}");
        (error, words)
    };
    // While its server runs.
    let (error, words) = refused(&instance, &instance.database, &empty, 7).await;
    assert!(matches!(error, MoveError::Served(..)) && words.contains("Stop it first"), "{words}");
    stop(&mut instance).await;
    assert!(matches!(refused(&instance, &instance.database, &DatabaseUrl::Sqlite("x".into()), 7).await.0, MoveError::SameKind));
    let nowhere = DatabaseUrl::Sqlite(path.with_file_name("nowhere.db"));
    let (_, words) = refused(&instance, &nowhere, &empty, 7).await;
    assert!(words.contains("no database at") && !path.with_file_name("nowhere.db").exists(), "{words}");
    let (_, words) = refused(&instance, &instance.database, &empty, 8).await;
    assert!(words.contains("fingerprint"), "{words}");
    // Another schema, on either side of this one.
    let columns = "description, installed_on, success, checksum, execution_time";
    let newer = format!("INSERT INTO _sqlx_migrations (version, {columns}) SELECT 9999, {columns} FROM _sqlx_migrations WHERE version = 1");
    for (change, remedy) in [(newer.as_str(), "newer Keyfold"), ("DELETE FROM _sqlx_migrations WHERE version > 3", "server on it once")] {
        instance.sql(change.to_owned()).await;
        let (error, words) = refused(&instance, &instance.database, &empty, 7).await;
        assert!(matches!(error, MoveError::Schema { .. }) && words.contains(remedy), "{words}");
    }
}

#[tokio::test]
async fn a_place_that_is_not_empty_is_left_as_it_is() {
    let Some(url) = postgres_url() else { return };
    let mut instance = Instance::open(On::Sqlite).await.unwrap();
    live(&instance).await;
    stop(&mut instance).await;
    let used = fresh_schema(&url).await.unwrap();
    execute(&used, "CREATE TABLE somebodys (x TEXT)").await.unwrap();
    let error = move_it(&instance, &used).await.unwrap_err();
    assert!(matches!(error, MoveError::NotEmpty(_, 1)), "{error}");
    assert_eq!(catalogue(&used).await.len(), 1);
    // Nor does one that somebody started a server on take a second life.
    let served = fresh().await;
    assert!(matches!(move_it(&instance, &served).await.unwrap_err(), MoveError::NotEmpty(..)));

    let to = fresh_schema(&url).await.unwrap();
    move_it(&instance, &to).await.unwrap();
    let back = |name: &str| DatabaseUrl::Sqlite(instance.folder.path().join(name));
    // The server that was stopped took leave.
    let silent = "INSERT INTO nodes (id, name, version, started_at, last_seen_at, applied, awaited, budget_ms) \
        VALUES ('node_0000000000000000000009', 'one', '0.1.0', 0, 1, 0, 0, 5000)";
    execute(&to, silent).await.unwrap();
    std::fs::write(instance.folder.path().join("there.db"), "").unwrap();
    let error = move_with(&instance, &to, &back("there.db"), [7; 32]).await.unwrap_err().to_string();
    assert!(error.contains("there is a database at"), "{error}");
    // A server that was heard of a moment ago, and one that has gone.
    execute(&to, "UPDATE nodes SET last_seen_at = (EXTRACT(EPOCH FROM clock_timestamp()) * 1000)::BIGINT - 30000").await.unwrap();
    let error = move_with(&instance, &to, &back("back.db"), [7; 32]).await.unwrap_err().to_string();
    assert!(error.contains("in use by the server one") && !instance.folder.path().join("back.db").exists(), "{error}");
    execute(&to, "UPDATE nodes SET last_seen_at = last_seen_at - 40000").await.unwrap();
    move_with(&instance, &to, &back("back.db"), [7; 32]).await.unwrap();
    assert!(!instance.folder.path().join("back.db.moving").exists());
}

#[tokio::test]
async fn what_goes_wrong_half_way_leaves_an_empty_place_for_another_try() {
    if postgres_url().is_none() {
        return;
    }
    let mut instance = Instance::open(On::Sqlite).await.unwrap();
    live(&instance).await;
    stop(&mut instance).await;
    let to = elsewhere(&instance, "").await;
    // PostgreSQL has no text with this character; it comes after tables that went well.
    instance.sql("UPDATE secrets SET hint = 'a' || char(0) || 'b'".to_owned()).await;
    let error = move_it(&instance, &to).await.unwrap_err().to_string();
    assert!(error.contains("the table secrets cannot be carried over"), "{error}");
    assert!(catalogue(&to).await.is_empty());
    instance.sql("UPDATE secrets SET hint = 'abcd'".to_owned()).await;
    // Somebody has been at the audit log.
    instance.sql("UPDATE audit_events SET action = 'key.delete' WHERE seq = 1".to_owned()).await;
    let error = move_it(&instance, &to).await.unwrap_err();
    assert!(matches!(&error, MoveError::Broken { .. }), "{error}");
    assert!(catalogue(&to).await.is_empty());
}
