//! What people change about themselves: how they are called, where they are reached, their password.

use std::sync::Arc;

use keyfold_domain::name;
use keyfold_domain::policy::Actor;
use keyfold_domain::user::{self, UserSummary};
use keyfold_engine_macros::compiled_here;

use super::Core;
use super::audit::Event;
use super::sessions::{IssuedSession, Opening, prove, require_proof, signed_in};
use super::users::{profile, settings};
use crate::error::Error;
use crate::password;
use crate::secrets::Password;
use crate::store;
use crate::store::changes::Change;

/// A change of one's own password.
#[derive(Debug)]
pub struct NewPassword {
    /// The one so far.
    pub present: Password,
    /// The one from now on.
    pub wanted: Password,
    /// Sign out everywhere else?
    pub end_others: bool,
}

/// One's own account as a use case.
#[derive(Clone)]
pub struct Account {
    pub(crate) core: Arc<Core>,
}

#[compiled_here]
impl Account {
    /// The person in the session, as they are stored.
    pub async fn get(&self, actor: &Actor) -> Result<UserSummary, Error> {
        let person = signed_in(actor)?;
        let mut reader = self.core.db.reader().await?;
        store::users::find(&mut reader.conn(), &person.user.id).await?.ok_or_else(Error::not_found)?.summary()
    }

    /// The person behind the actor, who may also be the owner of a management key.
    pub async fn behind(&self, actor: &Actor) -> Result<UserSummary, Error> {
        let user = actor.user().ok_or_else(|| Error::unauthenticated("Sign in first."))?;
        let mut reader = self.core.db.reader().await?;
        store::users::find(&mut reader.conn(), &user.id).await?.ok_or_else(Error::not_found)?.summary()
    }

    /// Changes how the person is called and where they are reached. Another e-mail address needs a fresh password.
    pub async fn update(&self, actor: &Actor, display_name: &str, email: &str) -> Result<UserSummary, Error> {
        let core = &self.core;
        let person = signed_in(actor)?;
        let display_name = name::optional_name("display_name", display_name)?;
        let email = user::email("email", email)?;
        let mut reader = core.db.reader().await?;
        let before = store::users::find(&mut reader.conn(), &person.user.id).await?.ok_or_else(Error::not_found)?;
        drop(reader);
        if before.email != email {
            require_proof(core, actor)?;
        }
        let event = Event::done(core.now(), actor, None, "user.update", &before.id);
        let input = Arc::new((person.user.id.clone(), display_name, email, event));
        let (macs, now) = (Arc::clone(&core.macs), core.now());
        let (summary, seq) = core
            .db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (id, display_name, email, event) = &*input;
                    let mut row = store::users::find(&mut conn, id).await?.ok_or_else(Error::not_found)?;
                    let before = settings(&row);
                    profile(&mut row, Some(email.clone()), Some(display_name.clone()));
                    event.clone().change(Some(before), Some(settings(&row))).append(&mut conn, &macs).await?;
                    store::users::update(&mut conn, &row).await?;
                    Ok((row.summary()?, store::changes::append(&mut conn, &Change::User(id), now).await?))
                })
            })
            .await?;
        core.reach(seq).await?;
        Ok(summary)
    }

    /// Changes the password of whoever knows the present one. A new session takes the place of this one; all others end if
    /// that is asked for, and a link to choose a password is not good any more.
    pub async fn change_password(&self, actor: &Actor, new: NewPassword) -> Result<IssuedSession, Error> {
        let core = &self.core;
        let person = signed_in(actor)?;
        let row = prove(core, actor, person, &new.present, "present").await?;
        password::check(&new.wanted, &[&row.username, &row.email, &row.display_name])?;
        let hash = core.hasher.hash(&new.wanted, core.entropy.as_ref()).await?;
        let opening = Opening::new(core, person.user.id.clone(), &actor.request);
        let event = Event::done(core.now(), actor, None, "user.change_password", &row.id);
        let input = Arc::new((person.user.id.clone(), person.session.clone(), hash, opening.stored(), event));
        let (macs, end_others) = (Arc::clone(&core.macs), new.end_others);
        core.db
            .write(move |mut conn| {
                let (input, macs) = (Arc::clone(&input), Arc::clone(&macs));
                Box::pin(async move {
                    let (user, session, hash, opening, event) = &*input;
                    event.append(&mut conn, &macs).await?;
                    if end_others {
                        store::sessions::delete_others(&mut conn, user, None).await?;
                    } else {
                        store::sessions::delete(&mut conn, session).await?;
                    }
                    store::users::update_password_hash(&mut conn, user.as_str(), hash).await?;
                    store::password_links::delete(&mut conn, user).await?;
                    opening.insert(&mut conn).await
                })
            })
            .await?;
        opening.issued(core, &actor.request).await
    }
}
