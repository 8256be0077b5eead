//! Very many keys in one workspace, of every state and age.

use keyfold_domain::ids::{UserId, WorkspaceId};
use keyfold_domain::resource::ResourceSummary;
use keyfold_domain::scope::KeyKind;
use keyfold_domain::time::{DAY_MS, Timestamp};
use keyfold_engine::{DemoKey, Engine, Error};

use super::dice::Dice;
use super::life::scopes;
use super::story::Places;
use crate::cli::{Printer, operator};

/// Keys in one transaction.
const AT_ONCE: u32 = 1000;
/// How far back they go, in days.
const DAYS: i64 = 400;
/// How many of a hundred secret keys are tied to something.
const TIED: i64 = 15;

const FIRST: [&str; 16] = [
    "Billing",
    "Search",
    "Ingest",
    "Forecast",
    "Invoice",
    "Support",
    "Routing",
    "Catalogue",
    "Fraud",
    "Pricing",
    "Chat",
    "Archive",
    "Import",
    "Alerting",
    "Survey",
    "Payroll",
];
const SECOND: [&str; 12] = [
    "service",
    "worker",
    "pipeline",
    "dashboard",
    "cron job",
    "staging",
    "notebook",
    "load test",
    "gateway",
    "bot",
    "mobile app",
    "backup",
];
const SCOPES: [(KeyKind, &[&str]); 9] = [
    (KeyKind::Secret, &["inference"]),
    (KeyKind::Secret, &["inference"]),
    (KeyKind::Secret, &["project", "inference"]),
    (KeyKind::Secret, &["chat"]),
    (KeyKind::Secret, &["project", "chat"]),
    (KeyKind::Secret, &["reports", "inference"]),
    (KeyKind::Secret, &["reports:read"]),
    (KeyKind::Publishable, &["inference"]),
    (KeyKind::Management, &["keys:read", "verify"]),
];

/// Adds so many keys.
pub(super) async fn add(
    engine: &Engine,
    workspace: &WorkspaceId,
    places: &Places,
    keys: u32,
    dice: &mut Dice,
    printer: &Printer,
) -> Result<(), Error> {
    let crowd = Crowd { owners: places.owners(), things: places.things() };
    let mut left = keys;
    while left > 0 {
        let now = engine.now();
        let batch = (0..left.min(AT_ONCE)).filter_map(|_| invented(&crowd, dice, now).transpose()).collect::<Result<_, _>>()?;
        engine.demo.add_keys(&operator(), workspace, batch).await?;
        left = left.saturating_sub(AT_ONCE);
        if left.is_multiple_of(20_000) {
            printer.note(&format!("{} of {keys} keys", keys - left));
        }
    }
    Ok(())
}

/// Whose the keys are, and what some of them are tied to.
struct Crowd {
    owners: Vec<UserId>,
    things: Vec<(UserId, ResourceSummary)>,
}

fn invented(crowd: &Crowd, dice: &mut Dice, now: Timestamp) -> Result<Option<DemoKey>, Error> {
    let picked = (dice.pick(&crowd.owners).cloned(), dice.pick(&SCOPES), dice.pick(&FIRST), dice.pick(&SECOND));
    let (Some(owner), Some((kind, names)), Some(first), Some(second)) = picked else { return Ok(None) };
    // Who has a thing has the keys that are tied to it.
    let thing = if *kind == KeyKind::Secret && dice.percent(TIED) { dice.pick(&crowd.things).cloned() } else { None };
    let (owner, resources) = thing.map_or_else(|| (owner, Vec::new()), |(owner, thing)| (owner, vec![thing]));
    let created_at = now.plus_ms(-(dice.below(DAYS * DAY_MS) + 1));
    let life = [None, Some(30), Some(90), Some(180), Some(365), Some(730)];
    let expires_at = dice.pick(&life).copied().flatten().map(|days| created_at.plus_days(days));
    let inactivity_days = dice.pick(&[None, None, Some(30), Some(90)]).copied().flatten();
    let end = expires_at.map_or(now, |end| end.min(now));
    // A use is rather recent than long ago.
    let life_ms = end.millis_since(created_at).max(1);
    let ago = dice.below(life_ms).min(dice.below(life_ms));
    let last_used_at = dice.percent(70).then(|| end.plus_ms(-ago - 1)).filter(|used| *used > created_at);
    let total_calls = if last_used_at.is_some() { dice.below(40) * dice.below(4000) + 1 } else { 0 };
    let later = |dice: &mut Dice, percent| dice.percent(percent).then(|| created_at.plus_ms(dice.below(now.millis_since(created_at)) + 1));
    Ok(Some(DemoKey {
        name: format!("{first} {second} {}", dice.below(1000)),
        owner,
        kind: *kind,
        scopes: scopes(names)?,
        resources,
        created_at,
        expires_at,
        inactivity_days,
        last_used_at,
        total_calls,
        deactivated_at: later(dice, 6),
        deleted_at: later(dice, 10),
    }))
}
