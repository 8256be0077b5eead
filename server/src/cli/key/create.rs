//! `keyfold key create`. Scripts rely on the secret standing alone on standard output.

use jiff::{Span, Timestamp as Instant, tz::TimeZone};
use keyfold_domain::catalogue::ScopeCatalogue;
use keyfold_domain::key::{Expiry, Inactivity, IssuedKey, NewKey};
use keyfold_domain::limits::{Limit, LimitParts};
use keyfold_domain::problem::Problem;
use keyfold_domain::scope::{self, KeyKind, ScopeSet};
use keyfold_domain::time::Timestamp;
use keyfold_engine::{Engine, Error};

use super::{Create, called, place};
use crate::cli::{CliError, Printer, named, operator};
use crate::rest::IssuedKeyBody;

/// How long a key shall live.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lifetime {
    Never,
    For(Span),
}

impl std::str::FromStr for Lifetime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().eq_ignore_ascii_case("never") {
            return Ok(Self::Never);
        }
        text.trim().parse().map(Self::For).map_err(|_| "write a duration like \"30 days\", \"12 hours\" or \"1 year\", or never".to_owned())
    }
}

impl Lifetime {
    /// The end of a life that starts now; days are of the calendar in UTC.
    fn from(self, now: Timestamp) -> Result<Expiry, Problem> {
        let Self::For(span) = self else { return Ok(Expiry::Never) };
        let too_far = || Problem::invalid("expires_in", "Choose a shorter duration.");
        let start = Instant::from_millisecond(now.as_millis()).map_err(|_| too_far())?.to_zoned(TimeZone::UTC);
        let end = start.checked_add(span).map_err(|_| too_far())?;
        Ok(Expiry::At(Timestamp::from_millis(end.timestamp().as_millisecond())))
    }
}

/// Reads a limit as it is written on the command line: `burst=100/60`, `daily=5000/day`, `rolling=5000/rolling:604800`.
pub(super) fn limit(text: &str) -> Result<Limit, String> {
    let form = || "write a limit like burst=100/60, daily=5000/day, monthly=100000/month or weekly=30000/rolling:604800".to_owned();
    let (name, rest) = text.split_once('=').ok_or_else(form)?;
    let (number, span) = rest.split_once('/').ok_or_else(form)?;
    let limit = number.trim().parse().map_err(|_| form())?;
    let (quota, window) = match span.trim().split_once(':') {
        Some((quota, seconds)) => (Some(quota), Some(seconds.parse::<u64>().map_err(|_| form())?)),
        None => span.trim().parse::<u64>().map_or((Some(span.trim()), None), |seconds| (None, Some(seconds))),
    };
    let parts = LimitParts { name: name.to_owned(), limit, window, quota: quota.map(str::to_owned) };
    Limit::try_from(parts).map_err(|problem| problem.message)
}

/// The kind and scopes that the flags ask for.
fn access(new: &Create, catalogue: &ScopeCatalogue) -> (KeyKind, ScopeSet) {
    if new.full_access {
        let kind = new.kind.unwrap_or(KeyKind::Management);
        return (kind, catalogue.full_access(kind));
    }
    let scopes: ScopeSet = new.scope.iter().cloned().collect();
    let manages = scopes.iter().filter_map(|name| scope::find(name.as_str())).any(|info| info.management);
    (new.kind.unwrap_or(if manages { KeyKind::Management } else { KeyKind::Secret }), scopes)
}

async fn create(new: Create, engine: &Engine) -> Result<IssuedKey, Error> {
    let workspace = place(engine, &new.workspace).await?;
    let owner = named("user", &new.owner, engine.users.find_by_username(&operator(), &new.owner).await)?;
    let (kind, scopes) = access(&new, &engine.scopes.catalogue(&operator(), &workspace).await?);
    let expires_at = new.expires_in.map_or(Ok(Expiry::Default), |lifetime| lifetime.from(engine.now()))?;
    let wanted = NewKey {
        name: new.name,
        kind,
        scopes,
        expires_at,
        inactivity_days: new.inactivity_days.map_or(Inactivity::Default, Inactivity::Days),
        note: new.note,
        owner: Some(owner.id),
        resources: new.resource,
        override_owner: new.override_owner,
        ip_allow: new.allow_ip,
        limits: new.limit,
    };
    engine.keys.create(&operator(), &workspace, wanted, None).await
}

pub(super) async fn run(new: Create, engine: &Engine, printer: &Printer) -> Result<(), CliError> {
    let issued = create(new, engine).await?;
    printer.note(&format!("Created {}. Store the secret now: it is not shown again.", called(&issued.key)));
    let issued = IssuedKeyBody::from(issued);
    printer.secret(issued.secret(), &issued)
}

#[cfg(test)]
mod tests {
    use keyfold_domain::time::DAY_MS;

    use super::*;

    fn end(text: &str) -> Option<i64> {
        let lifetime: Lifetime = text.parse().ok()?;
        match lifetime.from(Timestamp::from_millis(0)).unwrap() {
            Expiry::At(at) => Some(at.as_millis()),
            Expiry::Never => Some(-1),
            Expiry::Default | Expiry::InDays(_) => None,
        }
    }

    #[test]
    fn a_limit_is_read_as_people_write_it() {
        for (text, words) in [
            ("burst=100/60", "burst: 100 in 1 minute"),
            ("daily=5000/day", "daily: 5000 a day"),
            ("m=1/month", "m: 1 a month"),
            ("weekly=30000/rolling:604800", "weekly: 30000 in any 7 days"),
        ] {
            assert_eq!(limit(text).unwrap().to_string(), words);
        }
        for text in ["", "burst", "burst=100", "burst=/60", "burst=0/60", "Burst=1/60", "b=1/0", "b=1/week", "b=1/day:60", "b=-1/60"] {
            assert!(limit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_lifetime_is_read_as_people_write_it() {
        assert_eq!(end("30 days"), Some(30 * DAY_MS));
        assert_eq!(end("12 hours"), Some(DAY_MS / 2));
        assert_eq!(end("1 week 1 day"), Some(8 * DAY_MS));
        assert_eq!(end("1 year"), Some(365 * DAY_MS));
        assert_eq!(end("never"), Some(-1));
        for text in ["", "30", "soon", "-"] {
            assert_eq!(end(text), None, "{text}");
        }
    }
}
