//! Do the pepper that was given and the database belong together? The database keeps a check value of each live pepper,
//! from which neither can be worked out.

use crate::mac::Macs;
use crate::open::{OpenError, OpenRole};
use crate::store::db::{Conn, Db};
use crate::store::{meta, secrets};

/// Where the check value of the present pepper is kept.
pub(crate) const CHECK: &str = "pepper_check";
/// Where that of the pepper before is kept, for as long as secrets need it.
pub(crate) const OLD_CHECK: &str = "pepper_check_old";
/// Where the present pepper's fingerprint is kept.
pub(crate) const ID: &str = "pepper_id";
/// Where that of the pepper before is kept.
pub(crate) const OLD_ID: &str = "pepper_id_old";
/// Where it is kept since when there are two.
pub(crate) const ROTATED_AT: &str = "pepper_rotated_at";

/// Why a pepper and a database do not belong together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mismatch {
    /// The database was made with another one.
    Wrong,
    /// It was to be replaced, and its successor is in the database already.
    Interrupted,
    /// Secrets need the one before as well, which has this fingerprint.
    WithoutOld(String),
}

/// Compares what is kept with what is given. `None` if nothing is kept yet; says whether the pepper before is needed.
pub(crate) async fn compare(conn: &mut Conn<'_>, macs: &Macs) -> Result<Option<Result<bool, Mismatch>>, sqlx::Error> {
    let Some(kept) = meta::find(conn, CHECK).await? else { return Ok(None) };
    let old = meta::find(conn, OLD_CHECK).await?;
    if kept != macs.check_value() {
        let interrupted = old.as_deref() == Some(macs.check_value());
        return Ok(Some(Err(if interrupted { Mismatch::Interrupted } else { Mismatch::Wrong })));
    }
    let Some(old) = old else { return Ok(Some(Ok(false))) };
    if macs.old().is_some_and(|(check, _)| check == old) {
        return Ok(Some(Ok(true)));
    }
    Ok(Some(Err(Mismatch::WithoutOld(meta::find(conn, OLD_ID).await?.unwrap_or_default()))))
}

/// The fingerprint of the pepper that a database was made with, if it says so.
pub(crate) async fn wanted(conn: &mut Conn<'_>) -> Result<Option<String>, sqlx::Error> {
    match meta::find(conn, ID).await? {
        Some(id) => Ok(Some(id)),
        // Older versions kept it with the secrets alone.
        None => secrets::newest_pepper(conn).await,
    }
}

/// Compares the peppers given with those of the database; the first to open a fresh database leaves its own. Returns what
/// is needed of them.
pub(crate) async fn agree(db: &Db, macs: Macs, role: OpenRole) -> Result<Macs, OpenError> {
    let mut reader = db.reader().await?;
    let mut conn = reader.conn();
    let mut found = compare(&mut conn, &macs).await?;
    let named = meta::find(&mut conn, ID).await?.is_some();
    drop(reader);
    if role != OpenRole::Look && (found.is_none() || (!named && matches!(found, Some(Ok(_))))) {
        let (check, id) = (macs.check_value().to_owned(), macs.pepper_id().to_owned());
        db.write(move |mut conn| {
            let (check, id) = (check.clone(), id.clone());
            Box::pin(async move {
                meta::insert(&mut conn, CHECK, &check).await?;
                // Of several that open a fresh database at once, one leaves both.
                if meta::find(&mut conn, CHECK).await?.as_deref() == Some(check.as_str()) {
                    meta::insert(&mut conn, ID, &id).await?;
                }
                Ok(())
            })
        })
        .await?;
        let mut reader = db.reader().await?;
        found = compare(&mut reader.conn(), &macs).await?;
    }
    match found {
        None | Some(Ok(false)) => Ok(macs.without_old()),
        Some(Ok(true)) => Ok(macs),
        Some(Err(Mismatch::Wrong)) => Err(OpenError::WrongPepper(macs.pepper_id().to_owned())),
        Some(Err(Mismatch::Interrupted)) => Err(OpenError::RotationInterrupted),
        Some(Err(Mismatch::WithoutOld(id))) => Err(OpenError::WithoutOldPepper(id)),
    }
}
