//! A workspace's own scopes, and the keys that hold one.

use keyfold_domain::catalogue::{Scope, ScopeCatalogue};
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::resource::KeysConcerned;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::time::Timestamp;

use super::db::{Conn, on};
use super::keys::parse_scopes;
use super::like::containing;
use super::resources::mentions;
use crate::error::Error;

/// More than a workspace may have.
const MOST: i64 = 1000;

#[derive(sqlx::FromRow)]
struct ScopeRow {
    name: String,
    description: String,
    implies: String,
    is_public: bool,
    created_at: i64,
}

impl ScopeRow {
    fn scope(self) -> Result<Scope, Error> {
        let damaged = || Error::Internal("the database holds a damaged scope".into());
        Ok(Scope {
            name: self.name.parse().map_err(|_| damaged())?,
            implies: parse_scopes(&self.implies).ok_or_else(damaged)?,
            description: self.description,
            public: self.is_public,
            created_at: Some(Timestamp::from_millis(self.created_at)),
        })
    }
}

/// The scopes there are in a workspace.
pub(crate) async fn catalogue(conn: &mut Conn<'_>, workspace: &str) -> Result<ScopeCatalogue, Error> {
    let sql = "SELECT name, description, implies, is_public, created_at FROM scopes WHERE workspace_id = $1 ORDER BY name LIMIT $2";
    let rows: Vec<ScopeRow> = on!(conn, raw => sqlx::query_as(sql).bind(workspace).bind(MOST).fetch_all(&mut **raw).await?);
    let own: Vec<Scope> = rows.into_iter().map(ScopeRow::scope).collect::<Result<_, _>>()?;
    Ok(own.into())
}

/// Adds a scope, or writes it in the place of the one of its name.
pub(crate) async fn put(conn: &mut Conn<'_>, workspace: &WorkspaceId, scope: &Scope) -> Result<(), sqlx::Error> {
    let sql = "INSERT INTO scopes (workspace_id, name, description, implies, is_public, created_at) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (workspace_id, name) DO UPDATE
        SET description = excluded.description, implies = excluded.implies, is_public = excluded.is_public";
    on!(conn, raw => sqlx::query(sql)
        .bind(workspace.as_str())
        .bind(scope.name.as_str())
        .bind(&scope.description)
        .bind(scope.implies.to_string())
        .bind(scope.public)
        .bind(scope.created_at.map_or(0, Timestamp::as_millis))
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}

/// Takes a scope away from the workspace.
pub(crate) async fn delete(conn: &mut Conn<'_>, workspace: &WorkspaceId, name: &str) -> Result<(), sqlx::Error> {
    let sql = "DELETE FROM scopes WHERE workspace_id = $1 AND name = $2";
    on!(conn, raw => sqlx::query(sql).bind(workspace.as_str()).bind(name).execute(&mut **raw).await.map(|_| ()))
}

/// Finds a scope in the text of a key's scopes; `$2` is the [`pattern`].
macro_rules! holders {
    ($columns:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM keys k WHERE k.workspace_id = $1 AND k.deleted_at IS NULL AND ' ' || k.scopes || ' ' LIKE $2 ESCAPE '!' \
              AND ($3 = '' OR k.kind = $3) ",
            $rest
        )
    };
}

fn pattern(name: &str) -> String {
    containing(&format!(" {name} "))
}

/// The keys, not deleted, that hold that very scope, of one kind or of all; `first` names at most `most` of them.
pub(crate) async fn holders(
    conn: &mut Conn<'_>,
    workspace: &WorkspaceId,
    name: &str,
    kind: Option<KeyKind>,
    most: i64,
) -> Result<KeysConcerned, Error> {
    const COUNTS: &str = holders!("COUNT(*), COALESCE(SUM(CASE WHEN k.scopes = $4 THEN 1 ELSE 0 END), 0)", "");
    const FIRST: &str = holders!("k.id, k.name", "ORDER BY CASE WHEN k.scopes = $4 THEN 0 ELSE 1 END, k.folded_name, k.id LIMIT $5");
    let (pattern, kind) = (pattern(name), kind.map_or("", KeyKind::as_str));
    on!(conn, raw => {
        let counts = sqlx::query_as(COUNTS).bind(workspace.as_str()).bind(&pattern).bind(kind).bind(name);
        let (count, stopped) = counts.fetch_one(&mut **raw).await?;
        let first = sqlx::query_as(FIRST).bind(workspace.as_str()).bind(&pattern).bind(kind).bind(name).bind(most);
        Ok(KeysConcerned { count, stopped, first: mentions(first.fetch_all(&mut **raw).await?)? })
    })
}

/// Takes a scope out of every key of the workspace that holds it.
pub(crate) async fn remove_from_keys(conn: &mut Conn<'_>, workspace: &WorkspaceId, name: &str) -> Result<(), sqlx::Error> {
    let sql = "UPDATE keys SET scopes = TRIM(REPLACE(' ' || scopes || ' ', $3, ' ')), version = version + 1
        WHERE workspace_id = $1 AND deleted_at IS NULL AND ' ' || scopes || ' ' LIKE $2 ESCAPE '!'";
    on!(conn, raw => sqlx::query(sql)
        .bind(workspace.as_str())
        .bind(pattern(name))
        .bind(format!(" {name} "))
        .execute(&mut **raw)
        .await
        .map(|_| ()))
}
