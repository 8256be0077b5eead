//! Who belongs to a workspace, and as what. Nobody hands out or takes away more than they are themselves.

use std::sync::Arc;

use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::key::Page;
use keyfold_domain::member::{Departure, MemberSummary};
use keyfold_domain::policy::{Action, Actor, Object, Principal};
use keyfold_domain::problem::Problem;
use keyfold_domain::time::{DAY_MS, Timestamp};
use keyfold_domain::user::PeopleFilter;
use keyfold_domain::workspace::Role;
use keyfold_engine_macros::compiled_here;
use serde_json::json;

use super::Core;
use super::audit::Event;
use super::pages::Asked;
use super::sessions::require_proof;
use crate::error::Error;
use crate::store;
use crate::store::changes::Change;
use crate::store::db::Conn;

/// Members as a use case.
#[derive(Clone)]
pub struct Members {
    pub(crate) core: Arc<Core>,
}

/// What a workspace's own people cannot do to it: leave it without an owner. Instance administrators and the operator can.
pub(crate) const fn reigns(actor: &Actor) -> bool {
    match &actor.principal {
        Principal::Operator => true,
        Principal::User(person) => person.instance_admin,
        Principal::Anonymous | Principal::Key(_) => false,
    }
}

/// May the actor turn a place of the role `from` into one of the role `to`? `None` is no place at all.
pub(crate) fn within_own_role(actor: &Actor, workspace: &WorkspaceId, from: Option<Role>, to: Option<Role>) -> Result<(), Error> {
    let own = actor.role_in(workspace);
    if own < to {
        return Err(Error::forbidden("You cannot give a role above your own."));
    }
    if own < from {
        return Err(Error::forbidden("You cannot change the place of somebody whose role is above yours."));
    }
    Ok(())
}

/// Who manages the workspace manages its keys: whoever makes somebody such shows that it is them.
pub(crate) fn prove_for_role(core: &Core, actor: &Actor, role: Role) -> Result<(), Error> {
    if role >= Role::Admin { require_proof(core, actor) } else { Ok(()) }
}

/// A place that is about to change.
struct Placing {
    actor: Actor,
    workspace: WorkspaceId,
    user: UserId,
    /// Must there be a place already?
    known: bool,
    to: Option<Role>,
    now: Timestamp,
    event: Event,
}

impl Placing {
    /// Checks what only holds at this moment, links the event and says what the person was.
    async fn begin(&self, conn: &mut Conn<'_>, macs: &crate::mac::Macs) -> Result<Option<Role>, Error> {
        let from = store::workspaces::find_role(conn, &self.workspace, &self.user).await?;
        let shown = |role: Option<Role>| role.map(|role| json!({ "role": role }));
        // First: the chain's row lock puts all changes of places in this workspace in a row, so what is read below holds.
        self.event.clone().change(shown(from), shown(self.to)).append(conn, macs).await?;
        let locked = store::workspaces::find_role(conn, &self.workspace, &self.user).await?;
        if locked != from {
            return Err(Error::Interrupted("somebody changed this place at the same moment".into()));
        }
        if self.known && from.is_none() {
            return Err(Error::not_found());
        }
        within_own_role(&self.actor, &self.workspace, from, self.to)?;
        let last_owner = from == Some(Role::Owner)
            && self.to != Some(Role::Owner)
            && !reigns(&self.actor)
            && !store::members::has_other_owner(conn, &self.workspace, &self.user).await?;
        if last_owner {
            return Err(Error::conflict(Some("role"), "A workspace keeps at least one owner. Make somebody else an owner first."));
        }
        store::invitations::delete_of_creator(conn, &self.workspace, &self.user, self.to).await?;
        Ok(from)
    }

    async fn set(&self, conn: &mut Conn<'_>, macs: &crate::mac::Macs, role: Role) -> Result<i64, Error> {
        self.begin(conn, macs).await?;
        if store::workspaces::find(conn, self.workspace.as_str()).await?.is_none() {
            return Err(Error::not_found());
        }
        store::workspaces::set_membership(conn, &self.workspace, &self.user, role, self.now).await?;
        store::left_keys::forget_owner(conn, &self.workspace, &self.user).await?;
        Ok(store::changes::append(conn, &Change::Membership(&self.workspace, &self.user), self.now).await?)
    }

    async fn end(&self, conn: &mut Conn<'_>, macs: &crate::mac::Macs) -> Result<(u64, i64), Error> {
        self.begin(conn, macs).await?;
        let waiting = store::left_keys::enqueue(conn, &self.workspace, &self.user, self.now).await?;
        store::members::delete(conn, &self.workspace, &self.user).await?;
        let seq = store::changes::append(conn, &Change::Membership(&self.workspace, &self.user), self.now).await?;
        Ok((waiting, seq))
    }
}

#[compiled_here]
impl Members {
    /// One page of the workspace's members, by username.
    pub async fn list(&self, actor: &Actor, workspace: &WorkspaceId, filter: &PeopleFilter) -> Result<Page<MemberSummary>, Error> {
        self.core.authorize(actor, Action::ReadMembers, &Object::Workspace(workspace)).await?;
        let asked = Asked::of(filter)?;
        let mut reader = self.core.db.reader().await?;
        let rows = store::members::page(&mut reader.conn(), workspace, &asked.pattern, &asked.after, asked.rows()).await?;
        asked.page(rows, store::members::MemberRow::summary, |member| member.user.username.clone())
    }

    /// What it does when a member goes, told before it is done. For those who may remove them, and for themselves.
    pub async fn departure(&self, actor: &Actor, workspace: &WorkspaceId, user: &UserId) -> Result<Departure, Error> {
        self.core.authorize(actor, parting(actor, user), &Object::Workspace(workspace)).await?;
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        let member = store::members::find(&mut conn, workspace, user).await?.ok_or_else(Error::not_found)?.summary()?;
        let since = self.core.now().plus_ms(-DAY_MS);
        Ok(Departure { member, used_lately: store::members::keys_used_since(&mut conn, workspace, user, since).await? })
    }

    /// Puts a person into a workspace, or gives a member another role. Somebody who comes back gets their keys back: those
    /// that nobody gave away or deleted work again. Making an administrator or owner needs a fresh password.
    ///
    /// Administrators of the instance add anybody; a workspace's own only people with whom they share a workspace, or whose keys
    /// they see there because those people left it. Everybody else is refused to them in the words for a user that there is not, so that nobody finds out by trying who
    /// has an account here. They can be invited by a link.
    pub async fn add(&self, actor: &Actor, workspace: &WorkspaceId, user: &UserId, role: Role) -> Result<(), Error> {
        self.core.authorize(actor, Action::AddMember, &Object::Workspace(workspace)).await?;
        within_own_role(actor, workspace, None, Some(role))?;
        prove_for_role(&self.core, actor, role)?;
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        if store::workspaces::find(&mut conn, workspace.as_str()).await?.is_none() {
            return Err(Error::not_found());
        }
        if store::users::find(&mut conn, user).await?.is_none() || !knows(&mut conn, actor, workspace, user).await? {
            return Err(nobody(actor));
        }
        drop(reader);
        self.place(actor, workspace, user, (false, role), "member.add").await
    }

    /// Whose username that is, for whoever may let people in; see [`Self::add`] for whom they find.
    pub async fn find_user(&self, actor: &Actor, workspace: &WorkspaceId, username: &str) -> Result<UserId, Error> {
        self.core.authorize(actor, Action::AddMember, &Object::Workspace(workspace)).await?;
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        let row = store::users::find_by_username(&mut conn, &username.trim().to_ascii_lowercase()).await?;
        let Some(row) = row else { return Err(nobody(actor)) };
        let user = row.reference()?.id;
        if knows(&mut conn, actor, workspace, &user).await? { Ok(user) } else { Err(nobody(actor)) }
    }

    /// Gives a member another role. Making an administrator or owner needs a fresh password.
    pub async fn update(&self, actor: &Actor, workspace: &WorkspaceId, user: &UserId, role: Role) -> Result<MemberSummary, Error> {
        self.core.authorize(actor, Action::ManageMembers, &Object::Workspace(workspace)).await?;
        let mut reader = self.core.db.reader().await?;
        if store::workspaces::find_role(&mut reader.conn(), workspace, user).await?.is_none() {
            return Err(Error::not_found());
        }
        drop(reader);
        within_own_role(actor, workspace, None, Some(role))?;
        prove_for_role(&self.core, actor, role)?;
        self.place(actor, workspace, user, (true, role), "member.update").await?;
        let mut reader = self.core.db.reader().await?;
        store::members::find(&mut reader.conn(), workspace, user).await?.ok_or_else(Error::not_found)?.summary()
    }

    async fn place(
        &self,
        actor: &Actor,
        workspace: &WorkspaceId,
        user: &UserId,
        (known, role): (bool, Role),
        action: &str,
    ) -> Result<(), Error> {
        let placing = Arc::new(self.placing(actor, workspace, user, (known, Some(role)), action));
        let macs = Arc::clone(&self.core.macs);
        let seq = self
            .core
            .db
            .write(move |mut conn| {
                let (placing, macs) = (Arc::clone(&placing), Arc::clone(&macs));
                Box::pin(async move { placing.set(&mut conn, &macs, role).await })
            })
            .await?;
        self.core.reach(seq).await
    }

    /// Ends a member's place, or one's own. Their keys stop at once and wait for a decision; says how many those are.
    pub async fn remove(&self, actor: &Actor, workspace: &WorkspaceId, user: &UserId) -> Result<u64, Error> {
        let action = parting(actor, user);
        self.core.authorize(actor, action, &Object::Workspace(workspace)).await?;
        let name = if action == Action::LeaveWorkspace { "member.leave" } else { "member.remove" };
        let placing = Arc::new(self.placing(actor, workspace, user, (true, None), name));
        let macs = Arc::clone(&self.core.macs);
        let (waiting, seq) = self
            .core
            .db
            .write(move |mut conn| {
                let (placing, macs) = (Arc::clone(&placing), Arc::clone(&macs));
                Box::pin(async move { placing.end(&mut conn, &macs).await })
            })
            .await?;
        self.core.reach(seq).await?;
        Ok(waiting)
    }

    fn placing(&self, actor: &Actor, workspace: &WorkspaceId, user: &UserId, (known, to): (bool, Option<Role>), action: &str) -> Placing {
        let now = self.core.now();
        let event = Event::done(now, actor, Some(workspace.as_str()), action, user.as_str());
        Placing { actor: actor.clone(), workspace: workspace.clone(), user: user.clone(), known, to, now, event }
    }
}

/// May the actor know that this person has an account here?
async fn knows(conn: &mut Conn<'_>, actor: &Actor, workspace: &WorkspaceId, user: &UserId) -> Result<bool, Error> {
    match actor.user() {
        _ if reigns(actor) => Ok(true),
        Some(own) => Ok(store::members::is_known_to(conn, user, &own.id, workspace).await?),
        None => Ok(false),
    }
}

/// The refusal for a user that there is not, and for one that the actor may not know of.
fn nobody(actor: &Actor) -> Error {
    let text = if reigns(actor) {
        "There is no such user."
    } else {
        "There is nobody of that name in your workspaces. Invite them by a link instead."
    };
    Problem::invalid("user", text).into()
}

/// Going oneself needs less than making somebody else go.
fn parting(actor: &Actor, user: &UserId) -> Action {
    let own = matches!(&actor.principal, Principal::User(person) if person.user.id == *user);
    if own { Action::LeaveWorkspace } else { Action::ManageMembers }
}
