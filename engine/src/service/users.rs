//! People, as administrators and the command line manage them.

use std::sync::Arc;

use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::key::Page;
use keyfold_domain::name;
use keyfold_domain::policy::{Action, Actor, Object};
use keyfold_domain::problem::Problem;
use keyfold_domain::user::{self, NewPerson, PeopleFilter, UserDetail, UserPatch, UserRef, UserSummary};
use keyfold_domain::workspace::{Role, WorkspaceRef};
use keyfold_engine_macros::compiled_here;
use serde_json::{Value, json};

use super::Core;
use super::audit::Event;
use super::pages::Asked;
use super::password_links::{IssuedPasswordLink, PasswordLink};
use super::sessions::require_proof;
use crate::error::{Error, is_unique_violation};
use crate::password;
use crate::secrets::Password;
use crate::store;
use crate::store::changes::Change;
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
        let person =
            NewPerson { username: self.username, email: self.email, display_name: self.display_name, instance_admin: self.instance_admin };
        let mut row = row_of(core, &person)?;
        password::check(&self.password, &[&row.username, &row.email, &row.display_name])?;
        row.password_hash = core.hasher.hash(&self.password, core.entropy.as_ref()).await?;
        Ok(row)
    }
}

/// The row of somebody who has no password yet, or the first input at fault.
fn row_of(core: &Core, person: &NewPerson) -> Result<UserRow, Problem> {
    let username = user::username("username", &person.username)?;
    let email = user::email("email", &person.email)?;
    let display_name = name::optional_name("display_name", &person.display_name)?;
    let now = core.now();
    Ok(UserRow {
        id: UserId::generate(now, &mut core.rng()).to_string(),
        display_name: if display_name.is_empty() { username.clone() } else { display_name },
        username,
        email,
        password_hash: core.hasher.unusable(core.entropy.as_ref()),
        instance_admin: person.instance_admin,
        active: true,
        created_at: now.as_millis(),
    })
}

/// Writes what is given into a row; nobody is without a name to be called by.
pub(crate) fn profile(row: &mut UserRow, email: Option<String>, display_name: Option<String>) {
    if let Some(email) = email {
        row.email = email;
    }
    if let Some(name) = display_name {
        row.display_name = if name.is_empty() { row.username.clone() } else { name };
    }
}

/// What the audit log says of a person.
pub(crate) fn settings(row: &UserRow) -> Value {
    json!({
        "email": row.email, "display_name": row.display_name, "instance_admin": row.instance_admin, "active": row.active,
    })
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

/// Takes away what somebody can do no longer: the way in of who was disabled, the invitations of who lost their rank.
async fn shut_out(conn: &mut Conn<'_>, id: &UserId, old: &UserRow, new: &UserRow) -> Result<(), Error> {
    if !new.active {
        store::sessions::delete_others(conn, id, None).await?;
        store::password_links::delete(conn, id).await?;
    }
    if !new.active || (old.instance_admin && !new.instance_admin) {
        store::invitations::delete_all_of_creator(conn, id).await?;
    }
    Ok(())
}

/// Users as a use case.
#[derive(Clone)]
pub struct Users {
    pub(crate) core: Arc<Core>,
}

#[compiled_here]
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

    /// Adds a person who chooses their password themselves, with the link that lets them do so, for this one time. Making
    /// an instance administrator needs a fresh password.
    pub async fn invite(&self, actor: &Actor, new: NewPerson) -> Result<(UserSummary, IssuedPasswordLink), Error> {
        let core = &self.core;
        core.authorize(actor, Action::ManageUsers, &Object::Instance).await?;
        let row = row_of(core, &new)?;
        if new.instance_admin {
            require_proof(core, actor)?;
        }
        let summary = row.summary()?;
        let link = PasswordLink::new(core);
        let event = Event::done(core.now(), actor, None, "user.create", &row.id)
            .change(None, Some(json!({"username": row.username, "instance_admin": row.instance_admin})));
        let input = Arc::new((row, summary.id.clone(), link.mac, link.expires_at, event));
        let macs = Arc::clone(&core.macs);
        core.db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (row, id, mac, expires_at, event) = &*input;
                    event.append(&mut conn, &macs).await?;
                    insert(&mut conn, row).await?;
                    Ok(store::password_links::replace(&mut conn, id, mac, *expires_at).await?)
                })
            })
            .await?;
        Ok((summary, link.issued()))
    }

    /// One page of all people, by username.
    pub async fn list(&self, actor: &Actor, filter: &PeopleFilter) -> Result<Page<UserDetail>, Error> {
        self.core.authorize(actor, Action::ManageUsers, &Object::Instance).await?;
        let asked = Asked::of(filter)?;
        let mut reader = self.core.db.reader().await?;
        let rows = store::users::page(&mut reader.conn(), &asked.pattern, &asked.after, asked.rows()).await?;
        asked.page(rows, |row| row.detail(), |detail| detail.user.username.clone())
    }

    /// One person.
    pub async fn get(&self, actor: &Actor, id: &UserId) -> Result<UserDetail, Error> {
        self.core.authorize(actor, Action::ManageUsers, &Object::Instance).await?;
        let mut reader = self.core.db.reader().await?;
        store::users::find_detail(&mut reader.conn(), id).await?.ok_or_else(Error::not_found)?.detail()
    }

    /// Changes a person's name, address or rank; what the patch leaves out stays. Another address or rank needs a fresh
    /// password. The last instance administrator stays one.
    pub async fn update(&self, actor: &Actor, id: &UserId, patch: UserPatch) -> Result<UserDetail, Error> {
        self.core.authorize(actor, Action::ManageUsers, &Object::Instance).await?;
        let email = patch.email.map(|email| user::email("email", &email)).transpose()?;
        let display_name = patch.display_name.map(|name| name::optional_name("display_name", &name)).transpose()?;
        let rank = patch.instance_admin;
        let proven = require_proof(&self.core, actor).map_err(|error| error.problem());
        self.change(actor, id, "user.update", move |row, others| {
            let dangerous = rank.is_some_and(|rank| rank != row.instance_admin) || email.as_ref().is_some_and(|email| *email != row.email);
            if dangerous {
                proven.clone()?;
            }
            if rank == Some(false) && row.instance_admin && !others {
                let text = "Somebody has to be instance administrator. Make somebody else one first.";
                return Err(Error::conflict(Some("instance_admin"), text));
            }
            profile(row, email.clone(), display_name.clone());
            row.instance_admin = rank.unwrap_or(row.instance_admin);
            Ok(())
        })
        .await
    }

    /// Shuts a person out: their sessions end and their keys stop, here when this returns. Nobody disables themselves or the
    /// last instance administrator. Disabling somebody disabled changes nothing.
    pub async fn disable(&self, actor: &Actor, id: &UserId) -> Result<UserDetail, Error> {
        let own = actor.user().is_some_and(|user| user.id == *id);
        self.change(actor, id, "user.disable", move |row, others| {
            if own {
                return Err(Error::conflict(None, "You cannot disable yourself. Ask another instance administrator."));
            }
            if row.instance_admin && row.active && !others {
                let text = "This is the last instance administrator. Make somebody else one first.";
                return Err(Error::conflict(None, text));
            }
            row.active = false;
            Ok(())
        })
        .await
    }

    /// Lets a disabled person in again; their keys work again, too.
    pub async fn enable(&self, actor: &Actor, id: &UserId) -> Result<UserDetail, Error> {
        self.change(actor, id, "user.enable", |row, _| {
            row.active = true;
            Ok(())
        })
        .await
    }

    /// Reads a person, lets `alter` change them (told whether there is another instance administrator), and writes them
    /// back with the audit event and all that follows from the change.
    async fn change<F>(&self, actor: &Actor, id: &UserId, action: &str, alter: F) -> Result<UserDetail, Error>
    where
        F: Fn(&mut UserRow, bool) -> Result<(), Error> + Send + Sync + 'static,
    {
        let core = &self.core;
        core.authorize(actor, Action::ManageUsers, &Object::Instance).await?;
        let event = Event::done(core.now(), actor, None, action, id.as_str());
        let input = Arc::new((id.clone(), event, alter));
        let (macs, now) = (Arc::clone(&core.macs), core.now());
        let (row, seq) = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (id, event, alter) = &*input;
                    let old = store::users::find(&mut conn, id).await?.ok_or_else(Error::not_found)?;
                    let mut row = old.clone();
                    alter(&mut row, true)?;
                    // The chain's row lock puts such changes in a row; only under it the last of a kind is known.
                    event.clone().change(Some(settings(&old)), Some(settings(&row))).append(&mut conn, &macs).await?;
                    let mut present = store::users::find(&mut conn, id).await?.ok_or_else(Error::not_found)?;
                    if settings(&present) != settings(&old) {
                        return Err(Error::Interrupted("somebody changed this person at the same moment".into()));
                    }
                    alter(&mut present, store::users::has_other_instance_admin(&mut conn, id).await?)?;
                    store::users::update(&mut conn, &row).await?;
                    shut_out(&mut conn, id, &old, &row).await?;
                    let detail = store::users::find_detail(&mut conn, id).await?.ok_or_else(Error::not_found)?;
                    Ok((detail, store::changes::append(&mut conn, &Change::User(id), now).await?))
                })
            })
            .await?;
        core.reach(seq).await?;
        row.detail()
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
