//! Signing in and staying signed in.
//!
//! A session's cookie holds 256 random bits, of which only a keyed hash is stored. It ends after 8 idle hours and 24 hours
//! in all. Unknown user, wrong password and disabled user get the same answer after the same work.

use std::sync::Arc;

use keyfold_domain::ids::{SessionId, UserId, WorkspaceId};
use keyfold_domain::policy::{Actor, Principal, RequestInfo, SignedIn};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::session::SessionSummary;
use keyfold_domain::time::Timestamp;
use keyfold_engine_macros::compiled_here;
use serde_json::json;

use super::Core;
use super::audit::{self, Event};
use crate::error::Error;
use crate::limits::Network;
use crate::mac::MacBytes;
use crate::secrets::{Password, SessionToken};
use crate::store;
use crate::store::db::Conn;
use crate::store::users::{UserRow, parse_id};

/// Ends after so much time unused, in milliseconds: 8 hours.
const IDLE_MS: i64 = 8 * 3_600_000;
/// Ends after so much time in all, in milliseconds: 24 hours.
const ABSOLUTE_MS: i64 = 24 * 3_600_000;
/// How long a password counts as just given, in milliseconds: 10 minutes.
const PROOF_MS: i64 = 600_000;
/// Sessions one person can have; the oldest end first.
const MOST: i64 = 20;
/// How exactly the last use is kept, in milliseconds.
const TOUCH_MS: i64 = 60_000;

/// What somebody types to sign in.
#[derive(Debug)]
pub struct SignIn {
    /// The username.
    pub login: String,
    /// The password.
    pub password: Password,
}

/// A session just begun.
#[derive(Debug)]
pub struct IssuedSession {
    /// What goes into the cookie.
    pub token: SessionToken,
    /// When the session ends at the latest.
    pub expires_at: Timestamp,
    /// Who is signed in.
    pub actor: Actor,
}

/// A session about to begin.
pub(crate) struct Opening {
    token: SessionToken,
    stored: Stored,
}

/// What is kept of it.
#[derive(Clone)]
pub(crate) struct Stored {
    id: SessionId,
    mac: MacBytes,
    user: UserId,
    now: Timestamp,
    expires_at: Timestamp,
    ip: Option<String>,
    client: Option<String>,
    /// The only workspace it opens; see [`Sessions::sign_in_to`].
    workspace: Option<WorkspaceId>,
}

impl Opening {
    pub(crate) fn new(core: &Core, user: UserId, request: &RequestInfo) -> Self {
        let token = SessionToken::generate(core.entropy.as_ref());
        let now = core.now();
        let stored = Stored {
            id: SessionId::generate(now, &mut core.rng()),
            mac: core.macs.session(token.expose()),
            user,
            now,
            expires_at: now.plus_ms(ABSOLUTE_MS),
            ip: request.ip.map(|ip| ip.to_canonical().to_string()),
            client: request.client.clone(),
            workspace: None,
        };
        Self { token, stored }
    }

    /// The same session, but one that opens this workspace alone, and none of our own pages.
    fn bound_to(mut self, workspace: Option<WorkspaceId>) -> Self {
        self.stored.workspace = workspace;
        self
    }

    pub(crate) fn id(&self) -> &SessionId {
        &self.stored.id
    }

    pub(crate) fn stored(&self) -> Stored {
        self.stored.clone()
    }

    /// The session as the person gets it, once it is committed.
    pub(crate) async fn issued(self, core: &Core, request: &RequestInfo) -> Result<IssuedSession, Error> {
        let mut reader = core.db.reader().await?;
        let mut conn = reader.conn();
        let user = store::users::find(&mut conn, &self.stored.user).await?.ok_or_else(Error::not_found)?;
        let actor = actor(&mut conn, &user, self.stored.id, self.stored.now, request).await?;
        Ok(IssuedSession { token: self.token, expires_at: self.stored.expires_at, actor })
    }
}

impl Stored {
    pub(crate) async fn insert(&self, conn: &mut Conn<'_>) -> Result<(), Error> {
        let session = store::sessions::NewSession {
            id: &self.id,
            mac: &self.mac,
            user: &self.user,
            now: self.now,
            expires_at: self.expires_at,
            ip: self.ip.clone(),
            client: self.client.clone(),
            workspace: self.workspace.as_ref(),
        };
        store::sessions::insert(conn, &session).await?;
        Ok(store::sessions::prune(conn, &self.user, self.now, self.now.plus_ms(-IDLE_MS), MOST).await?)
    }
}

async fn actor(
    conn: &mut Conn<'_>,
    user: &UserRow,
    session: SessionId,
    proven_at: Timestamp,
    request: &RequestInfo,
) -> Result<Actor, Error> {
    let reference = user.reference()?;
    let memberships = store::workspaces::memberships(conn, &reference.id).await?;
    let signed_in = SignedIn { user: reference, instance_admin: user.instance_admin, session, proven_at, memberships };
    Ok(Actor { principal: Principal::User(signed_in), request: request.clone() })
}

/// How a session begins.
struct Beginning {
    /// What the audit log calls it.
    action: &'static str,
    /// The session whose place it takes.
    replaces: Option<SessionId>,
    /// A new hash of the password just given.
    rehashed: Option<String>,
    /// The only workspace it opens.
    workspace: Option<WorkspaceId>,
}

impl Beginning {
    const fn of(action: &'static str) -> Self {
        Self { action, replaces: None, rehashed: None, workspace: None }
    }
}

/// Sessions as a use case.
#[derive(Clone)]
pub struct Sessions {
    pub(crate) core: Arc<Core>,
}

#[compiled_here]
impl Sessions {
    /// Begins a session for whoever knows the password. The same refusal for an unknown user, a wrong password and a
    /// disabled user; too many tries are refused with a time to wait.
    pub async fn sign_in(&self, request: &RequestInfo, form: SignIn) -> Result<IssuedSession, Error> {
        let (user, rehashed) = self.prove_sign_in(request, form).await?;
        self.begin(request, &user, Beginning { rehashed, ..Beginning::of("session.sign_in") }).await
    }

    /// Begins a session for another product's page, whose person may do there what a member of that one workspace may: it
    /// opens no page of ours and nothing of the instance. Guarded as [`Self::sign_in`] is. Without a workspace it is the
    /// only one that the person belongs to.
    pub async fn sign_in_to(&self, request: &RequestInfo, form: SignIn, workspace: Option<&str>) -> Result<IssuedSession, Error> {
        let (user, rehashed) = self.prove_sign_in(request, form).await?;
        let mut reader = self.core.db.reader().await?;
        let mut conn = reader.conn();
        let places = store::workspaces::memberships(&mut conn, &parse_id(&user.id)?).await?;
        let named = match workspace {
            Some(name) => store::workspaces::find(&mut conn, name).await?.map(|row| row.summary(None)).transpose()?,
            None => None,
        };
        drop(reader);
        let refused = |text: &str| Err(Problem::invalid("workspace", text).into());
        let place = match (workspace, named, places.as_slice()) {
            (Some(_), Some(named), places) if places.iter().any(|place| place.workspace_id == named.id) => named.id,
            (Some(_), _, _) => return refused("You do not belong to a workspace of this name."),
            (None, _, []) => return refused("You do not belong to any workspace."),
            (None, _, [only]) => only.workspace_id.clone(),
            (None, _, _) => return refused("You belong to several workspaces. Name one."),
        };
        let beginning = Beginning { rehashed, workspace: Some(place), ..Beginning::of("session.sign_in_elsewhere") };
        self.begin(request, &user, beginning).await
    }

    /// The user who knows the password, and its hash in today's form if the stored one is older.
    async fn prove_sign_in(&self, request: &RequestInfo, form: SignIn) -> Result<(UserRow, Option<String>), Error> {
        let core = &self.core;
        let network = Network::of(request.ip);
        let login = form.login.trim().to_ascii_lowercase();
        core.limits.try_network(network)?;
        core.limits.try_account(&login, network)?;
        let mut reader = core.db.reader().await?;
        let user = store::users::find_by_username(&mut reader.conn(), &login).await?;
        drop(reader);
        let candidate = user.as_ref().filter(|user| user.active);
        let proven = core.hasher.verify(&form.password, candidate.map(|user| user.password_hash.as_str())).await?;
        if !proven {
            core.limits.failed(&login, network);
            audit_failure(core, request, user.as_ref()).await?;
        }
        let Some(user) = user.filter(|_| proven) else { return Err(refused()) };
        core.limits.succeeded(&login, network);
        let rehashed = if core.hasher.is_current(&user.password_hash) {
            None
        } else {
            Some(core.hasher.hash(&form.password, core.entropy.as_ref()).await?)
        };
        Ok((user, rehashed))
    }

    /// Would an act that needs a fresh password be done without asking for it?
    pub fn is_proven(&self, actor: &Actor) -> bool {
        require_proof(&self.core, actor).is_ok()
    }

    /// Asks for the password again within a session: a new session takes its place, with the proof fresh.
    pub async fn step_up(&self, actor: &Actor, password: Password) -> Result<IssuedSession, Error> {
        let core = &self.core;
        let person = signed_in(actor)?;
        let user = prove(core, actor, person, &password, "password").await?;
        let beginning = Beginning { replaces: Some(person.session.clone()), ..Beginning::of("session.step_up") };
        self.begin(&actor.request, &user, beginning).await
    }

    async fn begin(&self, request: &RequestInfo, user: &UserRow, beginning: Beginning) -> Result<IssuedSession, Error> {
        let core = &self.core;
        let Beginning { action, replaces, rehashed, workspace } = beginning;
        let opening = Opening::new(core, parse_id(&user.id)?, request).bound_to(workspace);
        let by = SignedIn {
            user: user.reference()?,
            instance_admin: user.instance_admin,
            session: opening.stored.id.clone(),
            proven_at: opening.stored.now,
            memberships: Vec::new(),
        };
        let by = Actor { principal: Principal::User(by), request: request.clone() };
        let event = Event::done(core.now(), &by, None, action, opening.stored.id.as_str());
        let input = Arc::new((opening.stored(), replaces, rehashed, event, user.id.clone()));
        let macs = Arc::clone(&core.macs);
        core.db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (stored, replaces, rehashed, event, user) = &*input;
                    event.append(&mut conn, &macs).await?;
                    if let Some(old) = replaces {
                        store::sessions::delete(&mut conn, old).await?;
                    }
                    if let Some(hash) = rehashed {
                        store::users::update_password_hash(&mut conn, user, hash).await?;
                    }
                    stored.insert(&mut conn).await
                })
            })
            .await?;
        opening.issued(core, request).await
    }

    /// Who has that cookie; `None` if the session ended, was never there, or its person was disabled.
    pub async fn authenticate(&self, cookie: &str, request: &RequestInfo) -> Result<Option<Actor>, Error> {
        Ok(self.find(cookie, request).await?.filter(|(_, bound)| bound.is_none()).map(|(actor, _)| actor))
    }

    /// Who has that token of another product's page, as what they are in its workspace and nowhere else; `None` as for
    /// [`Self::authenticate`], and if they no longer belong there.
    pub async fn authenticate_bound(&self, token: &str, request: &RequestInfo) -> Result<Option<(Actor, WorkspaceId)>, Error> {
        let Some((mut actor, Some(workspace))) = self.find(token, request).await? else { return Ok(None) };
        if let Principal::User(person) = &mut actor.principal {
            person.instance_admin = false;
            person.memberships.retain(|place| place.workspace_id == workspace);
        }
        Ok(actor.role_in(&workspace).is_some().then_some((actor, workspace)))
    }

    /// Who has that session, and what workspace it is bound to.
    async fn find(&self, cookie: &str, request: &RequestInfo) -> Result<Option<(Actor, Option<WorkspaceId>)>, Error> {
        if cookie.len() > 128 {
            return Ok(None);
        }
        let core = &self.core;
        let now = core.now();
        let mac = core.macs.session(cookie);
        let mut reader = core.db.reader().await?;
        let mut conn = reader.conn();
        let Some(row) = store::sessions::find_live(&mut conn, &mac, now, now.plus_ms(-IDLE_MS)).await? else { return Ok(None) };
        let user = store::users::find(&mut conn, &parse_id(&row.user_id)?).await?;
        let Some(user) = user.filter(|user| user.active) else { return Ok(None) };
        let session: SessionId = parse_id(&row.id)?;
        let found = actor(&mut conn, &user, session.clone(), Timestamp::from_millis(row.proven_at), request).await?;
        let bound = row.workspace_id.as_deref().map(parse_id).transpose()?;
        drop(reader);
        if now.as_millis() - row.last_seen_at >= TOUCH_MS {
            let touched = core
                .db
                .write(move |mut conn| {
                    let session = session.clone();
                    Box::pin(async move { Ok(store::sessions::touch(&mut conn, &session, now).await?) })
                })
                .await;
            if let Err(error) = touched {
                // Reading goes on while the store cannot be written to.
                tracing::warn!(error = %error, "the last use of a session could not be kept");
            }
        }
        Ok(Some((found, bound)))
    }

    /// The actor's own sessions that have not ended, the last used first.
    pub async fn list(&self, actor: &Actor) -> Result<Vec<SessionSummary>, Error> {
        let person = signed_in(actor)?;
        let now = self.core.now();
        let mut reader = self.core.db.reader().await?;
        let rows = store::sessions::list(&mut reader.conn(), &person.user.id, now, now.plus_ms(-IDLE_MS), MOST).await?;
        rows.into_iter().map(|row| row.summary(&person.session)).collect()
    }

    /// Ends one of the actor's own sessions.
    pub async fn end(&self, actor: &Actor, session: &SessionId) -> Result<(), Error> {
        let person = signed_in(actor)?;
        let event = Event::done(self.core.now(), actor, None, "session.end", session.as_str());
        let input = Arc::new((person.user.id.clone(), session.clone(), event));
        let macs = Arc::clone(&self.core.macs);
        self.core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (user, session, event) = &*input;
                    if !store::sessions::delete_of(&mut conn, user, session).await? {
                        return Err(Error::not_found());
                    }
                    event.append(&mut conn, &macs).await
                })
            })
            .await
    }

    /// Ends every session of the actor but the one they are in; says how many.
    pub async fn end_others(&self, actor: &Actor) -> Result<u64, Error> {
        let person = signed_in(actor)?;
        let event = Event::done(self.core.now(), actor, None, "session.end_others", person.user.id.as_str());
        let input = Arc::new((person.user.id.clone(), person.session.clone(), event));
        let macs = Arc::clone(&self.core.macs);
        self.core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (user, session, event) = &*input;
                    let ended = store::sessions::delete_others(&mut conn, user, Some(session)).await?;
                    event.clone().change(None, Some(json!({ "ended": ended }))).append(&mut conn, &macs).await?;
                    Ok(ended)
                })
            })
            .await
    }

    /// Ends the actor's session; the cookie is worthless from now on.
    pub async fn sign_out(&self, actor: &Actor) -> Result<(), Error> {
        let Principal::User(person) = &actor.principal else { return Ok(()) };
        let event = Event::done(self.core.now(), actor, None, "session.sign_out", person.session.as_str());
        let input = Arc::new((person.session.clone(), event));
        let macs = Arc::clone(&self.core.macs);
        self.core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    if store::sessions::delete(&mut conn, &input.0).await? {
                        input.1.append(&mut conn, &macs).await?;
                    }
                    Ok(())
                })
            })
            .await
    }
}

/// The person in a session.
pub(crate) fn signed_in(actor: &Actor) -> Result<&SignedIn, Error> {
    match &actor.principal {
        Principal::User(person) => Ok(person),
        _ => Err(Error::unauthenticated("Sign in first.")),
    }
}

/// The person's own row, if that is their password; tries are limited as those to sign in are.
pub(crate) async fn prove(core: &Core, actor: &Actor, person: &SignedIn, password: &Password, field: &str) -> Result<UserRow, Error> {
    let network = Network::of(actor.request.ip);
    core.limits.try_network(network)?;
    core.limits.try_account(&person.user.username, network)?;
    let mut reader = core.db.reader().await?;
    let user = store::users::find(&mut reader.conn(), &person.user.id).await?;
    drop(reader);
    let candidate = user.as_ref().filter(|user| user.active);
    let proven = core.hasher.verify(password, candidate.map(|user| user.password_hash.as_str())).await?;
    let Some(user) = user.filter(|_| proven) else {
        core.limits.failed(&person.user.username, network);
        let problem = Problem::new(ProblemCode::Forbidden, "This is not your password. Try again.");
        return Err(Error::Refused(Problem { field: Some(field.to_owned()), ..problem }));
    };
    core.limits.succeeded(&person.user.username, network);
    Ok(user)
}

/// Is the password fresh enough for a dangerous act? The operator and keys prove themselves otherwise.
pub(crate) fn require_proof(core: &Core, actor: &Actor) -> Result<(), Error> {
    match &actor.principal {
        Principal::User(person) if core.now().millis_since(person.proven_at) >= PROOF_MS => {
            let text = "Enter your password again to go on.";
            Err(Error::Refused(Problem::new(ProblemCode::StepUpRequired, text)))
        }
        _ => Ok(()),
    }
}

fn refused() -> Error {
    Error::unauthenticated("Username or password is not right.")
}

/// Puts a failed sign-in into the audit log. What was typed as username is not kept: it may be a password.
async fn audit_failure(core: &Core, request: &RequestInfo, known: Option<&UserRow>) -> Result<(), Error> {
    let object = known.map_or("", |user| user.id.as_str());
    let event = Event::done(core.now(), &Actor::anonymous(request.clone()), None, "session.sign_in", object).failed();
    audit::record(core, event).await
}
