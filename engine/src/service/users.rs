//! People, as administrators and the command line manage them.

use std::sync::Arc;

use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::name;
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_domain::user::{self, UserRef, UserSummary};
use keyfold_domain::workspace::{Role, WorkspaceRef};
use serde_json::json;

use super::Core;
use super::audit::Event;
use crate::error::{Error, is_unique_violation};
use crate::password;
use crate::secrets::Password;
use crate::store;
use crate::store::db::Conn;
use crate::store::users::UserRow;

/// The most names of a list to choose from.
const MOST_NAMES: i64 = 1000;

/// A person to be added.
#[derive(Debug)]
pub struct NewUser {
    /// Unique; kept in lower case.
    pub username: String,
    /// Where to reach them.
    pub email: String,
    /// As they want to be called; empty for the username.
    pub display_name: String,
    /// Their first password.
    pub password: Password,
    /// May manage the whole instance.
    pub instance_admin: bool,
}

impl NewUser {
    /// The row to store, with the password hashed, or the first input at fault.
    pub(crate) async fn into_row(self, core: &Core) -> Result<UserRow, Error> {
        let username = user::username("username", &self.username)?;
        let email = user::email("email", &self.email)?;
        let display_name = name::optional_name("display_name", &self.display_name)?;
        password::check(&self.password, &[&username, &email, &display_name])?;
        let now = core.now();
        Ok(UserRow {
            id: UserId::generate(now, &mut core.rng()).to_string(),
            display_name: if display_name.is_empty() { username.clone() } else { display_name },
            username,
            email,
            password_hash: core.hasher.hash(&self.password, core.entropy.as_ref()).await?,
            instance_admin: self.instance_admin,
            active: true,
            created_at: now.as_millis(),
        })
    }
}

/// Adds a user; says so when the username is taken.
pub(crate) async fn insert(conn: &mut Conn<'_>, row: &UserRow) -> Result<(), Error> {
    store::users::insert(conn, row).await.map_err(|error| {
        if is_unique_violation(&error) {
            Error::conflict(Some("username"), "This username is taken. Choose another.")
        } else {
            error.into()
        }
    })
}

/// Users as a use case.
#[derive(Clone)]
pub struct Users {
    pub(crate) core: Arc<Core>,
}

impl Users {
    /// Adds a person who can sign in.
    pub async fn create(&self, actor: &Actor, new: NewUser) -> Result<UserSummary, Error> {
        self.core.authorize(actor, Action::ManageUsers, &Object::Instance).await?;
        let row = Arc::new(new.into_row(&self.core).await?);
        let summary = row.summary()?;
        let event = Event::done(self.core.now(), actor, None, "user.create", &row.id)
            .change(None, Some(json!({"username": row.username, "instance_admin": row.instance_admin})));
        let macs = Arc::clone(&self.core.macs);
        self.core
            .db
            .write(move |mut conn| {
                let (row, event, macs) = (Arc::clone(&row), event.clone(), Arc::clone(&macs));
                Box::pin(async move {
                    event.append(&mut conn, &macs).await?;
                    insert(&mut conn, &row).await
                })
            })
            .await?;
        Ok(summary)
    }

    /// Everybody by name, for a list to choose from; at most a thousand. Whoever is not among them can be asked for by name.
    pub async fn list_names(&self, actor: &Actor) -> Result<Vec<UserRef>, Error> {
        self.core.authorize(actor, Action::ManageUsers, &Object::Instance).await?;
        let mut reader = self.core.db.reader().await?;
        store::users::names(&mut reader.conn(), MOST_NAMES).await?.iter().map(UserRow::reference).collect()
    }

    /// The workspaces in which that person may have keys, by name.
    pub async fn list_places(&self, actor: &Actor, id: &UserId) -> Result<Vec<WorkspaceRef>, Error> {
        self.core.authorize(actor, Action::ManageUsers, &Object::Instance).await?;
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        let mut places = Vec::new();
        for place in store::workspaces::memberships(&mut conn, id).await? {
            if place.role >= Role::Member
                && let Some(row) = store::workspaces::find(&mut conn, place.workspace_id.as_str()).await?
            {
                let workspace = row.summary(None)?;
                places.push(WorkspaceRef { id: workspace.id, slug: workspace.slug, name: workspace.name });
            }
        }
        places.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(places)
    }

    /// A member of that workspace by name, for those who may make keys for them.
    pub async fn get_name(&self, actor: &Actor, workspace: &WorkspaceId, id: &UserId) -> Result<UserRef, Error> {
        self.core.authorize(actor, Action::CreateKey, &Object::Key { workspace, owner: id, id: None }).await?;
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        let member = store::workspaces::find_role(&mut conn, workspace, id).await?.is_some();
        let row = if member { store::users::find(&mut conn, id).await? } else { None };
        row.ok_or_else(Error::not_found)?.reference()
    }

    /// The person with that username.
    pub async fn find_by_username(&self, actor: &Actor, username: &str) -> Result<UserSummary, Error> {
        self.core.authorize(actor, Action::ManageUsers, &Object::Instance).await?;
        let mut reader = self.core.db.reader().await?;
        let row = store::users::find_by_username(&mut reader.conn(), &username.trim().to_ascii_lowercase()).await?;
        row.ok_or_else(Error::not_found)?.summary()
    }
}
