//! Who calls and on which thing, from the address of a request.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use keyfold_domain::ids::{InvitationId, KeyId, ResourceId, SecretId, UserId, WorkspaceId};
use keyfold_domain::name;
use keyfold_domain::policy::{Actor, Principal};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::scope::ScopeName;

use crate::auth::RequestActor;
use crate::problem::ProblemResponse;
use crate::state::AppState;

/// Somebody known. A stranger is told so before anything of the request is looked at.
pub(crate) struct Caller(pub(crate) Actor);

impl FromRequestParts<AppState> for Caller {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ProblemResponse> {
        let RequestActor(actor) = RequestActor::from_request_parts(parts, state).await?;
        match actor.principal {
            Principal::Anonymous => {
                let message = "Send a management key as `Authorization: Bearer …`, or sign in from the same origin.";
                Err(Problem::new(ProblemCode::Unauthenticated, message).into())
            }
            _ => Ok(Self(actor)),
        }
    }
}

/// The workspace an address names, by slug or id. What can be neither names nothing.
pub(crate) struct WorkspaceName(pub(crate) String);

impl WorkspaceName {
    pub(crate) fn read(text: String) -> Result<Self, Problem> {
        let may_exist = text.parse::<WorkspaceId>().is_ok() || name::slug("workspace", &text).is_ok_and(|slug| slug == text);
        if may_exist { Ok(Self(text)) } else { Err(Problem::not_found()) }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for WorkspaceName {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        Ok(Self::read(text)?)
    }
}

/// Two parts of an address: the workspace, and the id of a thing in it. A malformed id names nothing.
async fn two_names<T: FromStr, S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<(WorkspaceName, T), ProblemResponse> {
    let Path((workspace, thing)) = Path::<(String, String)>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
    Ok((WorkspaceName::read(workspace)?, thing.parse().map_err(|_| Problem::not_found())?))
}

/// The workspace and the member an address names.
pub(crate) struct MemberName {
    /// Where.
    pub(crate) workspace: WorkspaceName,
    /// Who.
    pub(crate) user: UserId,
}

impl<S: Send + Sync> FromRequestParts<S> for MemberName {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let (workspace, user) = two_names(parts, state).await?;
        Ok(Self { workspace, user })
    }
}

/// The workspace and the invitation an address names.
pub(crate) struct InvitationName {
    /// Where.
    pub(crate) workspace: WorkspaceName,
    /// Which.
    pub(crate) invitation: InvitationId,
}

impl<S: Send + Sync> FromRequestParts<S> for InvitationName {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let (workspace, invitation) = two_names(parts, state).await?;
        Ok(Self { workspace, invitation })
    }
}

/// The user an address names. A malformed id names nobody.
pub(crate) struct UserName(pub(crate) UserId);

impl<S: Send + Sync> FromRequestParts<S> for UserName {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let Path(text) = Path::<String>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        Ok(Self(text.parse().map_err(|_| Problem::not_found())?))
    }
}

/// The workspace and the key an address names. A malformed id names nothing.
pub(crate) struct KeyName {
    /// Where.
    pub(crate) workspace: WorkspaceName,
    /// Which.
    pub(crate) key: KeyId,
}

impl<S: Send + Sync> FromRequestParts<S> for KeyName {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let (workspace, key) = two_names(parts, state).await?;
        Ok(Self { workspace, key })
    }
}

/// The workspace, the key and the secret an address names. A malformed id names nothing.
pub(crate) struct SecretName {
    /// Where.
    pub(crate) workspace: WorkspaceName,
    /// Of which key.
    pub(crate) key: KeyId,
    /// Which.
    pub(crate) secret: SecretId,
}

impl<S: Send + Sync> FromRequestParts<S> for SecretName {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let path = Path::<(String, String, String)>::from_request_parts(parts, state).await;
        let Path((workspace, key, secret)) = path.map_err(|_| Problem::not_found())?;
        let nothing = |_| Problem::not_found();
        Ok(Self {
            workspace: WorkspaceName::read(workspace)?,
            key: key.parse().map_err(nothing)?,
            secret: secret.parse().map_err(nothing)?,
        })
    }
}

/// The workspace and the resource an address names. A malformed id names nothing.
pub(crate) struct ResourceTarget {
    /// Where.
    pub(crate) workspace: WorkspaceName,
    /// Which.
    pub(crate) resource: ResourceId,
}

impl<S: Send + Sync> FromRequestParts<S> for ResourceTarget {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let Path((workspace, id)) = Path::<(String, String)>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        Ok(Self { workspace: WorkspaceName::read(workspace)?, resource: id.parse().map_err(|_| Problem::not_found())? })
    }
}

/// The workspace and the version an address names. What is no number names nothing.
pub(crate) struct VersionName {
    /// Where.
    pub(crate) workspace: WorkspaceName,
    /// Which.
    pub(crate) version: i64,
}

impl<S: Send + Sync> FromRequestParts<S> for VersionName {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let (workspace, version) = two_names(parts, state).await?;
        Ok(Self { workspace, version })
    }
}

/// The workspace and the scope an address names. What cannot be the name of one names nothing.
pub(crate) struct ScopeTarget {
    /// Where.
    pub(crate) workspace: WorkspaceName,
    /// Which.
    pub(crate) scope: ScopeName,
}

impl<S: Send + Sync> FromRequestParts<S> for ScopeTarget {
    type Rejection = ProblemResponse;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ProblemResponse> {
        let Path((workspace, name)) = Path::<(String, String)>::from_request_parts(parts, state).await.map_err(|_| Problem::not_found())?;
        Ok(Self { workspace: WorkspaceName::read(workspace)?, scope: name.parse().map_err(|_| Problem::not_found())? })
    }
}
