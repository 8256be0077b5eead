//! Reading the audit log: pages of it for people, and all of it as a file.

use std::collections::HashMap;

use keyfold_domain::audit::{AuditActor, AuditEvent, AuditFilter, AuditResult, FieldChange, INSTANCE_CHAIN, Shown};
use keyfold_domain::ids::{KeyId, UserId, WorkspaceId};
use keyfold_domain::key::{MAX_PAGE, Page};
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_domain::problem::Problem;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::time::Timestamp;
use keyfold_domain::token::mask;
use keyfold_domain::workspace::Role;
use keyfold_engine_macros::compiled_here;
use serde::Deserialize;
use serde_json::{Value, json};

use super::audit::{Audit, Event, record};
use super::sessions::require_proof;
use crate::error::Error;
use crate::mac::hex;
use crate::store;
use crate::store::audit::{EventRow, Wanted};
use crate::store::db::Conn;
use crate::store::like::containing;

/// The most characters of a filter's text.
const MAX_TEXT: usize = 200;
/// Where a filter has to look into the events themselves, a page looks at no more than these.
const WINDOW: i64 = 50_000;
/// Events of one piece of a file.
const PIECE: u32 = 500;
/// The most actions that a start like `key.` stands for.
const MOST_ACTIONS: usize = 100;

/// The parts of an event's canonical text.
#[derive(Deserialize)]
struct Body {
    actor: AuditActor,
    result: AuditResult,
    ip: Option<String>,
    request_id: String,
    before: Option<Value>,
    after: Option<Value>,
}

/// A chain, what is wanted of it, and where the next page starts.
struct Reading {
    chain: String,
    filter: AuditFilter,
    before_seq: i64,
}

#[compiled_here]
impl Audit {
    /// A page of a workspace's events, or with `None` of the instance's, the newest first. Administrators see all of them; a
    /// member what they did, and what was done to or with a key of theirs.
    ///
    /// A page may hold fewer events than asked for and still have a next one: a search looks at a bounded number of events.
    pub async fn list(&self, actor: &Actor, workspace: Option<&WorkspaceId>, filter: &AuditFilter) -> Result<Page<AuditEvent>, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ReadAudit, &workspace.map_or(Object::Instance, Object::Workspace)).await?;
        let mut reading = Reading::new(workspace, filter)?;
        let mut reader = core.db.reader().await?;
        let mut conn = reader.conn();
        if let Some(workspace) = workspace
            && actor.role_in(workspace) < Some(Role::Admin)
            && !narrow(&mut conn, actor, workspace, &mut reading.filter).await?
        {
            return Ok(Page { items: Vec::new(), next: None });
        }
        let (rows, next) = reading.page(&mut conn).await?;
        let mut names = HashMap::new();
        let mut items = Vec::with_capacity(rows.len());
        for row in rows {
            if !names.contains_key(&row.object) {
                let name = self.name(&mut conn, workspace, &row.object).await?;
                names.insert(row.object.clone(), name);
            }
            let object_name = names.get(&row.object).cloned().flatten();
            let mut event = shown(&reading.chain, row, object_name);
            for change in &mut event.changes {
                for value in [change.before.as_mut(), change.after.as_mut()].into_iter().flatten() {
                    name_person(&mut conn, value).await?;
                }
            }
            items.push(event);
        }
        Ok(Page { items, next })
    }

    /// The actions that the log of a workspace, or of the instance, knows: what a filter can offer.
    pub async fn actions(&self, actor: &Actor, workspace: Option<&WorkspaceId>) -> Result<Vec<String>, Error> {
        self.core.authorize(actor, Action::ReadAudit, &workspace.map_or(Object::Instance, Object::Workspace)).await?;
        let mut reader = self.core.db.reader().await?;
        actions(&mut reader.conn(), workspace.map_or(INSTANCE_CHAIN, WorkspaceId::as_str), "").await
    }

    /// Begins to take away the events that the filter wants, the newest first. Needs a fresh password; is itself in the log.
    pub async fn export(&self, actor: &Actor, workspace: Option<&WorkspaceId>, filter: &AuditFilter) -> Result<Export, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ExportAudit, &workspace.map_or(Object::Instance, Object::Workspace)).await?;
        let reading = Reading::new(workspace, &AuditFilter { cursor: None, limit: MAX_PAGE, ..filter.clone() })?;
        require_proof(core, actor)?;
        let what = json!({
            "action": filter.action, "actor": filter.actor, "object": filter.object, "result": filter.result, "search": filter.search,
            "from_at": filter.from, "until_at": filter.until,
        });
        let place = workspace.map(WorkspaceId::as_str);
        let event = Event::done(core.now(), actor, place, "audit.export", &reading.chain).change(None, Some(what));
        record(core, event).await?;
        Ok(Export { audit: self.clone(), reading: Some(reading) })
    }

    /// What a thing in the log is called now, if it is still known.
    async fn name(&self, conn: &mut Conn<'_>, workspace: Option<&WorkspaceId>, id: &str) -> Result<Option<String>, Error> {
        if let (Ok(id), Some(workspace)) = (id.parse::<KeyId>(), workspace) {
            let row = store::keys::find(conn, workspace, &id).await?;
            return Ok(row.and_then(|row| {
                let kind = KeyKind::from_name(&row.kind)?;
                Some(if row.name.is_empty() { mask(&self.core.prefix, kind, &row.hint) } else { row.name })
            }));
        }
        if let Ok(id) = id.parse::<UserId>() {
            return Ok(store::users::find(conn, &id).await?.map(|user| user.username));
        }
        if id.parse::<WorkspaceId>().is_ok() {
            let row = store::workspaces::find_record(conn, id).await?;
            return Ok(row.map(|row| row.summary(None)).transpose()?.map(|summary| summary.name));
        }
        Ok(None)
    }
}

/// A file of events in the making: JSON, one event a line, each as it was linked and with its link.
pub struct Export {
    audit: Audit,
    reading: Option<Reading>,
}

#[compiled_here]
impl Export {
    /// The next piece of the file; `None` after the last. Nothing is held open between two pieces.
    pub async fn next(&mut self) -> Result<Option<String>, Error> {
        let Some(mut reading) = self.reading.take() else { return Ok(None) };
        reading.filter.limit = PIECE;
        let mut reader = self.audit.core.db.reader().await?;
        let (rows, next) = reading.page(&mut reader.conn()).await?;
        let lines = rows.iter().map(|row| line(&reading.chain, row)).collect();
        self.reading = next.and_then(|next| next.parse().ok()).map(|before_seq| Reading { before_seq, ..reading });
        Ok(Some(lines))
    }
}

fn line(chain: &str, row: &EventRow) -> String {
    match row.body.strip_suffix('}').filter(|_| serde_json::from_str::<Value>(&row.body).is_ok_and(|body| body.is_object())) {
        Some(start) => format!("{start},\"link\":\"{}\"}}\n", hex(&row.mac)),
        None => json!({"chain": chain, "seq": row.seq, "unreadable": true}).to_string() + "\n",
    }
}

/// What a member may see: their own acts, and everything about a key of theirs that they ask for. Says whether that can be
/// anything at all.
async fn narrow(conn: &mut Conn<'_>, actor: &Actor, workspace: &WorkspaceId, filter: &mut AuditFilter) -> Result<bool, Error> {
    let Some(me) = actor.user() else { return Ok(false) };
    if is_key_of(conn, workspace, &filter.object, &me.id).await? || is_key_of(conn, workspace, &filter.actor, &me.id).await? {
        return Ok(true);
    }
    if filter.actor.is_empty() {
        me.id.as_str().clone_into(&mut filter.actor);
    }
    Ok(filter.actor == me.id.as_str())
}

async fn is_key_of(conn: &mut Conn<'_>, workspace: &WorkspaceId, id: &str, owner: &UserId) -> Result<bool, Error> {
    let Ok(id) = id.parse::<KeyId>() else { return Ok(false) };
    Ok(store::keys::find(conn, workspace, &id).await?.is_some_and(|row| row.owner_id == owner.as_str()))
}

/// The actions of a chain that start like this, by name.
async fn actions(conn: &mut Conn<'_>, chain: &str, start: &str) -> Result<Vec<String>, Error> {
    let mut found: Vec<String> = Vec::new();
    while found.len() < MOST_ACTIONS {
        let after = found.last().map_or(start, String::as_str);
        match store::audit::next_action(conn, chain, after).await? {
            Some(action) if action.starts_with(start) => found.push(action),
            // Where texts are ordered by the rules of a language, what starts alike need not stand together.
            Some(action) if found.is_empty() && action.as_str() > start => return scattered(conn, chain, start).await,
            _ => break,
        }
    }
    Ok(found)
}

async fn scattered(conn: &mut Conn<'_>, chain: &str, start: &str) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    let mut last = String::new();
    for _ in 0..MOST_ACTIONS {
        let Some(action) = store::audit::next_action(conn, chain, &last).await? else { break };
        last.clone_from(&action);
        if action.starts_with(start) {
            found.push(action);
        }
    }
    Ok(found)
}

impl Reading {
    fn new(workspace: Option<&WorkspaceId>, filter: &AuditFilter) -> Result<Self, Problem> {
        if !(1..=MAX_PAGE).contains(&filter.limit) {
            return Err(Problem::invalid("limit", format!("Choose 1 to {MAX_PAGE} events.")));
        }
        let texts = [("action", &filter.action), ("actor", &filter.actor), ("object", &filter.object), ("search", &filter.search)];
        for (field, text) in texts {
            if text.chars().count() > MAX_TEXT {
                return Err(Problem::invalid(field, format!("Use at most {MAX_TEXT} characters.")));
            }
            if text.chars().any(char::is_control) {
                return Err(Problem::invalid(field, "Leave out control characters."));
            }
        }
        if let (Some(from), Some(until)) = (filter.from, filter.until)
            && from >= until
        {
            return Err(Problem::invalid("until", "Choose an end after the start."));
        }
        let wrong = || Problem::invalid("cursor", "This cursor does not belong to this list. Start again without it.");
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok()).flatten();
        let before_seq = match filter.cursor.as_deref() {
            None => i64::MAX,
            Some(text) => digits(text).filter(|seq| *seq > 0).ok_or_else(wrong)?,
        };
        let chain = workspace.map_or(INSTANCE_CHAIN, WorkspaceId::as_str).to_owned();
        Ok(Self { chain, filter: filter.clone(), before_seq })
    }

    /// The rows of the page, and where the next one starts.
    async fn page(&self, conn: &mut Conn<'_>) -> Result<(Vec<EventRow>, Option<String>), Error> {
        let filter = &self.filter;
        let Some((newest, _)) = store::audit::head(conn, &self.chain).await? else { return Ok((Vec::new(), None)) };
        let (from, until) = (filter.from.map_or(i64::MIN, Timestamp::as_millis), filter.until.map_or(i64::MAX, Timestamp::as_millis));
        let mut bounds = (1, newest);
        if filter.from.is_some() || filter.until.is_some() {
            match store::audit::numbers_of_time(conn, &self.chain, from, until).await? {
                Some(found) => bounds = found,
                None => return Ok((Vec::new(), None)),
            }
        }
        let before_seq = self.before_seq.min(bounds.1.saturating_add(1));
        let from_seq = if self.looks_inside() { bounds.0.max(before_seq.saturating_sub(WINDOW)) } else { bounds.0 };
        let limit = i64::from(filter.limit);
        let search = filter.search.trim();
        let patterns = (contains(search), contains(&search.to_lowercase()));
        let result = filter.result.map_or_else(|| "%".to_owned(), |result| format!("%\"result\":\"{}\"%", result.as_str()));
        let starts = filter.action.ends_with('.');
        let actions = if starts { actions(conn, &self.chain, &filter.action).await? } else { vec![filter.action.clone()] };
        let mut rows = Vec::new();
        for action in &actions {
            let wanted = Wanted {
                chain: &self.chain,
                before_seq,
                from_seq,
                from,
                until,
                object: &filter.object,
                actor: &filter.actor,
                action,
                result: &result,
                search: (&patterns.0, &patterns.1),
            };
            rows.extend(store::audit::page(conn, &wanted, limit + 1).await?);
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.seq));
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        let next = if rows.len() > most {
            rows.truncate(most);
            rows.last().map(|row| row.seq)
        } else {
            (from_seq > bounds.0).then_some(from_seq)
        };
        Ok((rows, next.map(|seq| seq.to_string())))
    }

    /// Must events be looked at that an index cannot rule out?
    fn looks_inside(&self) -> bool {
        let filter = &self.filter;
        let indexed = [&filter.object, &filter.actor, &filter.action].into_iter().filter(|text| !text.is_empty()).count();
        indexed > 1 || filter.result.is_some() || !filter.search.trim().is_empty()
    }
}

/// "Contains" for LIKE, of a text as it stands in JSON.
fn contains(text: &str) -> String {
    let written = Value::from(text).to_string();
    if text.is_empty() { "%".to_owned() } else { containing(written.get(1..written.len() - 1).unwrap_or_default()) }
}

fn shown(chain: &str, row: EventRow, object_name: Option<String>) -> AuditEvent {
    let body: Option<Body> = serde_json::from_str(&row.body).ok();
    let changes = body.as_ref().map(|body| changes(body.before.as_ref(), body.after.as_ref())).unwrap_or_default();
    // One that somebody damaged is shown by its columns; the check of the chain names it.
    let body = body.unwrap_or_else(|| Body {
        actor: AuditActor { kind: String::new(), id: row.actor, name: String::new() },
        result: AuditResult::Done,
        ip: None,
        request_id: String::new(),
        before: None,
        after: None,
    });
    AuditEvent {
        chain: chain.to_owned(),
        seq: row.seq,
        at: Timestamp::from_millis(row.at),
        actor: body.actor,
        action: row.action,
        object: row.object,
        object_name,
        result: body.result,
        ip: body.ip,
        request_id: body.request_id,
        changes,
    }
}

/// A person by the name they have now; the file of the log keeps the id.
async fn name_person(conn: &mut Conn<'_>, value: &mut Shown) -> Result<(), Error> {
    if let Shown::Text(text) = value
        && let Ok(id) = text.parse::<UserId>()
        && let Some(user) = store::users::find(conn, &id).await?
    {
        *text = user.username;
    }
    Ok(())
}

/// The fields that differ, by name. The counter of changes always does, and says nothing.
fn changes(before: Option<&Value>, after: Option<&Value>) -> Vec<FieldChange> {
    let fields = |value: Option<&Value>| value.and_then(Value::as_object).cloned().unwrap_or_default();
    let (before, after) = (fields(before), fields(after));
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    let value = |fields: &serde_json::Map<String, Value>, name: &str| fields.get(name).and_then(|value| present(name, value));
    names
        .into_iter()
        .filter(|name| *name != "version")
        .map(|name| FieldChange { field: name.clone(), before: value(&before, name), after: value(&after, name) })
        .filter(|change| change.before != change.after)
        .collect()
}

fn present(name: &str, value: &Value) -> Option<Shown> {
    Some(Shown::Text(match value {
        Value::Null => return None,
        Value::Number(number) => match number.as_i64().filter(|_| name.ends_with("_at")) {
            Some(at) => return Some(Shown::Moment(Timestamp::from_millis(at))),
            None => number.to_string(),
        },
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) if text.is_empty() => return None,
        Value::String(text) => text.clone(),
        // An empty list is as good as nothing: anywhere, everything, as often as wanted.
        Value::Array(items) if items.is_empty() => return None,
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect();
            items.join(", ")
        }
        Value::Object(_) => value.to_string(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_shown_and_moments_as_moments() {
        let before = json!({"name": "CI", "scopes": "chat", "expires_at": 1000, "note": "", "version": 1, "gone": true, "limits": []});
        let after = json!({"name": "CI", "scopes": ["chat", "project"], "expires_at": null, "note": "", "version": 2, "days": 3, "limits": ["daily: 10 a day"], "ip_allow": []});
        let found = changes(Some(&before), Some(&after));
        let text = |text: &str| Some(Shown::Text(text.into()));
        let expected = [
            ("days", None, text("3")),
            ("expires_at", Some(Shown::Moment(Timestamp::from_millis(1000))), None),
            ("gone", text("yes"), None),
            ("limits", None, text("daily: 10 a day")),
            ("scopes", text("chat"), text("chat, project")),
        ];
        let found: Vec<_> = found.iter().map(|change| (change.field.as_str(), change.before.clone(), change.after.clone())).collect();
        assert_eq!(found, expected);
        assert!(changes(None, None).is_empty());
    }

    #[test]
    fn a_search_is_taken_literally_as_it_stands_in_json() {
        assert_eq!(contains(""), "%");
        assert_eq!(contains("50%_!"), "%50!%!_!!%");
        assert_eq!(contains("say \"hi\""), "%say \\\"hi\\\"%");
    }
}
