//! What the dialog offers: sources, prompts, and how one signs in.

use axum::Json as Reply;
use axum::extract::State;
use keyfold_domain::key::MAX_PAGE;
use keyfold_domain::resource::ResourceFilter;
use serde_json::{Value, json};

use super::Refusal;
use super::session::Session;
use crate::rest::moments::Moment;
use crate::state::AppState;

/// The kind of resource that a source is.
pub(super) const KIND: &str = "source";
/// The retriever of DocsGPT's own, which needs no document.
const RETRIEVER: &str = "classic";
/// The most sources that are offered.
const MOST: usize = 1_000;

/// `GET /api/sources`: DocsGPT's default, which has no id, and the person's own.
pub(super) async fn sources(session: Session, State(state): State<AppState>) -> Result<Reply<Vec<Value>>, Refusal> {
    let mut offered =
        vec![json!({ "name": "Default", "date": "default", "model": "", "location": "remote", "tokens": "", "retriever": RETRIEVER })];
    let own = session.actor.user().map(|user| user.id.clone());
    let mut filter = ResourceFilter { kind: KIND.to_owned(), owner: own, limit: MAX_PAGE, ..ResourceFilter::default() };
    while offered.len() <= MOST {
        let page = state.engine.resources.list(&session.actor, &session.workspace, &filter).await?;
        offered.extend(page.items.into_iter().map(|source| {
            json!({
                "id": source.external_id, "name": source.name, "date": Moment(source.created_at), "model": "", "location": "local",
                "tokens": "", "retriever": RETRIEVER,
            })
        }));
        filter.cursor = page.next;
        if filter.cursor.is_none() {
            break;
        }
    }
    Ok(Reply(offered))
}

/// `GET /api/get_prompts`: those that DocsGPT comes with. Own ones are kept there.
pub(super) async fn prompts(_: Session) -> Reply<Value> {
    let prompt = |name: &str| json!({ "id": name, "name": name, "type": "public" });
    Reply(json!([prompt("default"), prompt("creative"), prompt("strict")]))
}

/// `GET /api/config`: the page shall ask its user for a token.
pub(super) async fn config() -> Reply<Value> {
    Reply(json!({ "auth_type": "simple_jwt", "requires_auth": true }))
}
