//! `/v1/admin/users`: everybody on the instance, for its administrators.

use axum::Json as Reply;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use keyfold_domain::ids::UserId;
use keyfold_domain::key::Page;
use keyfold_domain::user::{NewPerson, UserDetail, UserPatch, UserSummary};
use keyfold_engine::IssuedPasswordLink;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::problem::{Json, ProblemResponse};
use crate::rest::caller::{Caller, UserName};
use crate::rest::headers::AnyVersion;
use crate::rest::keys::bodies::given;
use crate::rest::members::PeopleQuery;
use crate::rest::moments::Moment;
use crate::rest::query::Query;
use crate::rest::schemas;
use crate::rest::workspaces::NoQuery;
use crate::state::AppState;

/// A person as an instance administrator sees them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserAccount)]
pub(crate) struct AccountBody {
    /// The person's id.
    #[schema(value_type = String, example = "usr_00S1E8TYPmMQMyNxIYvHyv")]
    id: UserId,
    /// Unique, lower case.
    #[schema(example = "ada")]
    username: String,
    /// Where to reach them.
    #[schema(example = "ada@example.com")]
    email: String,
    /// As the person wants to be called.
    #[schema(example = "Ada Lovelace")]
    display_name: String,
    /// May manage the whole instance.
    instance_admin: bool,
    /// `false` of somebody who was disabled: they cannot sign in and their keys do not work.
    active: bool,
    /// When the account was made.
    #[schema(schema_with = schemas::created_at)]
    created_at: Moment,
}

impl From<UserSummary> for AccountBody {
    fn from(user: UserSummary) -> Self {
        Self {
            id: user.id,
            username: user.username,
            email: user.email,
            display_name: user.display_name,
            instance_admin: user.instance_admin,
            active: user.active,
            created_at: Moment(user.created_at),
        }
    }
}

/// A person with what they have.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserDetail)]
pub(crate) struct UserDetailBody {
    /// The person.
    #[serde(flatten)]
    account: AccountBody,
    /// In how many workspaces they are.
    #[schema(minimum = 0, example = 1)]
    workspaces: i64,
    /// How many keys, not deleted, they own in all of them.
    #[schema(minimum = 0, example = 3)]
    live_keys: i64,
    /// When a session of theirs was last used.
    #[schema(schema_with = schemas::session_seen_at, required)]
    last_seen_at: Option<Moment>,
}

impl From<UserDetail> for UserDetailBody {
    fn from(detail: UserDetail) -> Self {
        Self {
            account: detail.user.into(),
            workspaces: detail.workspaces,
            live_keys: detail.live_keys,
            last_seen_at: detail.last_seen_at.map(Moment),
        }
    }
}

/// One page of people.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserPage)]
pub(crate) struct UserPageBody {
    /// The people, by username.
    data: Vec<UserDetailBody>,
    /// The `cursor` of the next page; `null` at the end.
    #[schema(required)]
    next: Option<String>,
}

impl From<Page<UserDetail>> for UserPageBody {
    fn from(page: Page<UserDetail>) -> Self {
        Self { data: page.items.into_iter().map(UserDetailBody::from).collect(), next: page.next }
    }
}

/// A link with which a person chooses their password.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PasswordLink)]
pub(crate) struct PasswordLinkBody {
    /// The link to hand over. This is the only answer that ever carries it. It works once, for a day.
    #[schema(example = "https://keys.example.com/reset?token=…")]
    link: String,
    /// From when on it is not good any more.
    #[schema(schema_with = schemas::link_ends_at)]
    link_expires_at: Moment,
}

impl PasswordLinkBody {
    fn of(state: &AppState, issued: &IssuedPasswordLink) -> Self {
        let link = format!("{}/reset?token={}", state.config.public_url.origin(), issued.token.expose());
        Self { link, link_expires_at: Moment(issued.expires_at) }
    }
}

/// A new person with the link to choose a password.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = InvitedUser)]
pub(crate) struct InvitedUserBody {
    /// The link.
    #[serde(flatten)]
    link: PasswordLinkBody,
    /// The person.
    #[serde(flatten)]
    account: AccountBody,
}

/// A person to be added. Fields that are not listed here are refused; there is none for a password.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewUser, example = json!({"username": "grace", "email": "grace@example.com"}))]
pub(crate) struct NewUserBody {
    /// Unique: 1 to 60 letters, digits and `. _ - @ +`; kept in lower case.
    #[schema(min_length = 1, max_length = 60, example = "grace")]
    username: String,
    /// Where to reach them.
    #[schema(max_length = 254, example = "grace@example.com")]
    email: String,
    /// As they want to be called; empty for the username.
    #[serde(default)]
    #[schema(default = "", max_length = 100, example = "Grace Hopper")]
    display_name: String,
    /// May manage the whole instance.
    #[serde(default)]
    #[schema(default = false)]
    instance_admin: bool,
}

/// A partial change: a field that is left out stays as it is. Fields that are not listed here are refused.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UserPatch, example = json!({"instance_admin": true}))]
pub(crate) struct UserPatchBody {
    /// Another e-mail address.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::email_given, required = false)]
    email: Option<String>,
    /// Another name to be called by.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::display_name_given, required = false)]
    display_name: Option<String>,
    /// Another rank.
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::instance_admin_given, required = false)]
    instance_admin: Option<bool>,
}

/// List everybody on this instance.
///
/// For the session of an instance administrator, as everything here.
#[utoipa::path(
    get,
    path = "/v1/admin/users",
    operation_id = "list_users",
    tag = "users",
    params(PeopleQuery),
    responses((status = 200, description = "One page of people.", body = UserPageBody))
)]
pub(crate) async fn list_users(
    Caller(actor): Caller,
    Query(query): Query<PeopleQuery>,
    State(state): State<AppState>,
) -> Result<Reply<UserPageBody>, ProblemResponse> {
    Ok(Reply(state.engine.users.list(&actor, &query.filter()?).await?.into()))
}

/// Add a person.
///
/// They choose their password themselves, with the link that this answer carries and no later one does. Making an instance
/// administrator needs a password given within the last ten minutes, `step_up_required` otherwise.
#[utoipa::path(
    post,
    path = "/v1/admin/users",
    operation_id = "create_user",
    tag = "users",
    request_body = NewUserBody,
    responses((status = 201, description = "The person with the link.", body = InvitedUserBody, headers(
        ("Location" = String, description = "The person's address.")
    )))
)]
pub(crate) async fn create_user(
    Caller(actor): Caller,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<NewUserBody>,
) -> Result<Response, ProblemResponse> {
    let NewUserBody { username, email, display_name, instance_admin } = body;
    let new = NewPerson { username, email, display_name, instance_admin };
    let (user, issued) = state.engine.users.invite(&actor, new).await?;
    let link = PasswordLinkBody::of(&state, &issued);
    let address = HeaderValue::from_str(&format!("/v1/admin/users/{}", user.id));
    let headers: HeaderMap = address.into_iter().map(|address| (LOCATION, address)).collect();
    Ok((StatusCode::CREATED, headers, Reply(InvitedUserBody { link, account: user.into() })).into_response())
}

/// Read one person.
#[utoipa::path(
    get,
    path = "/v1/admin/users/{user}",
    operation_id = "get_user",
    tag = "users",
    params(("user" = String, Path, description = "The user's id.", example = "usr_00S1E8TYPmMQMyNxIYvHyv")),
    responses((status = 200, description = "The person.", body = UserDetailBody))
)]
pub(crate) async fn get_user(
    Caller(actor): Caller,
    UserName(user): UserName,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<UserDetailBody>, ProblemResponse> {
    Ok(Reply(state.engine.users.get(&actor, &user).await?.into()))
}

/// Change a person's name, address or rank.
///
/// Another address or rank needs a password given within the last ten minutes. The last instance administrator stays one.
#[utoipa::path(
    patch,
    path = "/v1/admin/users/{user}",
    operation_id = "update_user",
    tag = "users",
    params(("user" = String, Path, description = "The user's id.", example = "usr_00S1E8TYPmMQMyNxIYvHyv")),
    request_body = UserPatchBody,
    responses((status = 200, description = "The person.", body = UserDetailBody))
)]
pub(crate) async fn update_user(
    Caller(actor): Caller,
    UserName(user): UserName,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
    Json(body): Json<UserPatchBody>,
) -> Result<Reply<UserDetailBody>, ProblemResponse> {
    let patch = UserPatch { email: body.email, display_name: body.display_name, instance_admin: body.instance_admin };
    Ok(Reply(state.engine.users.update(&actor, &user, patch).await?.into()))
}

/// Shut a person out.
///
/// Their sessions end and their keys stop before the answer is sent. Nobody disables themselves or the last instance
/// administrator.
#[utoipa::path(
    post,
    path = "/v1/admin/users/{user}/disable",
    operation_id = "disable_user",
    tag = "users",
    params(("user" = String, Path, description = "The user's id.", example = "usr_00S1E8TYPmMQMyNxIYvHyv")),
    responses((status = 200, description = "The person.", body = UserDetailBody))
)]
pub(crate) async fn disable_user(
    Caller(actor): Caller,
    UserName(user): UserName,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<UserDetailBody>, ProblemResponse> {
    Ok(Reply(state.engine.users.disable(&actor, &user).await?.into()))
}

/// Let a disabled person in again.
///
/// Their keys work again, too.
#[utoipa::path(
    post,
    path = "/v1/admin/users/{user}/enable",
    operation_id = "enable_user",
    tag = "users",
    params(("user" = String, Path, description = "The user's id.", example = "usr_00S1E8TYPmMQMyNxIYvHyv")),
    responses((status = 200, description = "The person.", body = UserDetailBody))
)]
pub(crate) async fn enable_user(
    Caller(actor): Caller,
    UserName(user): UserName,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<Reply<UserDetailBody>, ProblemResponse> {
    Ok(Reply(state.engine.users.enable(&actor, &user).await?.into()))
}

/// Make a link with which a person chooses a new password.
///
/// It works once, for a day, and takes the place of the one before; using it ends every session of the person. Needs a
/// password given within the last ten minutes.
#[utoipa::path(
    post,
    path = "/v1/admin/users/{user}/reset-link",
    operation_id = "create_reset_link",
    tag = "users",
    params(("user" = String, Path, description = "The user's id.", example = "usr_00S1E8TYPmMQMyNxIYvHyv")),
    responses((status = 201, description = "The link.", body = PasswordLinkBody))
)]
pub(crate) async fn create_reset_link(
    Caller(actor): Caller,
    UserName(user): UserName,
    _: AnyVersion,
    _: Query<NoQuery>,
    State(state): State<AppState>,
) -> Result<(StatusCode, Reply<PasswordLinkBody>), ProblemResponse> {
    let issued = state.engine.password_links.create(&actor, &user).await?;
    Ok((StatusCode::CREATED, Reply(PasswordLinkBody::of(&state, &issued))))
}
