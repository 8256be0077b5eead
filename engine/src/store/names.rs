//! The index of pieces of names on SQLite, and what waits to get into it. PostgreSQL keeps its own.
//!
//! A name that changes leaves the index in the transaction that changes it (triggers of migration 16), and a new one waits: to put
//! each into the index by itself would make the creation of a key several times as dear. Searches look at what waits as well, so
//! they are exact at any time; names that wait are taken in by the hundreds, by [`take_in`].

use sqlx::{PgConnection, SqliteConnection};

/// Names in one transaction: bounds how long other writes wait for it.
pub(crate) const AT_ONCE: i64 = 1000;
/// Names in one transaction while nobody waits for it.
const AT_ONCE_ALONE: i64 = 20_000;

/// The longest waiting names, with the numbers that they get.
macro_rules! next_names {
    () => {
        "(SELECT w.id, w.folded_name, ROW_NUMBER() OVER (PARTITION BY w.created_at ORDER BY w.id) - 1 + COALESCE( \
            (SELECT MAX(n.search_number) + 1 FROM keys n \
             WHERE n.search_number >= w.created_at << 20 AND n.search_number < (w.created_at + 1) << 20), \
            w.created_at << 20) AS number \
         FROM (SELECT id, folded_name, created_at FROM keys INDEXED BY keys_unnumbered WHERE search_number IS NULL \
               ORDER BY created_at, id LIMIT $1) w)"
    };
}

/// Do at least so many names wait?
pub(crate) async fn wait(conn: &mut SqliteConnection, at_least: i64) -> Result<bool, sqlx::Error> {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM keys INDEXED BY keys_unnumbered WHERE search_number IS NULL LIMIT $1)";
    sqlx::query_scalar(sql).bind(at_least).fetch_one(conn).await.map(|waiting: i64| waiting >= at_least)
}

/// Takes so many of the longest waiting names into the index. To be called in a transaction.
pub(crate) async fn take_in(conn: &mut SqliteConnection, most: i64) -> Result<(), sqlx::Error> {
    // What ends a name is in the index as well, so that each character begins a piece.
    let index = concat!(
        "INSERT INTO key_names (rowid, folded_name) SELECT t.number, t.folded_name || char(1, 1) FROM ",
        next_names!(),
        " t ORDER BY t.number"
    );
    let number = concat!("UPDATE keys SET search_number = t.number FROM ", next_names!(), " t WHERE keys.id = t.id");
    sqlx::query(index).bind(most).execute(&mut *conn).await?;
    sqlx::query(number).bind(most).execute(conn).await.map(|_| ())
}

/// Takes in all that wait, in transactions of their own.
pub(crate) async fn take_in_all(conn: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    use sqlx::Connection as _;
    while wait(conn, 1).await? {
        let mut transaction = conn.begin().await?;
        take_in(&mut transaction, AT_ONCE_ALONE).await?;
        transaction.commit().await?;
    }
    Ok(())
}

/// PostgreSQL: is there an index by parts of names? It needs `pg_trgm`, which migration 16 may not have been allowed to add.
pub(crate) async fn are_indexed(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = to_regclass('keys') AND i.indisvalid AND c.relname = 'keys_by_part_of_name')";
    sqlx::query_scalar(sql).fetch_one(conn).await
}
