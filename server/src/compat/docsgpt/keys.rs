//! Making, listing and deleting one's own keys.

use std::collections::HashMap;

use axum::Json as Reply;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use keyfold_domain::ids::KeyId;
use keyfold_domain::key::{Expiry, Inactivity, KeyFilter, KeyState, KeySummary, MAX_PAGE, NewKey};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::resource::ResourceName;
use keyfold_domain::scope::{KeyKind, ScopeName};
use keyfold_domain::verdict::ResourceRef;
use keyfold_engine::ClientSettings;
use serde_json::{Map, Value, json};

use super::Refusal;
use super::choices;
use super::session::Session;
use crate::state::AppState;

/// Whose settings these are.
const CLIENT: &str = "docsgpt";
/// What its keys are for.
const SCOPE: &str = "chat";
/// The most keys that are listed.
const MOST: usize = 10_000;
/// The longest text of a setting, in characters.
const MOST_TEXT: usize = 200;
/// The most chunks that a question may ask for.
const MOST_CHUNKS: u64 = 1_000;

fn scope() -> Result<ScopeName, Refusal> {
    SCOPE.parse().map_err(|_| Problem::new(ProblemCode::Internal, "Something went wrong on our side.").into())
}

/// `GET /api/get_api_keys`: the person's own keys that can be used to talk, the newest first, with their secrets masked.
pub(super) async fn list(session: Session, State(state): State<AppState>) -> Result<Reply<Vec<Value>>, Refusal> {
    let keys = &state.engine.keys;
    let settings: HashMap<KeyId, Value> = keys.client_settings(&session.actor, &session.workspace, CLIENT).await?.into_iter().collect();
    let own = session.actor.user().map(|user| user.id.clone());
    let mut filter = KeyFilter { owner: own, scope: Some(scope()?), kind: Some(KeyKind::Secret), limit: MAX_PAGE, ..KeyFilter::default() };
    let mut listed = Vec::new();
    while listed.len() < MOST {
        let page = keys.list(&session.actor, &session.workspace, &filter).await?;
        listed.extend(page.items.iter().map(|key| shown(key, settings.get(&key.id))));
        filter.cursor = page.next;
        if filter.cursor.is_none() {
            break;
        }
    }
    Ok(Reply(listed))
}

/// A key as the table shows it. One that was not made by DocsGPT has what its dialog begins with.
fn shown(key: &KeySummary, settings: Option<&Value>) -> Value {
    let kept = |name: &str| settings.and_then(|settings| settings.get(name)).cloned();
    let source = key.resources.iter().find(|resource| resource.kind == choices::KIND).or_else(|| key.resources.first());
    let source = source.map_or_else(|| kept("retriever").unwrap_or_else(|| "".into()), |found| found.name.clone().into());
    json!({
        "id": key.id,
        "name": key.name,
        "key": masked(&key.hint),
        "source": source,
        "prompt_id": kept("prompt_id").unwrap_or_else(|| "default".into()),
        "chunks": kept("chunks").unwrap_or_else(|| "2".into()),
    })
}

/// The first four characters of the secret, three dots, the last four.
fn masked(hint: &str) -> String {
    let (start, end) = hint.split_once('…').unwrap_or_default();
    let start: String = start.chars().take(4).collect();
    format!("{start}...{end}")
}

/// A JSON object, whatever else is in it: DocsGPT's own server passes over what it does not know.
fn object(body: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let wrong = || Problem::new(ProblemCode::Invalid, "Send a JSON object.");
    Ok(serde_json::from_slice::<Map<String, Value>>(body).map_err(|_| wrong())?)
}

/// The names of those fields that are not there.
fn absent<'a>(body: &Map<String, Value>, fields: &[&'a str]) -> Vec<&'a str> {
    fields.iter().copied().filter(|field| body.get(*field).is_none_or(Value::is_null)).collect()
}

/// A short text, or an empty one where there is none.
fn text(body: &Map<String, Value>, field: &str) -> Result<String, Problem> {
    match body.get(field) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) if text.chars().count() <= MOST_TEXT && !text.chars().any(char::is_control) => Ok(text.clone()),
        Some(_) => Err(Problem::new(ProblemCode::Invalid, format!("{field}: Send a text of at most {MOST_TEXT} characters."))),
    }
}

/// How many chunks, as a number or as a text, as it came.
fn chunks(body: &Map<String, Value>) -> Result<Value, Problem> {
    let given = body.get("chunks").cloned().unwrap_or_default();
    let number = match &given {
        Value::Number(number) => number.as_u64(),
        Value::String(text) if text.len() <= 4 && text.bytes().all(|digit| digit.is_ascii_digit()) => text.parse().ok(),
        _ => None,
    };
    match number {
        Some(number) if number <= MOST_CHUNKS => Ok(given),
        _ => Err(Problem::new(ProblemCode::Invalid, format!("chunks: Send a whole number from 0 to {MOST_CHUNKS}."))),
    }
}

/// `POST /api/create_api_key`: a key of the person's own, tied to one of their sources or to nothing.
pub(super) async fn create(session: Session, State(state): State<AppState>, body: Bytes) -> Result<(StatusCode, Reply<Value>), Refusal> {
    let body = object(&body)?;
    let missing = absent(&body, &["name", "prompt_id", "chunks"]);
    if !missing.is_empty() {
        return Err(Refusal::missing(&missing));
    }
    let source = match text(&body, "source")?.as_str() {
        // The entry without an id.
        "" | "default" => None,
        id => Some(ResourceName::Ref(ResourceRef::new(choices::KIND, id).map_err(|_| unknown_source())?)),
    };
    let kept = json!({ "prompt_id": text(&body, "prompt_id")?, "chunks": chunks(&body)?, "retriever": text(&body, "retriever")? });
    let new = NewKey {
        name: text(&body, "name")?,
        kind: KeyKind::Secret,
        scopes: [scope()?].into_iter().collect(),
        expires_at: Expiry::Default,
        inactivity_days: Inactivity::Default,
        note: String::new(),
        owner: None,
        resources: source.into_iter().collect(),
        override_owner: false,
        ip_allow: Vec::new(),
        limits: Vec::new(),
    };
    let kept = ClientSettings { client: CLIENT, settings: kept };
    let issued = state.engine.keys.create_for_client(&session.actor, &session.workspace, new, kept).await?;
    Ok((StatusCode::CREATED, Reply(json!({ "id": issued.key.id, "key": issued.secret.expose() }))))
}

fn unknown_source() -> Problem {
    Problem::new(ProblemCode::Invalid, "There is no such source among yours.")
}

/// `POST /api/delete_api_key`: ends one of those keys that the list shows.
pub(super) async fn delete(session: Session, State(state): State<AppState>, body: Bytes) -> Result<Reply<Value>, Refusal> {
    let body = object(&body)?;
    if !absent(&body, &["id"]).is_empty() {
        return Err(Refusal::missing(&["id"]));
    }
    let malformed = || Problem::new(ProblemCode::Invalid, "This is not the id of a key.");
    let id: KeyId = body.get("id").and_then(Value::as_str).and_then(|id| id.parse().ok()).ok_or_else(malformed)?;
    let (keys, nothing) = (&state.engine.keys, || Refusal::from(Problem::new(ProblemCode::NotFound, "API Key not found")));
    let gone = |error: keyfold_engine::Error| if error.is(ProblemCode::NotFound) { nothing() } else { error.into() };
    let key = keys.get(&session.actor, &session.workspace, &id).await.map_err(gone)?;
    let own = session.actor.user().is_some_and(|user| user.id == key.owner.id);
    // An administrator's token reaches no further than anybody else's: this page is about one's own keys for talking.
    if !own || key.state == KeyState::Deleted || key.kind != KeyKind::Secret || !key.scopes.contains(SCOPE) {
        return Err(nothing());
    }
    keys.delete(&session.actor, &session.workspace, &id).await.map_err(gone)?;
    Ok(Reply(json!({ "success": true })))
}
