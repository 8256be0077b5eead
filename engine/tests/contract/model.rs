//! Random lives of keys beside a plain model of them: whatever is done, in whatever order, every verdict is the model's.

use keyfold_domain::ids::{KeyId, UserId, WorkspaceId};
use keyfold_domain::key::{Expiry, Inactivity, KeyPatch, NewKey};
use keyfold_domain::scope::KeyKind;
use keyfold_domain::secret::{Grace, Rotation};
use keyfold_domain::time::{DAY_MS, Timestamp};
use keyfold_domain::verdict::Code;
use keyfold_engine::{Client, VerifyRequest};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngSeed, TestRunner};

use crate::support::{Instance, id_of, new_key, on_both, operator, scopes};

const HOUR_MS: i64 = 3_600_000;
/// Two flushes: what a crash may take from a key's last use.
const GRACE_MS: i64 = 10_000;
/// What a key can be given; `project` implies `inference`.
const GIVEN: [&[&str]; 4] = [&["chat"], &["inference"], &["project"], &["chat", "inference"]];
const ASKED: [Option<&str>; 4] = [None, Some("chat"), Some("inference"), Some("project")];
const RANGES: [&[&str]; 3] = [&[], &["203.0.113.0/24"], &["203.0.113.7", "2001:db8::/32"]];
const CLIENTS: [Option<&str>; 4] = [None, Some("203.0.113.7"), Some("203.0.113.8"), Some("::ffff:203.0.113.7")];

/// One thing that happens. Keys and secrets are numbers, taken modulo how many there are.
#[derive(Debug, Clone)]
enum Act {
    Create { scopes: usize, lives_hours: Option<i64>, idle_days: Option<u32> },
    Deactivate(usize),
    Activate(usize),
    Delete(usize),
    Rotate(usize, Grace),
    EndOlder(usize),
    Narrow(usize, usize),
    Expire(usize, Option<i64>),
    Rest(usize, Option<u32>),
    Allow(usize, usize),
    Wait(i64),
    Flush,
    Verify { secret: usize, scope: usize, client: usize },
}

fn act() -> impl Strategy<Value = Act> {
    let hours = || prop::option::of(1i64..100);
    let days = || prop::option::of(1u32..4);
    prop_oneof![
        3 => (0..GIVEN.len(), hours(), days()).prop_map(|(scopes, lives_hours, idle_days)| Act::Create { scopes, lives_hours, idle_days }),
        1 => any::<usize>().prop_map(Act::Deactivate),
        2 => any::<usize>().prop_map(Act::Activate),
        1 => any::<usize>().prop_map(Act::Delete),
        2 => (any::<usize>(), prop::sample::select(Grace::ALL.to_vec())).prop_map(|(key, grace)| Act::Rotate(key, grace)),
        1 => any::<usize>().prop_map(Act::EndOlder),
        1 => (any::<usize>(), 0..GIVEN.len()).prop_map(|(key, scopes)| Act::Narrow(key, scopes)),
        1 => (any::<usize>(), hours()).prop_map(|(key, hours)| Act::Expire(key, hours)),
        1 => (any::<usize>(), days()).prop_map(|(key, days)| Act::Rest(key, days)),
        1 => (any::<usize>(), 0..RANGES.len()).prop_map(|(key, ranges)| Act::Allow(key, ranges)),
        3 => prop_oneof![1i64..20_000, HOUR_MS - 1..=HOUR_MS, DAY_MS - 1..=DAY_MS + GRACE_MS, DAY_MS..4 * DAY_MS].prop_map(Act::Wait),
        1 => Just(Act::Flush),
        8 => (any::<usize>(), 0..ASKED.len(), 0..CLIENTS.len()).prop_map(|(secret, scope, client)| Act::Verify { secret, scope, client }),
    ]
}

/// A key as a person would note it down.
struct Noted {
    id: KeyId,
    made: Timestamp,
    scopes: usize,
    ranges: usize,
    expires: Option<Timestamp>,
    idle_days: Option<u32>,
    switched_on: Option<Timestamp>,
    used: Option<Timestamp>,
    off: bool,
    gone: bool,
}

/// A secret that was shown once.
struct Shown {
    key: usize,
    text: String,
    /// From when on it is unknown.
    ends: Option<Timestamp>,
}

#[derive(Default)]
struct Notes {
    keys: Vec<Noted>,
    secrets: Vec<Shown>,
}

impl Notes {
    /// The verdict, in the order in which the documentation lists the codes.
    fn verdict(&self, secret: &Shown, scope: Option<&str>, client: Option<&str>, now: Timestamp) -> Code {
        let key = &self.keys[secret.key];
        let began = [Some(key.made), key.switched_on, key.used].into_iter().flatten().max().unwrap();
        let holds = |scope: &str| GIVEN[key.scopes].contains(&scope) || (scope == "inference" && GIVEN[key.scopes].contains(&"project"));
        let inside = match (key.ranges, client) {
            (0, _) | (1, Some(_)) => true,
            (2, Some(client)) => client.ends_with(".7"),
            _ => false,
        };
        if key.gone || secret.ends.is_some_and(|end| now >= end) {
            Code::NotFound
        } else if key.off {
            Code::Deactivated
        } else if key.expires.is_some_and(|end| now >= end) {
            Code::Expired
        } else if key.idle_days.is_some_and(|days| now.millis_since(began) >= i64::from(days) * DAY_MS + GRACE_MS) {
            Code::Dormant
        } else if !inside {
            Code::IpDenied
        } else if !scope.is_none_or(holds) {
            Code::MissingScope
        } else {
            Code::Valid
        }
    }

    fn older(&mut self, key: usize) -> impl Iterator<Item = &mut Shown> {
        let current = self.secrets.iter().rposition(|secret| secret.key == key);
        self.secrets.iter_mut().enumerate().filter(move |(at, secret)| secret.key == key && Some(*at) != current).map(|(_, secret)| secret)
    }
}

/// The instance that everything is done to, and the notes beside it.
struct Life<'a> {
    instance: &'a Instance,
    workspace: &'a WorkspaceId,
    owner: UserId,
    caller: &'a str,
    notes: Notes,
}

impl Life<'_> {
    async fn go(&mut self, acts: &[Act]) -> Result<(), String> {
        for (at, act) in acts.iter().enumerate() {
            self.act(act).await.map_err(|why| format!("act {at}, {act:?}: {why}"))?;
        }
        self.everything_at_once()
    }

    async fn act(&mut self, act: &Act) -> Result<(), String> {
        let now = self.instance.engine.now();
        match *act {
            Act::Create { scopes, lives_hours, idle_days } => return self.create(scopes, lives_hours, idle_days).await,
            Act::Wait(ms) => self.instance.clock.advance_ms(ms),
            Act::Flush => {
                self.instance.engine.flush_usage().await.map_err(|error| error.to_string())?;
                self.instance.engine.housekeep().await.map_err(|error| error.to_string())?;
            }
            Act::Verify { secret, scope, client } if !self.notes.secrets.is_empty() => {
                let secret = secret % self.notes.secrets.len();
                return self.verify(secret, ASKED[scope], CLIENTS[client]);
            }
            Act::Verify { .. } => {}
            Act::Deactivate(key) | Act::Activate(key) | Act::Delete(key) | Act::EndOlder(key) => self.switch(act, key, now).await,
            Act::Rotate(key, grace) => self.rotate(key, grace, now).await,
            Act::Narrow(key, scopes) => {
                self.patch(key, KeyPatch { scopes: Some(self::scopes(GIVEN[scopes])), ..KeyPatch::default() }, |key| key.scopes = scopes)
                    .await;
            }
            Act::Expire(key, hours) => {
                let end = hours.map(|hours| now.plus_ms(hours * HOUR_MS));
                let expires_at = Some(end.map_or(Expiry::Never, Expiry::At));
                self.patch(key, KeyPatch { expires_at, ..KeyPatch::default() }, |key| key.expires = end).await;
            }
            Act::Rest(key, days) => {
                self.patch(key, KeyPatch { inactivity_days: Some(days), ..KeyPatch::default() }, |key| key.idle_days = days).await;
            }
            Act::Allow(key, ranges) => {
                let ip_allow = Some(RANGES[ranges].iter().map(|range| range.parse().unwrap()).collect());
                self.patch(key, KeyPatch { ip_allow, ..KeyPatch::default() }, |key| key.ranges = ranges).await;
            }
        }
        Ok(())
    }

    async fn create(&mut self, scopes: usize, lives_hours: Option<i64>, idle_days: Option<u32>) -> Result<(), String> {
        let engine = &self.instance.engine;
        let (made, expires) = (engine.now(), lives_hours.map(|hours| engine.now().plus_ms(hours * HOUR_MS)));
        let new = NewKey {
            owner: Some(self.owner.clone()),
            expires_at: expires.map_or(Expiry::Never, Expiry::At),
            inactivity_days: idle_days.map_or(Inactivity::Off, Inactivity::Days),
            ..new_key("life", GIVEN[scopes])
        };
        let issued = engine.keys.create(&operator(), self.workspace, new, None).await.map_err(|error| format!("{error:?}"))?;
        let id = issued.key.id.clone();
        self.notes.secrets.push(Shown { key: self.notes.keys.len(), text: issued.secret.expose().to_owned(), ends: None });
        let (switched_on, used) = (None, None);
        self.notes.keys.push(Noted { id, made, scopes, ranges: 0, expires, idle_days, switched_on, used, off: false, gone: false });
        Ok(())
    }

    /// The number of a key and its id, if there is any.
    fn pick(&self, key: usize) -> Option<(usize, KeyId)> {
        let at = key.checked_rem(self.notes.keys.len())?;
        Some((at, self.notes.keys[at].id.clone()))
    }

    /// What is refused leaves everything as it was; the verdicts that follow show whether it did.
    async fn patch(&mut self, key: usize, patch: KeyPatch, note: impl FnOnce(&mut Noted)) {
        let Some((at, id)) = self.pick(key) else { return };
        if self.instance.engine.keys.update(&operator(), self.workspace, &id, patch).await.is_ok() {
            assert!(!self.notes.keys[at].gone, "a deleted key was changed");
            note(&mut self.notes.keys[at]);
        }
    }

    async fn switch(&mut self, act: &Act, key: usize, now: Timestamp) {
        let Some((at, id)) = self.pick(key) else { return };
        let keys = &self.instance.engine.keys;
        let done = match act {
            Act::Deactivate(_) => keys.deactivate(&operator(), self.workspace, &id, "").await.is_ok(),
            Act::Activate(_) => keys.activate(&operator(), self.workspace, &id).await.is_ok(),
            Act::Delete(_) => keys.delete(&operator(), self.workspace, &id).await.is_ok(),
            _ => {
                let all = keys.secrets(&operator(), self.workspace, &id).await.unwrap_or_default();
                for secret in all.into_iter().skip(1) {
                    keys.end_secret(&operator(), self.workspace, &id, &secret.id).await.ok();
                }
                true
            }
        };
        let noted = &mut self.notes.keys[at];
        match act {
            _ if !done => {}
            Act::Deactivate(_) => noted.off = true,
            Act::Activate(_) => (noted.off, noted.switched_on) = (false, Some(now)),
            Act::Delete(_) => noted.gone = true,
            _ => self.notes.older(at).for_each(|secret| secret.ends = Some(secret.ends.map_or(now, |end| end.min(now)))),
        }
    }

    async fn rotate(&mut self, key: usize, grace: Grace, now: Timestamp) {
        let Some((at, id)) = self.pick(key) else { return };
        let rotation = Rotation { grace, version: None };
        let Ok(rotated) = self.instance.engine.keys.rotate(&operator(), self.workspace, &id, rotation, None).await else { return };
        assert!(!self.notes.keys[at].gone, "a deleted key was rotated");
        let hours = match grace {
            Grace::Now => 0,
            Grace::Hour => 1,
            Grace::Day => 24,
            Grace::Week => 168,
        };
        let end = now.plus_ms(hours * HOUR_MS);
        for secret in self.notes.secrets.iter_mut().filter(|secret| secret.key == at) {
            // Older ones keep the end they had, unless all shall end now.
            secret.ends = Some(secret.ends.filter(|old| grace != Grace::Now || *old < end).unwrap_or(end));
        }
        self.notes.secrets.push(Shown { key: at, text: rotated.issued.secret.expose().to_owned(), ends: None });
    }

    fn verify(&mut self, at: usize, scope: Option<&str>, client: Option<&str>) -> Result<(), String> {
        let (engine, now) = (&self.instance.engine, self.instance.engine.now());
        let secret = &self.notes.secrets[at];
        let client_ip = client.map(|ip| ip.parse().unwrap());
        let request = VerifyRequest { key: &secret.text, scope, client_ip, ..VerifyRequest::default() };
        let answer = engine.verifier.verify(self.caller, &request).map_err(|error| error.to_string())?;
        self.compare(at, answer.code, self.notes.verdict(secret, scope, client, now), now)
    }

    /// Every secret that ever was, in one batch.
    fn everything_at_once(&mut self) -> Result<(), String> {
        let now = self.instance.engine.now();
        let ask = |secret: &Shown| secret.text.clone();
        let texts: Vec<String> = self.notes.secrets.iter().map(ask).collect();
        for (part, texts) in texts.chunks(100).enumerate() {
            let requests: Vec<_> = texts.iter().map(|key| VerifyRequest { key, ..VerifyRequest::default() }).collect();
            let verifier = &self.instance.engine.verifier;
            let answers = verifier.verify_batch(self.caller, &Client::default(), &requests).map_err(|error| error.to_string())?;
            for (at, answer) in answers.iter().enumerate() {
                let at = part * 100 + at;
                let expected = self.notes.verdict(&self.notes.secrets[at], None, None, now);
                self.compare(at, answer.code, expected, now)?;
            }
        }
        Ok(())
    }

    fn compare(&mut self, at: usize, code: Code, expected: Code, now: Timestamp) -> Result<(), String> {
        if code != expected {
            return Err(format!("secret {at} is {code:?} and not {expected:?}"));
        }
        if code == Code::Valid {
            let key = self.notes.secrets[at].key;
            self.notes.keys[key].used = Some(now);
        }
        Ok(())
    }
}

/// The same lives in every run, unless `PROPTEST_RNG_SEED` asks for others.
fn runner() -> TestRunner {
    let config = Config { failure_persistence: None, ..Config::default() };
    if config.rng_seed == RngSeed::Random { TestRunner::deterministic() } else { TestRunner::new(config) }
}

/// How many lives are lived: a few in every run, many where `PROPTEST_CASES` asks for them.
fn lives() -> u32 {
    let asked = Config::default().cases;
    if asked == 256 { 24 } else { asked.div_ceil(20) }
}

on_both! {
    async fn whatever_happens_to_keys_every_verdict_is_that_of_a_plain_model(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (owner, never) = (id_of(&ada), (Expiry::Never, Inactivity::Off));
        let new = NewKey { kind: KeyKind::Management, owner: Some(owner.clone()), expires_at: never.0, inactivity_days: never.1, ..new_key("caller", &["verify"]) };
        let caller = instance.engine.keys.create(&operator(), &acme.id, new, None).await.unwrap();
        let caller = caller.secret.expose();
        let mut runner = runner();
        let strategy = prop::collection::vec(act(), 1..50);
        for _ in 0..lives() {
            let mut tree = strategy.new_tree(&mut runner).unwrap();
            let live = async |acts: &[Act]| {
                let mut life = Life { instance: &instance, workspace: &acme.id, owner: owner.clone(), caller, notes: Notes::default() };
                let lived = life.go(acts).await;
                // So that nobody has too many.
                for key in life.notes.keys.iter().filter(|key| !key.gone) {
                    instance.engine.keys.delete(&operator(), &acme.id, &key.id).await.unwrap();
                }
                lived
            };
            let Err(mut why) = live(&tree.current()).await else { continue };
            let mut shortest = tree.current();
            while tree.simplify() {
                match live(&tree.current()).await {
                    Err(still) => (why, shortest) = (still, tree.current()),
                    Ok(()) => if !tree.complicate() { break },
                }
            }
            panic!("{why}\n{shortest:#?}");
        }
    }
}
