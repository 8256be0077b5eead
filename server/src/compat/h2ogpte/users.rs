//! `GET /api/v1/users`: the members of the workspace. The only way from a name to the id that a new key asks for.

use axum::Json as Reply;
use axum::extract::State;
use keyfold_domain::ids::UserId;
use keyfold_domain::key::MAX_PAGE;
use keyfold_domain::user::PeopleFilter;
use serde::Serialize;

use super::Refusal;
use super::caller::Caller;
use super::read::{Query, Rows};
use crate::state::AppState;

/// The most people that are counted through.
const MOST: usize = 100_000;

/// A member as this client knows one.
#[derive(Debug, Serialize)]
pub(super) struct UserInfo {
    id: UserId,
    username: String,
    email: String,
}

/// The members by username. For administrators.
pub(super) async fn list(caller: Caller, Query(rows): Query<Rows>, State(state): State<AppState>) -> Result<Reply<Vec<UserInfo>>, Refusal> {
    let (offset, limit) = rows.read()?;
    let enough = usize::try_from(u64::from(offset) + u64::from(limit)).unwrap_or(usize::MAX).min(MOST);
    let mut filter = PeopleFilter { limit: MAX_PAGE, ..PeopleFilter::default() };
    let mut users = Vec::new();
    loop {
        let page = state.engine.members.list(&caller.actor, &caller.workspace, &filter).await?;
        users.extend(page.items.into_iter().map(|member| UserInfo {
            id: member.user.id,
            username: member.user.username,
            email: member.email,
        }));
        if page.next.is_none() || users.len() >= enough {
            return Ok(Reply(rows.of(users)?));
        }
        filter.cursor = page.next;
    }
}
