//! `/v1/workspaces/{workspace}/audit` and `/v1/admin/audit`: what was done.

use axum::Json as Reply;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;
use keyfold_domain::audit::{AuditEvent, AuditFilter, AuditResult, ChainReport, FieldChange, Shown};
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::key::{DEFAULT_PAGE, MAX_PAGE, Page};
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::Problem;
use keyfold_domain::time::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::{ProblemResponse, logged};
use crate::rest::caller::{Caller, WorkspaceName};
use crate::rest::headers::AnyVersion;
use crate::rest::moments::{self, Moment};
use crate::rest::query::Query;
use crate::rest::schemas;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// What was done: a whole action like `key.create`, or the start of some, ending with a dot, like `key.`
    #[param(example = "key.")]
    action: Option<String>,
    /// The id of the user or key that did it.
    #[param(example = "usr_00S1E8TYPmMQMyNxIYvHyv")]
    actor: Option<String>,
    /// The id of what it was done to.
    #[param(example = "key_00S1E8UZ2m0hmDYpk0bPVq")]
    object: Option<String>,
    /// How it went.
    #[param(schema_with = schemas::audit_result, required = false)]
    result: Option<String>,
    /// Not before that moment, with any offset.
    #[param(example = "2026-11-01T00:00:00Z")]
    from: Option<String>,
    /// Before that moment, with any offset.
    #[param(example = "2026-12-01T00:00:00Z")]
    until: Option<String>,
    /// Part of a name, an id, an address or a value.
    search: Option<String>,
}

fn moment(field: &str, text: Option<String>) -> Result<Option<Timestamp>, Problem> {
    let wrong = || Problem::invalid(field, "Send a moment like 2026-11-21T09:30:00Z, with any offset.");
    text.map(|text| moments::parse(&text).map(|moment| moment.0).ok_or_else(wrong)).transpose()
}

impl EventsQuery {
    fn filter(self) -> Result<AuditFilter, Problem> {
        let wrong = || Problem::invalid("result", "Choose one of done, refused.");
        Ok(AuditFilter {
            action: self.action.unwrap_or_default(),
            actor: self.actor.unwrap_or_default(),
            object: self.object.unwrap_or_default(),
            result: self.result.map(|name| AuditResult::from_name(&name).ok_or_else(wrong)).transpose()?,
            from: moment("from", self.from)?,
            until: moment("until", self.until)?,
            search: self.search.unwrap_or_default(),
            ..AuditFilter::default()
        })
    }
}

/// Which page of which events.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventPageQuery {
    /// What was done: a whole action like `key.create`, or the start of some, ending with a dot, like `key.`
    #[param(example = "key.")]
    action: Option<String>,
    /// The id of the user or key that did it.
    #[param(example = "usr_00S1E8TYPmMQMyNxIYvHyv")]
    actor: Option<String>,
    /// The id of what it was done to.
    #[param(example = "key_00S1E8UZ2m0hmDYpk0bPVq")]
    object: Option<String>,
    /// How it went.
    #[param(schema_with = schemas::audit_result, required = false)]
    result: Option<String>,
    /// Not before that moment, with any offset.
    #[param(example = "2026-11-01T00:00:00Z")]
    from: Option<String>,
    /// Before that moment, with any offset.
    #[param(example = "2026-12-01T00:00:00Z")]
    until: Option<String>,
    /// Part of a name, an id, an address or a value.
    search: Option<String>,
    /// Where the page starts: the `next` of the page before, with all other parameters the same.
    cursor: Option<String>,
    /// The most events of the page.
    #[param(minimum = 1, maximum = 200, default = 50, value_type = Option<u32>)]
    limit: Option<String>,
}

impl EventPageQuery {
    fn filter(self) -> Result<AuditFilter, Problem> {
        let Self { action, actor, object, result, from, until, search, cursor, limit } = self;
        let wrong = || Problem::invalid("limit", format!("Choose 1 to {MAX_PAGE}."));
        let read = |text: String| text.parse().ok().filter(|limit| (1..=MAX_PAGE).contains(limit)).ok_or_else(wrong);
        let limit = limit.map_or(Ok(DEFAULT_PAGE), read)?;
        let filter = EventsQuery { action, actor, object, result, from, until, search }.filter()?;
        Ok(AuditFilter { cursor, limit, ..filter })
    }
}

/// Who did it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditActor)]
struct ActorBody {
    /// `user`, `key`, `operator` (the command line), `system` (Keyfold by itself) or `anonymous`.
    #[schema(example = "user")]
    kind: String,
    /// The user's or the key's id; `null` for the others.
    #[schema(required, example = "usr_00S1E8TYPmMQMyNxIYvHyv")]
    id: Option<String>,
    /// As they were called then; of a key the name of its owner.
    #[schema(example = "ada")]
    name: String,
}

/// One field that is not what it was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FieldChange)]
struct ChangeBody {
    /// Its name.
    #[schema(example = "scopes")]
    field: String,
    /// What it was; `null` for nothing.
    #[schema(required, example = "project")]
    before: Option<String>,
    /// What it is now; `null` for nothing.
    #[schema(required, example = "chat")]
    after: Option<String>,
}

impl From<FieldChange> for ChangeBody {
    fn from(change: FieldChange) -> Self {
        let text = |shown: Shown| match shown {
            Shown::Text(text) => text,
            Shown::Moment(at) => Moment(at).to_string(),
        };
        Self { field: change.field, before: change.before.map(text), after: change.after.map(text) }
    }
}

/// Something that was done, or refused.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
struct EventBody {
    /// Its number in its chain, from 1 on without gaps.
    #[schema(minimum = 1, example = 1)]
    seq: i64,
    /// When.
    #[schema(schema_with = schemas::moment)]
    at: Moment,
    /// Who.
    actor: ActorBody,
    /// What, as `noun.verb`; a refused act by the name of what was asked for.
    #[schema(example = "key.update")]
    action: String,
    /// On what; `null` for nothing.
    #[schema(required, example = "key_00S1E8UZ2m0hmDYpk0bPVq")]
    object: Option<String>,
    /// What that is called now, where it is still known.
    #[schema(required, example = "Nightly report")]
    object_name: Option<String>,
    /// How it went.
    #[schema(schema_with = schemas::audit_result)]
    result: AuditResult,
    /// The client's address; `null` if there was none.
    #[schema(required, example = "192.0.2.1")]
    ip: Option<String>,
    /// The id of the request.
    request_id: String,
    /// What it changed: only the fields that differ.
    changes: Vec<ChangeBody>,
}

impl From<AuditEvent> for EventBody {
    fn from(event: AuditEvent) -> Self {
        let given = |text: String| (!text.is_empty()).then_some(text);
        Self {
            seq: event.seq,
            at: Moment(event.at),
            actor: ActorBody { kind: event.actor.kind, id: given(event.actor.id), name: event.actor.name },
            action: event.action,
            object: given(event.object),
            object_name: event.object_name,
            result: event.result,
            ip: event.ip,
            request_id: event.request_id,
            changes: event.changes.into_iter().map(ChangeBody::from).collect(),
        }
    }
}

/// One page of events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditPage)]
pub(crate) struct EventPageBody {
    /// The events, the newest first. May be fewer than asked for, even none, while there is a `next`: a search looks at a
    /// bounded number of events at once.
    data: Vec<EventBody>,
    /// The `cursor` of the next page; `null` at the end.
    #[schema(required)]
    next: Option<String>,
}

impl From<Page<AuditEvent>> for EventPageBody {
    fn from(page: Page<AuditEvent>) -> Self {
        Self { data: page.items.into_iter().map(EventBody::from).collect(), next: page.next }
    }
}

/// Where a chain is broken.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = BrokenLink)]
struct BrokenBody {
    /// The chain: a workspace's id, or `instance`.
    #[schema(example = "instance")]
    chain: String,
    /// The number of the first event that does not hold.
    #[schema(minimum = 0, example = 7)]
    seq: i64,
    /// What is wrong with it.
    #[schema(example = "this event was removed")]
    why: String,
}

/// What a check found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditCheck)]
pub(crate) struct CheckBody {
    /// Does every link hold?
    whole: bool,
    /// How many chains were checked.
    #[schema(example = 1)]
    chains: u64,
    /// How many events were checked.
    #[schema(example = 214)]
    events: u64,
    /// The first link that does not hold; `null` if all do.
    #[schema(required)]
    broken: Option<BrokenBody>,
}

impl From<ChainReport> for CheckBody {
    fn from(report: ChainReport) -> Self {
        let broken = report.broken.map(|broken| BrokenBody { chain: broken.chain, seq: broken.seq, why: broken.why });
        Self { whole: broken.is_none(), chains: report.chains, events: report.events, broken }
    }
}

/// The file, piece by piece. If one cannot be read the connection ends before the file does, so that nobody takes it for whole.
async fn file(
    state: &AppState,
    actor: &Actor,
    workspace: Option<&WorkspaceId>,
    name: &str,
    query: EventsQuery,
) -> Result<Response, ProblemResponse> {
    let export = state.engine.audit.export(actor, workspace, &query.filter()?).await?;
    let pieces = try_unfold(export, |mut export| async move {
        match export.next().await {
            Ok(piece) => Ok(piece.map(|piece| (piece, export))),
            Err(error) => Err(std::io::Error::other(logged(&error).message)),
        }
    });
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"keyfold-audit-{name}.jsonl\""));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (CONTENT_DISPOSITION, disposition.unwrap_or_else(|_| HeaderValue::from_static("attachment"))),
    ];
    Ok((headers, Body::from_stream(pieces)).into_response())
}

/// List the events of a workspace.
///
/// Administrators see all of them, a member what they did and what befell a key of theirs. The newest come first.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/audit",
    operation_id = "list_audit",
    tag = "audit",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"), EventPageQuery),
    responses((status = 200, description = "One page of events.", body = EventPageBody))
)]
pub(crate) async fn list_audit(
    Caller(actor): Caller,
    WorkspaceName(name): WorkspaceName,
    Query(query): Query<EventPageQuery>,
    State(state): State<AppState>,
) -> Result<Reply<EventPageBody>, ProblemResponse> {
    let filter = query.filter()?;
    let workspace = state.engine.workspaces.find_log(&actor, &name).await?.id;
    Ok(Reply(state.engine.audit.list(&actor, Some(&workspace), &filter).await?.into()))
}

/// Take the events of a workspace away as JSON lines.
///
/// For administrators; in a session it needs a password given within the last ten minutes. Each line is an event as it was
/// linked, with its `link`; the newest come first. Taking it is itself in the log.
#[utoipa::path(
    get,
    path = "/v1/workspaces/{workspace}/audit/export",
    operation_id = "export_audit",
    tag = "audit",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme"), EventsQuery),
    responses((status = 200, description = "The events, one a line.", body = String, content_type = "application/x-ndjson"))
)]
pub(crate) async fn export_audit(
    Caller(actor): Caller,
    WorkspaceName(name): WorkspaceName,
    Query(query): Query<EventsQuery>,
    State(state): State<AppState>,
) -> Result<Response, ProblemResponse> {
    let workspace = state.engine.workspaces.find_log(&actor, &name).await?.id;
    file(&state, &actor, Some(&workspace), &name, query).await
}

/// Check the chain of a workspace.
///
/// Reads every event and names the first that was changed, moved, inserted or removed.
#[utoipa::path(
    post,
    path = "/v1/workspaces/{workspace}/audit/verify",
    operation_id = "verify_audit",
    tag = "audit",
    params(("workspace" = String, Path, description = "The workspace's slug or id.", example = "acme")),
    responses((status = 200, description = "What was found.", body = CheckBody))
)]
pub(crate) async fn verify_audit(
    Caller(actor): Caller,
    WorkspaceName(name): WorkspaceName,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<CheckBody>, ProblemResponse> {
    let workspace = state.engine.workspaces.find_log(&actor, &name).await?.id;
    Ok(Reply(state.engine.audit.verify_chain(&actor, &workspace).await?.into()))
}

/// List the events of the instance.
///
/// What belongs to no workspace: sign-ins, users, workspaces, the instance's rules. For instance administrators.
#[utoipa::path(
    get,
    path = "/v1/admin/audit",
    operation_id = "list_instance_audit",
    tag = "audit",
    params(EventPageQuery),
    responses((status = 200, description = "One page of events.", body = EventPageBody))
)]
pub(crate) async fn list_instance_audit(
    Caller(actor): Caller,
    Query(query): Query<EventPageQuery>,
    State(state): State<AppState>,
) -> Result<Reply<EventPageBody>, ProblemResponse> {
    let filter = query.filter()?;
    Ok(Reply(state.engine.audit.list(&actor, None, &filter).await?.into()))
}

/// Take the events of the instance away as JSON lines.
///
/// As for a workspace, for instance administrators.
#[utoipa::path(
    get,
    path = "/v1/admin/audit/export",
    operation_id = "export_instance_audit",
    tag = "audit",
    params(EventsQuery),
    responses((status = 200, description = "The events, one a line.", body = String, content_type = "application/x-ndjson"))
)]
pub(crate) async fn export_instance_audit(
    Caller(actor): Caller,
    Query(query): Query<EventsQuery>,
    State(state): State<AppState>,
) -> Result<Response, ProblemResponse> {
    file(&state, &actor, None, "instance", query).await
}

/// Check every chain.
///
/// The instance's and those of all workspaces, for instance administrators.
#[utoipa::path(
    post,
    path = "/v1/admin/audit/verify",
    operation_id = "verify_instance_audit",
    tag = "audit",
    responses((status = 200, description = "What was found.", body = CheckBody))
)]
pub(crate) async fn verify_instance_audit(
    Caller(actor): Caller,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<CheckBody>, ProblemResponse> {
    Ok(Reply(state.engine.audit.verify_chains(&actor).await?.into()))
}
