//! Plays the story day by day: keys are made, used, changed and ended by the people they belong to.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use keyfold_domain::ids::KeyId;
use keyfold_domain::key::{Expiry, Inactivity, IssuedKey, KeyPatch, NewKey};
use keyfold_domain::limits::Cost;
use keyfold_domain::policy::{Actor, RequestInfo};
use keyfold_domain::problem::Problem;
use keyfold_domain::scope::ScopeSet;
use keyfold_domain::secret::Rotation;
use keyfold_domain::time::DAY_MS;
use keyfold_domain::token::Secret;
use keyfold_domain::verdict::ResourceRef;
use keyfold_engine::{Client, Engine, Error, Password, SignIn, VerifyRequest};

use super::clock::TravelClock;
use super::dice::Dice;
use super::story::{Fate, Key, PEOPLE, Places, keys};
use crate::telemetry::RequestId;

/// One hour in milliseconds.
const HOUR_MS: i64 = 3_600_000;
/// The hours of a day in which keys are used, by UTC.
const HOURS: [i64; 5] = [2, 8, 11, 14, 17];

/// What people sign in with.
const BROWSERS: [&str; 4] = ["Firefox on Linux", "Chrome on Windows", "Safari on macOS", "Chrome on Android"];

/// A key of the story that was made.
struct Made {
    key: Key,
    issued: IssuedKey,
    /// After a rotation: the secret before.
    before: Option<Secret>,
}

impl Made {
    /// The secret that somebody uses: a few have not heard of the new one yet.
    fn secret(&self, dice: &mut Dice) -> (&Secret, &'static str) {
        match &self.before {
            Some(before) if dice.percent(15) => (before, "node-fetch/3.3 (warehouse-2)"),
            _ => (&self.issued.secret, "python-requests/2.32"),
        }
    }
}

/// Plays every day up to now. Returns how many keys were made.
pub(super) async fn live(
    engine: &Engine,
    clock: &Arc<TravelClock>,
    places: &Places,
    password: &str,
    dice: &mut Dice,
    days: i64,
) -> Result<u64, Error> {
    let start = engine.now();
    let end = start.plus_ms(days * DAY_MS - HOUR_MS);
    let (mut waiting, mut made) = (keys(), Vec::new());
    for day in 0..days {
        let today = start.plus_ms(day * DAY_MS);
        let at = |hour: i64| today.plus_ms(hour * HOUR_MS).min(end);
        for hour in HOURS {
            clock.go_to(at(hour));
            use_keys(engine, &made, day, hour, dice)?;
            engine.flush_usage().await?;
        }
        // What ended or went dormant since yesterday gets its event at about the right time.
        engine.sweep().await?;
        clock.go_to(at(18));
        let mut people = People { engine, password, here: HashMap::new() };
        let (born, rest): (Vec<Key>, Vec<Key>) = waiting.into_iter().partition(|key| key.made == day);
        waiting = rest;
        for key in born {
            let issued = make(&mut people, places, &key).await?;
            made.push(Made { key, issued, before: None });
            clock.go_to(engine.now().plus_ms(90_000));
        }
        for one in &mut made {
            meet_fate(&mut people, places, one, day).await?;
        }
    }
    clock.go_to(end.plus_ms(HOUR_MS));
    Ok(u64::try_from(made.len()).unwrap_or_default())
}

/// Who has signed in today.
struct People<'a> {
    engine: &'a Engine,
    password: &'a str,
    here: HashMap<&'static str, Actor>,
}

impl People<'_> {
    async fn actor(&mut self, name: &'static str) -> Result<Actor, Error> {
        if let Some(actor) = self.here.get(name) {
            return Ok(actor.clone());
        }
        let form = SignIn { login: name.to_owned(), password: Password::new(self.password.to_owned()) };
        let seat = PEOPLE.iter().position(|(username, _)| *username == name).and_then(|at| u8::try_from(at + 20).ok());
        let request = RequestInfo {
            ip: Some(Ipv4Addr::new(192, 0, 2, seat.unwrap_or(1)).into()),
            id: RequestId::generate().to_string(),
            client: Some(BROWSERS[usize::from(seat.unwrap_or_default()) % BROWSERS.len()].to_owned()),
        };
        let actor = self.engine.sessions.sign_in(&request, form).await?.actor;
        self.here.insert(name, actor.clone());
        Ok(actor)
    }
}

pub(super) fn scopes(names: &[&str]) -> Result<ScopeSet, Error> {
    let wrong = |_| Error::from(Problem::invalid("scopes", "The story holds a scope that does not exist."));
    names.iter().map(|name| name.parse().map_err(wrong)).collect()
}

async fn make(people: &mut People<'_>, places: &Places, key: &Key) -> Result<IssuedKey, Error> {
    let actor = people.actor(key.owner).await?;
    let expires_at = key.life.map_or(Expiry::Never, |days| Expiry::At(people.engine.now().plus_days(days)));
    let new = NewKey {
        name: key.name.to_owned(),
        kind: key.kind,
        scopes: scopes(key.scopes)?,
        expires_at,
        inactivity_days: key.interval.map_or(Inactivity::Off, Inactivity::Days),
        note: key.note.to_owned(),
        owner: None,
        resources: key.ties.iter().map(|name| name.parse()).collect::<Result<_, Problem>>()?,
        override_owner: false,
        ip_allow: Vec::new(),
        limits: Vec::new(),
    };
    people.engine.keys.create(&actor, &places.workspaces[key.place], new, None).await
}

async fn meet_fate(people: &mut People<'_>, places: &Places, made: &mut Made, day: i64) -> Result<(), Error> {
    let (keys, id): (_, &KeyId) = (&people.engine.keys, &made.issued.key.id.clone());
    let workspace = &places.workspaces[made.key.place];
    match made.key.fate {
        Fate::Stopped(on, reason) if on == day => {
            let actor = people.actor(made.key.owner).await?;
            keys.deactivate(&actor, workspace, id, reason).await?;
        }
        Fate::Deleted(on) if on == day => {
            let actor = people.actor(made.key.owner).await?;
            keys.delete(&actor, workspace, id).await?;
        }
        Fate::Narrowed(on, scope) if on == day => {
            let actor = people.actor(made.key.owner).await?;
            let patch = KeyPatch { scopes: Some(scopes(&[scope])?), ..KeyPatch::default() };
            keys.update(&actor, workspace, id, patch).await?;
        }
        Fate::Rotated(on, grace) if on == day => {
            let actor = people.actor(made.key.owner).await?;
            let rotated = keys.rotate(&actor, workspace, id, Rotation { grace, version: None }, None).await?;
            made.before = Some(std::mem::replace(&mut made.issued, rotated.issued).secret);
        }
        _ => {}
    }
    Ok(())
}

/// The calls of one hour, by the gateway of each workspace. Fewer at night and at weekends; some ask for too much.
fn use_keys(engine: &Engine, made: &[Made], day: i64, hour: i64, dice: &mut Dice) -> Result<(), Error> {
    let quiet = if day % 7 >= 5 { 4 } else { 1 };
    for one in made {
        let Some(until) = one.key.used_until else { continue };
        if day > until || day <= one.key.made {
            continue;
        }
        let gateway = made.iter().find(|other| other.key.place == one.key.place);
        let Some(gateway) = gateway else { continue };
        let share = one.key.calls / i64::try_from(HOURS.len()).unwrap_or(1) + 1;
        let busy = if hour == 2 { share / 3 } else { share };
        let calls = dice.below(busy * 2 / quiet + 1);
        for _ in 0..calls {
            let scope = if dice.percent(3) { Some(&"project") } else { dice.pick(one.key.scopes) };
            let ip = IpAddr::from(Ipv4Addr::new(203, 0, 113, u8::try_from(dice.below(6) + 10).unwrap_or(10)));
            // Most name what they touch; one in a while names what the key is not tied to.
            let asked = if dice.percent(2) { Some(&"collection:payroll") } else { dice.pick(one.key.ties) };
            let resource: Option<ResourceRef> = asked.filter(|_| !one.key.ties.is_empty()).map(|name| name.parse()).transpose()?;
            let (secret, user_agent) = one.secret(dice);
            let request = VerifyRequest {
                key: secret.expose(),
                scope: scope.copied(),
                resource: resource.as_ref(),
                client_ip: Some(ip),
                user_agent: Some(user_agent),
                cost: Cost::default(),
                asker: Client { ip: None, user_agent: Some("gateway/1.4") },
                explain: false,
            };
            engine.verifier.verify(gateway.issued.secret.expose(), &request)?;
        }
    }
    Ok(())
}
