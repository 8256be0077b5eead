//! Links to choose a password, made by an administrator or the operator: they work once, for a day. Whoever makes one never
//! learns the password. Of its token only a keyed hash is stored.

use std::sync::Arc;

use keyfold_domain::ids::UserId;
use keyfold_domain::policy::{Action, Actor, Object, RequestInfo};
use keyfold_domain::problem::{Problem, ProblemCode};
use keyfold_domain::time::{DAY_MS, Timestamp};
use keyfold_domain::user::UserRef;
use keyfold_engine_macros::compiled_here;

use super::Core;
use super::audit::Event;
use super::sessions::require_proof;
use crate::error::Error;
use crate::limits::Network;
use crate::mac::MacBytes;
use crate::password;
use crate::secrets::{Password, PasswordLinkToken};
use crate::store;
use crate::store::users::UserRow;

/// A link to choose a password, for this one time.
#[derive(Debug)]
pub struct IssuedPasswordLink {
    /// The token that the link carries.
    pub token: PasswordLinkToken,
    /// From when on it is not good any more.
    pub expires_at: Timestamp,
}

/// A link about to be kept.
pub(crate) struct PasswordLink {
    token: PasswordLinkToken,
    pub(crate) mac: MacBytes,
    pub(crate) expires_at: Timestamp,
}

impl PasswordLink {
    pub(crate) fn new(core: &Core) -> Self {
        let token = PasswordLinkToken::generate(core.entropy.as_ref());
        Self { mac: core.macs.password_link(token.expose()), expires_at: core.now().plus_ms(DAY_MS), token }
    }

    pub(crate) fn issued(self) -> IssuedPasswordLink {
        IssuedPasswordLink { token: self.token, expires_at: self.expires_at }
    }
}

/// Links to choose a password as a use case.
#[derive(Clone)]
pub struct PasswordLinks {
    pub(crate) core: Arc<Core>,
}

#[compiled_here]
impl PasswordLinks {
    /// Makes a link for that person; one made before is not good any more. Needs a fresh password, for who has such a link
    /// can sign in as that person.
    pub async fn create(&self, actor: &Actor, user: &UserId) -> Result<IssuedPasswordLink, Error> {
        let core = &self.core;
        core.authorize(actor, Action::ManageUsers, &Object::Instance).await?;
        require_proof(core, actor)?;
        let mut reader = core.db.reader().await?;
        let row = store::users::find(&mut reader.conn(), user).await?.ok_or_else(Error::not_found)?;
        drop(reader);
        if !row.active {
            return Err(Error::conflict(None, "This user is disabled and could not sign in. Enable them first."));
        }
        let link = PasswordLink::new(core);
        let event = Event::done(core.now(), actor, None, "user.reset_link", user.as_str());
        let input = Arc::new((user.clone(), link.mac, link.expires_at, event));
        let macs = Arc::clone(&core.macs);
        core.db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (user, mac, expires_at, event) = &*input;
                    event.append(&mut conn, &macs).await?;
                    Ok(store::password_links::replace(&mut conn, user, mac, *expires_at).await?)
                })
            })
            .await?;
        Ok(link.issued())
    }

    /// Whose password the link with that token sets. The same refusal for a used, an expired, a replaced and an invented one.
    pub async fn look(&self, request: &RequestInfo, token: &str) -> Result<UserRef, Error> {
        self.core.limits.try_network(Network::of(request.ip))?;
        self.find(&self.core.macs.password_link(token.trim())).await?.reference()
    }

    async fn find(&self, mac: &MacBytes) -> Result<UserRow, Error> {
        let mut reader = self.core.db.reader().await?;
        store::password_links::find_good(&mut reader.conn(), mac, self.core.now()).await?.ok_or_else(not_good)
    }

    /// Sets the password, ends every session of the person and uses the link up, all or nothing.
    pub async fn complete(&self, request: &RequestInfo, token: &str, wanted: Password) -> Result<UserRef, Error> {
        let core = &self.core;
        let network = Network::of(request.ip);
        core.limits.try_network(network)?;
        let mac = core.macs.password_link(token.trim());
        let row = self.find(&mac).await?;
        password::check(&wanted, &[&row.username, &row.email, &row.display_name])?;
        let hash = core.hasher.hash(&wanted, core.entropy.as_ref()).await?;
        let user = row.reference()?;
        let now = core.now();
        let event = Event::done(now, &Actor::anonymous(request.clone()), None, "user.reset_password", user.id.as_str());
        let input = Arc::new((user.id.clone(), hash, event));
        let macs = Arc::clone(&core.macs);
        core.db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (user, hash, event) = &*input;
                    event.append(&mut conn, &macs).await?;
                    // Whoever consumes the link wins; everybody else finds it gone.
                    if !store::password_links::consume(&mut conn, &mac, now).await? {
                        return Err(not_good());
                    }
                    // Under the lock of the chain: a person who was disabled meanwhile stays out.
                    if !store::users::find(&mut conn, user).await?.is_some_and(|row| row.active) {
                        return Err(not_good());
                    }
                    store::users::update_password_hash(&mut conn, user.as_str(), hash).await?;
                    store::sessions::delete_others(&mut conn, user, None).await?;
                    Ok(())
                })
            })
            .await?;
        core.limits.succeeded(&user.username, network);
        Ok(user)
    }
}

/// The same words for a used, an expired, a replaced and an invented link.
fn not_good() -> Error {
    let text = "This link is not good any more: it was used, replaced, or is older than a day. Ask an administrator for a new one.";
    Error::Refused(Problem { field: Some("token".into()), ..Problem::new(ProblemCode::Forbidden, text) })
}
