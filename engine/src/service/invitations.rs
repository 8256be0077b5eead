//! Invitations to a workspace by a link that works once, for a week. Of its token only a keyed hash is stored.

use std::sync::Arc;

use keyfold_domain::ids::{InvitationId, WorkspaceId};
use keyfold_domain::member::{InvitationOffer, InvitationSummary, NewInvitation};
use keyfold_domain::name;
use keyfold_domain::policy::{Action, Actor, Object, Principal, RequestInfo, SignedIn};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::time::{DAY_MS, Timestamp};
use keyfold_domain::workspace::Role;
use keyfold_engine_macros::compiled_here;
use serde_json::json;

use super::audit::Event;
use super::members::{prove_for_role, within_own_role};
use super::sessions::{IssuedSession, Opening, Stored};
use super::users::NewUser;
use super::{Core, users};
use crate::error::Error;
use crate::limits::Network;
use crate::mac::{MacBytes, Macs};
use crate::secrets::{InvitationToken, Password};
use crate::store;
use crate::store::changes::Change;
use crate::store::db::Conn;
use crate::store::invitations::{InvitationInsert, InvitationRow};

/// How long an invitation is good, in milliseconds: 7 days.
const GOOD_MS: i64 = 7 * DAY_MS;
/// The most open invitations of one workspace.
const MOST: i64 = 200;

/// An invitation with the token of its link, for this one time.
#[derive(Debug)]
pub struct IssuedInvitation {
    /// The invitation.
    pub invitation: InvitationSummary,
    /// The token that its link carries.
    pub token: InvitationToken,
}

/// What somebody new fills in to accept an invitation.
#[derive(Debug)]
pub struct Joining {
    /// The token from the link.
    pub token: String,
    /// Their username.
    pub username: String,
    /// Where to reach them.
    pub email: String,
    /// As they want to be called; empty for the username.
    pub display_name: String,
    /// Their password.
    pub password: Password,
}

/// Invitations as a use case.
#[derive(Clone)]
pub struct Invitations {
    pub(crate) core: Arc<Core>,
}

/// An accepted invitation about to be written.
struct Acceptance {
    mac: MacBytes,
    id: InvitationId,
    workspace: WorkspaceId,
    role: Role,
    now: Timestamp,
}

impl Acceptance {
    fn of(row: &InvitationRow, mac: MacBytes, now: Timestamp) -> Result<Self, Error> {
        Ok(Self { mac, id: row.id()?, workspace: row.workspace()?, role: row.role()?, now })
    }

    fn event(&self, actor: &Actor, user: &str) -> Event {
        Event::done(self.now, actor, Some(self.workspace.as_str()), "invitation.accept", user)
            .change(None, Some(json!({ "invitation": self.id, "role": self.role })))
    }

    /// Uses the invitation up. Whoever comes second finds it gone.
    async fn consume(&self, conn: &mut Conn<'_>) -> Result<(), Error> {
        if store::invitations::consume(conn, &self.mac, self.now).await? { Ok(()) } else { Err(not_good()) }
    }
}

#[compiled_here]
impl Invitations {
    /// Makes an invitation and returns its token, for this one time. Inviting an administrator or owner needs a fresh
    /// password.
    pub async fn create(&self, actor: &Actor, workspace: &WorkspaceId, new: NewInvitation) -> Result<IssuedInvitation, Error> {
        let core = &self.core;
        core.authorize(actor, Action::AddMember, &Object::Workspace(workspace)).await?;
        let label = name::optional_name("label", &new.label)?;
        within_own_role(actor, workspace, None, Some(new.role))?;
        prove_for_role(core, actor, new.role)?;
        let token = InvitationToken::generate(core.entropy.as_ref());
        let now = core.now();
        let insert = InvitationInsert {
            id: InvitationId::generate(now, &mut core.rng()),
            mac: core.macs.invitation(token.expose()),
            role: new.role,
            label,
            creator: actor.user().map(|user| user.id.clone()),
            created_by: actor.user().map_or_else(|| "the operator".to_owned(), |user| user.display_name.clone()),
            now,
            expires_at: now.plus_ms(GOOD_MS),
        };
        let invitation = insert.summary();
        let event = Event::done(now, actor, Some(workspace.as_str()), "invitation.create", insert.id.as_str())
            .change(None, Some(json!({ "role": insert.role, "label": insert.label, "expires_at": insert.expires_at })));
        let input = Arc::new((workspace.clone(), insert, event));
        let macs = Arc::clone(&core.macs);
        core.db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, insert, event) = &*input;
                    if store::workspaces::find(&mut conn, workspace.as_str()).await?.is_none() {
                        return Err(Error::not_found());
                    }
                    event.append(&mut conn, &macs).await?;
                    let open = store::invitations::list(&mut conn, workspace, insert.now, MOST).await?;
                    if i64::try_from(open.len()).unwrap_or(i64::MAX) >= MOST {
                        let text = format!("This workspace has {MOST} open invitations, as many as allowed. Take some back first.");
                        return Err(Error::conflict(None, text));
                    }
                    Ok(store::invitations::insert(&mut conn, workspace, insert).await?)
                })
            })
            .await?;
        Ok(IssuedInvitation { invitation, token })
    }

    /// The workspace's open invitations, the newest first; at most 200. Their links cannot be shown again.
    pub async fn list(&self, actor: &Actor, workspace: &WorkspaceId) -> Result<Vec<InvitationSummary>, Error> {
        self.core.authorize(actor, Action::ReadMembers, &Object::Workspace(workspace)).await?;
        let mut reader = self.core.db.reader().await?;
        let rows = store::invitations::list(&mut reader.conn(), workspace, self.core.now(), MOST).await?;
        rows.into_iter().map(InvitationRow::summary).collect()
    }

    /// Takes an invitation back: its link is not good any more. An invitation to a role above one's own is not one's to take.
    pub async fn delete(&self, actor: &Actor, workspace: &WorkspaceId, id: &InvitationId) -> Result<(), Error> {
        let core = &self.core;
        core.authorize(actor, Action::ManageMembers, &Object::Workspace(workspace)).await?;
        let mut reader = core.db.reader().await?;
        let found = store::invitations::find(&mut reader.conn(), workspace, id).await?.ok_or_else(Error::not_found)?;
        drop(reader);
        let role = found.role()?;
        within_own_role(actor, workspace, Some(role), None)?;
        let event = Event::done(core.now(), actor, Some(workspace.as_str()), "invitation.delete", id.as_str())
            .change(Some(json!({ "role": role })), None);
        let input = Arc::new((workspace.clone(), id.clone(), event));
        let macs = Arc::clone(&core.macs);
        core.db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (workspace, id, event) = &*input;
                    if !store::invitations::delete(&mut conn, workspace, id).await? {
                        return Err(Error::not_found());
                    }
                    event.append(&mut conn, &macs).await
                })
            })
            .await
    }

    /// What the link with that token offers. The same refusal for a used, an expired, a withdrawn and an invented one.
    pub async fn look(&self, request: &RequestInfo, token: &str) -> Result<InvitationOffer, Error> {
        self.core.limits.try_network(Network::of(request.ip))?;
        self.find(&self.core.macs.invitation(token.trim())).await?.offer()
    }

    async fn find(&self, mac: &MacBytes) -> Result<InvitationRow, Error> {
        let mut reader = self.core.db.reader().await?;
        store::invitations::find_good(&mut reader.conn(), mac, self.core.now()).await?.ok_or_else(not_good)
    }

    /// Lets somebody who is signed in into the workspace and says which it is. The link is used up, unless they are a member
    /// already.
    pub async fn accept(&self, actor: &Actor, token: &str) -> Result<InvitationOffer, Error> {
        let core = &self.core;
        let Principal::User(person) = &actor.principal else { return Err(Error::unauthenticated("Sign in first.")) };
        core.limits.try_network(Network::of(actor.request.ip))?;
        let mac = core.macs.invitation(token.trim());
        let row = self.find(&mac).await?;
        let acceptance = Acceptance::of(&row, mac, core.now())?;
        let offer = row.offer()?;
        let event = acceptance.event(actor, person.user.id.as_str());
        let input = Arc::new((acceptance, person.user.id.clone(), event));
        let macs = Arc::clone(&core.macs);
        let seq = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (acceptance, user, event) = &*input;
                    event.append(&mut conn, &macs).await?;
                    acceptance.consume(&mut conn).await?;
                    let (workspace, now) = (&acceptance.workspace, acceptance.now);
                    if store::workspaces::find_role(&mut conn, workspace, user).await?.is_some() {
                        return Err(Error::conflict(
                            None,
                            "You are a member of this workspace already. The link stays good for somebody else.",
                        ));
                    }
                    store::workspaces::set_membership(&mut conn, workspace, user, acceptance.role, now).await?;
                    store::left_keys::forget_owner(&mut conn, workspace, user).await?;
                    Ok(store::changes::append(&mut conn, &Change::Membership(workspace, user), now).await?)
                })
            })
            .await?;
        core.reach(seq).await?;
        Ok(offer)
    }

    /// Makes an account for somebody new, lets them into the workspace and signs them in, all or nothing. Of many who try
    /// at once with one link one succeeds.
    pub async fn join(&self, request: &RequestInfo, form: Joining) -> Result<(IssuedSession, InvitationOffer), Error> {
        let core = &self.core;
        core.limits.try_network(Network::of(request.ip))?;
        let mac = core.macs.invitation(form.token.trim());
        let row = self.find(&mac).await?;
        let acceptance = Acceptance::of(&row, mac, core.now())?;
        let offer = row.offer()?;
        let new = NewUser {
            username: form.username,
            email: form.email,
            display_name: form.display_name,
            password: form.password,
            instance_admin: false,
        };
        let user = new.into_row(core).await?;
        let opening = Opening::new(core, user.reference()?.id, request);
        let person = SignedIn {
            user: user.reference()?,
            instance_admin: false,
            session: opening.id().clone(),
            proven_at: acceptance.now,
            memberships: Vec::new(),
        };
        let actor = Actor { principal: Principal::User(person), request: request.clone() };
        let created = Event::done(acceptance.now, &actor, None, "user.create", &user.id)
            .change(None, Some(json!({ "username": user.username, "instance_admin": false })));
        let accepted = acceptance.event(&actor, &user.id);
        let input = Arc::new(Arrival { acceptance, user, session: opening.stored(), events: [accepted, created] });
        let macs = Arc::clone(&core.macs);
        core.db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move { input.write(&mut conn, &macs).await })
            })
            .await?;
        Ok((opening.issued(core, request).await?, offer))
    }
}

/// Somebody new with everything that comes with them.
struct Arrival {
    acceptance: Acceptance,
    user: store::users::UserRow,
    session: Stored,
    events: [Event; 2],
}

impl Arrival {
    async fn write(&self, conn: &mut Conn<'_>, macs: &Macs) -> Result<(), Error> {
        let [accepted, created] = &self.events;
        accepted.append(conn, macs).await?;
        self.acceptance.consume(conn).await?;
        users::insert(conn, &self.user).await?;
        let id = self.user.reference()?.id;
        let Acceptance { workspace, role, now, .. } = &self.acceptance;
        store::workspaces::set_membership(conn, workspace, &id, *role, *now).await?;
        self.session.insert(conn).await?;
        created.append(conn, macs).await
    }
}

/// The same words for a used, an expired, a withdrawn and an invented link.
fn not_good() -> Error {
    let text = "This invitation is not good any more: it was used, taken back, or is older than a week. Ask for a new link.";
    Error::Refused(Problem { field: Some("token".into()), ..Problem::new(ProblemCode::Forbidden, text) })
}
