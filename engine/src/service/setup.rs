//! The first set-up: only with the one-time token that the server printed, and only while there is no user.

use std::sync::Arc;

use keyfold_domain::policy::{Actor, RequestInfo};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::workspace::{NewWorkspace, Role, WorkspaceSummary};
use keyfold_engine_macros::compiled_here;
use serde_json::json;

use super::audit::Event;
use super::sessions::{IssuedSession, Opening};
use super::users::NewUser;
use super::workspaces::Founding;
use super::{Core, users};
use crate::error::Error;
use crate::limits::Network;
use crate::secrets::{Password, SetupToken};
use crate::store;

/// How long a set-up token is good, in milliseconds: 24 hours.
const TOKEN_MS: i64 = 86_400_000;

/// What the first administrator fills in.
#[derive(Debug)]
pub struct SetUp {
    /// The token from the link the server printed.
    pub token: String,
    /// The administrator's username.
    pub username: String,
    /// The administrator's e-mail address.
    pub email: String,
    /// As the administrator wants to be called; empty for the username.
    pub display_name: String,
    /// The administrator's password.
    pub password: Password,
    /// The first workspace's name.
    pub workspace_name: String,
    /// The first workspace's short name.
    pub workspace_slug: String,
}

/// The first set-up as a use case.
#[derive(Clone)]
pub struct Setup {
    pub(crate) core: Arc<Core>,
}

#[compiled_here]
impl Setup {
    /// Is there no user yet?
    pub async fn is_needed(&self) -> Result<bool, Error> {
        let mut reader = self.core.db.reader().await?;
        Ok(!store::users::any(&mut reader.conn()).await?)
    }

    /// A fresh token, good for 24 hours; every earlier one ends. Refused once there is a user.
    pub async fn issue_token(&self) -> Result<SetupToken, Error> {
        let token = SetupToken::generate(self.core.entropy.as_ref());
        let mac = self.core.macs.setup(token.expose());
        let expires_at = self.core.now().plus_ms(TOKEN_MS);
        self.core
            .db
            .write(move |mut conn| {
                Box::pin(async move {
                    if store::users::any(&mut conn).await? {
                        return Err(already());
                    }
                    Ok(store::meta::replace_setup_token(&mut conn, &mac, expires_at).await?)
                })
            })
            .await?;
        Ok(token)
    }

    /// Makes the first administrator, the first workspace and a session, all or nothing. Of many who try at once with the
    /// right token one succeeds.
    pub async fn complete(&self, request: &RequestInfo, form: SetUp) -> Result<(IssuedSession, WorkspaceSummary), Error> {
        let core = &self.core;
        core.limits.try_network(Network::of(request.ip))?;
        if !self.is_needed().await? {
            return Err(already());
        }
        let mac = core.macs.setup(form.token.trim());
        let mut reader = core.db.reader().await?;
        if !store::meta::setup_token_is_good(&mut reader.conn(), &mac, core.now()).await? {
            return Err(wrong_token());
        }
        drop(reader);
        let new = NewUser {
            username: form.username,
            email: form.email,
            display_name: form.display_name,
            password: form.password,
            instance_admin: true,
        };
        let workspace = NewWorkspace { slug: form.workspace_slug, name: form.workspace_name };
        // Cheap checks before the dear hash, so that a slip in the last field does not cost a second.
        keyfold_domain::name::required_name("workspace_name", &workspace.name)?;
        keyfold_domain::name::slug("workspace_slug", &workspace.slug)?;
        let user = new.into_row(core).await?;
        let owner = store::users::parse_id(&user.id)?;
        let founding = Founding::checked(core, &workspace, ("workspace_slug", "workspace_name"), owner)?;
        let opening = Opening::new(core, user.reference()?.id, request);
        let summary = founding.clone().summary(Some(Role::Owner));
        let actor = Actor::anonymous(request.clone());
        let now = core.now();
        let events = [
            Event::done(now, &actor, None, "setup.complete", &user.id)
                .change(None, Some(json!({"username": user.username, "instance_admin": true}))),
            founding.event(&actor),
        ];
        let input = Arc::new((user, founding, opening.stored(), events));
        let macs = Arc::clone(&core.macs);
        core.db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (user, founding, session, events) = &*input;
                    // Whoever consumes the token wins; everybody else finds it gone.
                    if !store::meta::consume_setup_token(&mut conn, &mac, now).await? || store::users::any(&mut conn).await? {
                        return Err(wrong_token());
                    }
                    users::insert(&mut conn, user).await?;
                    founding.insert(&mut conn, "workspace_slug").await?;
                    session.insert(&mut conn).await?;
                    for event in events {
                        event.append(&mut conn, &macs).await?;
                    }
                    Ok(())
                })
            })
            .await?;
        let session = opening.issued(core, request).await?;
        Ok((session, summary))
    }
}

fn already() -> Error {
    Error::Refused(Problem::new(ProblemCode::NotFound, "This Keyfold is set up already. Sign in instead."))
}

fn wrong_token() -> Error {
    let text = "This set-up link is not good any more. Restart Keyfold and open the link it prints.";
    Error::Refused(Problem { field: Some("token".into()), ..Problem::new(ProblemCode::Forbidden, text) })
}
