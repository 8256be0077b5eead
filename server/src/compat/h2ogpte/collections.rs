//! `/api/v1/collections`: the resources of kind `collection` that keys can be bound to. Documents and chats are the
//! platform's, so their counts are 0 here.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::StatusCode;
use keyfold_domain::key::MAX_PAGE;
use keyfold_domain::problem::Problem;
use keyfold_domain::resource::{NewResource, ResourceFilter, ResourceName};
use keyfold_domain::verdict::ResourceRef;
use keyfold_engine::DescribedResource;
use serde::{Deserialize, Serialize};

use super::Refusal;
use super::caller::{Caller, Name};
use super::read::{Body, Query, Rows};
use crate::rest::moments::Moment;
use crate::state::AppState;

/// The kind of resource that a collection is.
pub(super) const KIND: &str = "collection";
/// The most collections that are looked through.
const MOST: usize = 10_000;

/// A collection as this client knows one.
#[derive(Debug, Serialize)]
pub(super) struct Collection {
    id: String,
    name: String,
    description: String,
    embedding_model: &'static str,
    document_count: u32,
    document_size: u32,
    created_at: Moment,
    updated_at: Moment,
    user_count: u32,
    is_public: bool,
    username: String,
    sessions_count: u32,
    status: &'static str,
}

impl From<DescribedResource> for Collection {
    fn from(DescribedResource { resource, description }: DescribedResource) -> Self {
        Self {
            id: resource.external_id,
            name: resource.name,
            description,
            embedding_model: "",
            document_count: 0,
            document_size: 0,
            created_at: Moment(resource.created_at),
            updated_at: Moment(resource.created_at),
            user_count: 1,
            is_public: false,
            username: resource.owner.username,
            sessions_count: 0,
            status: "",
        }
    }
}

/// The collection with that id, which is the platform's name for it.
pub(super) async fn find(state: &AppState, caller: &Caller, id: &str) -> Result<DescribedResource, Refusal> {
    let name = ResourceName::Ref(ResourceRef::new(KIND, id).map_err(|_| Problem::not_found())?);
    Ok(state.engine.resources.get_named(&caller.actor, &caller.workspace, &name).await?)
}

/// Which collections, and in what order.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ListQuery {
    #[serde(flatten)]
    rows: Rows,
    #[serde(default)]
    name_filter: String,
    #[serde(default)]
    current_user_only: String,
    #[serde(default)]
    sort_column: String,
    #[serde(default)]
    ascending: String,
    #[serde(default)]
    metadata_filter: String,
}

/// A switch in a query; Python writes its words with a capital.
fn flag(field: &str, text: &str, absent: bool) -> Result<bool, Problem> {
    match text.to_ascii_lowercase().as_str() {
        "" => Ok(absent),
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(Problem::invalid(field, "Write true or false.")),
    }
}

impl ListQuery {
    fn sort(&self, found: &mut [DescribedResource]) -> Result<(), Problem> {
        if !self.metadata_filter.is_empty() {
            return Err(Problem::invalid("metadata_filter", "Collections have no metadata here. Leave this out."));
        }
        match self.sort_column.as_str() {
            "" | "updated_at" | "created_at" => found
                .sort_by(|one, other| (one.resource.created_at, &one.resource.id).cmp(&(other.resource.created_at, &other.resource.id))),
            // They come so.
            "name" => {}
            _ => return Err(Problem::invalid("sort_column", "Choose name, created_at or updated_at.")),
        }
        // Left out, the order is the newest first, or that of the names.
        if !flag("ascending", &self.ascending, self.sort_column == "name")? {
            found.reverse();
        }
        Ok(())
    }
}

/// `GET /collections`: those that the caller may see, the newest first.
pub(super) async fn list(
    caller: Caller,
    Query(query): Query<ListQuery>,
    State(state): State<AppState>,
) -> Result<Reply<Vec<Collection>>, Refusal> {
    let own = flag("current_user_only", &query.current_user_only, false)?.then(|| caller.actor.user().map(|user| user.id.clone()));
    let mut filter = ResourceFilter { kind: KIND.to_owned(), owner: own.flatten(), limit: MAX_PAGE, ..ResourceFilter::default() };
    filter.search.clone_from(&query.name_filter);
    let mut found = Vec::new();
    loop {
        let page = state.engine.resources.list_described(&caller.actor, &caller.workspace, &filter).await?;
        found.extend(page.items);
        if page.next.is_none() || found.len() >= MOST {
            break;
        }
        filter.cursor = page.next;
    }
    query.sort(&mut found)?;
    Ok(Reply(query.rows.of(found)?.into_iter().map(Collection::from).collect()))
}

/// A collection to be made. Settings of the platform's that the client may send along are not ours to keep.
#[derive(Debug, Deserialize)]
pub(super) struct NewCollection {
    name: String,
    #[serde(default)]
    description: Option<String>,
}

/// `POST /collections`: adds a collection of the caller's.
pub(super) async fn create(
    caller: Caller,
    State(state): State<AppState>,
    Body(body): Body<NewCollection>,
) -> Result<(StatusCode, Reply<Collection>), Refusal> {
    let new = NewResource { kind: KIND.to_owned(), external_id: new_id(&state), name: body.name, owner: None };
    let description = body.description.unwrap_or_default();
    let made = state.engine.resources.create_described(&caller.actor, &caller.workspace, new, &description).await?;
    Ok((StatusCode::CREATED, Reply(made.into())))
}

/// A random UUID, as the platform names its collections.
fn new_id(state: &AppState) -> String {
    let mut bytes = [0; 16];
    state.engine.fill_random(&mut bytes);
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{number:032x}");
    [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-")
}

/// `GET /collections/{collection_id}`.
pub(super) async fn show(caller: Caller, Name(id): Name, State(state): State<AppState>) -> Result<Reply<Collection>, Refusal> {
    Ok(Reply(find(&state, &caller, &id).await?.into()))
}

/// `DELETE /collections/{collection_id}`. This client has no way to be asked again, so keys that are bound to it do not stand
/// in the way: they stay bound to it, and work for nothing.
pub(super) async fn delete(caller: Caller, Name(id): Name, State(state): State<AppState>) -> Result<StatusCode, Refusal> {
    let found = find(&state, &caller, &id).await?;
    state.engine.resources.delete(&caller.actor, &caller.workspace, &found.resource.id, true).await?;
    Ok(StatusCode::NO_CONTENT)
}
