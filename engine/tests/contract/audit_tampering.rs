//! Whoever can write the database still cannot change the audit log unseen: every byte of every column, every removal,
//! insertion, move and cut is named, on both databases.

use keyfold_domain::audit::{BrokenLink, ChainHead};
use keyfold_domain::key::KeyPatch;
use keyfold_domain::problem::ProblemCode;
use keyfold_engine::{DatabaseUrl, Error};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, SqliteConnection};

use crate::support::{Instance, new_key, on_both, operator};

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
struct Event {
    chain: String,
    seq: i64,
    body: String,
    mac: Vec<u8>,
    at: i64,
    action: String,
    actor: String,
    object: String,
}

#[derive(Clone, Debug, PartialEq, sqlx::FromRow)]
#[expect(clippy::struct_field_names, reason = "as the columns are called")]
struct Chain {
    chain: String,
    seq: i64,
    mac: Vec<u8>,
}

/// Everything that the audit log is.
#[derive(Clone, Debug, PartialEq)]
struct Log {
    events: Vec<Event>,
    chains: Vec<Chain>,
}

/// A way into the tables beside the services.
enum Intruder {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

macro_rules! on {
    ($intruder:expr, $raw:ident => $body:expr) => {
        match $intruder {
            Intruder::Sqlite($raw) => $body,
            Intruder::Postgres($raw) => $body,
        }
    };
}

impl Intruder {
    async fn into(instance: &Instance) -> Self {
        match &instance.database {
            DatabaseUrl::Sqlite(path) => {
                let mut conn = sqlx::sqlite::SqliteConnectOptions::new().filename(path).connect().await.unwrap();
                conn.execute("PRAGMA synchronous = OFF").await.unwrap();
                Self::Sqlite(conn)
            }
            DatabaseUrl::Postgres(url) => {
                let mut conn = PgConnection::connect(url).await.unwrap();
                conn.execute("SET synchronous_commit = off").await.unwrap();
                Self::Postgres(conn)
            }
        }
    }

    async fn run(&mut self, statement: &str) {
        let statement = AssertSqlSafe(statement.to_owned());
        on!(self, raw => raw.execute(statement).await.map(drop)).unwrap();
    }

    async fn load(&mut self) -> Log {
        let events = "SELECT chain, seq, body, mac, at, action, actor, object FROM audit_events ORDER BY chain, seq";
        let chains = "SELECT chain, seq, mac FROM audit_chains ORDER BY chain";
        on!(self, raw => Log {
            events: sqlx::query_as(events).fetch_all(&mut *raw).await.unwrap(),
            chains: sqlx::query_as(chains).fetch_all(&mut *raw).await.unwrap(),
        })
    }

    /// Puts this log in the place of the one that is there.
    async fn store(&mut self, log: &Log) {
        let event = "INSERT INTO audit_events (chain, seq, body, mac, at, action, actor, object) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let chain = "INSERT INTO audit_chains (chain, seq, mac) VALUES ($1, $2, $3)";
        on!(self, raw => {
            let mut tx = raw.begin().await.unwrap();
            tx.execute("DELETE FROM audit_events").await.unwrap();
            tx.execute("DELETE FROM audit_chains").await.unwrap();
            for row in &log.events {
                sqlx::query(event).bind(&row.chain).bind(row.seq).bind(&row.body).bind(&row.mac).bind(row.at)
                    .bind(&row.action).bind(&row.actor).bind(&row.object).execute(&mut *tx).await.unwrap();
            }
            for row in &log.chains {
                sqlx::query(chain).bind(&row.chain).bind(row.seq).bind(&row.mac).execute(&mut *tx).await.unwrap();
            }
            tx.commit().await.unwrap();
        });
    }
}

/// A workspace with events in its chain, and a handful in the instance's.
async fn filled(instance: &Instance) -> (String, Vec<ChainHead>) {
    let (acme, ada) = instance.workspace("acme", "ada").await;
    for at in 0..3 {
        let key = instance.key(&ada, &acme.id, &format!("k{at}")).await.key;
        let patch = KeyPatch { name: Some("renamed".into()), ..KeyPatch::default() };
        instance.engine.keys.update(&ada, &acme.id, &key.id, patch).await.unwrap();
    }
    (acme.id.to_string(), instance.engine.audit.heads(&operator()).await.unwrap())
}

async fn found(instance: &Instance) -> Option<BrokenLink> {
    instance.engine.audit.verify_chains(&operator()).await.unwrap().broken
}

/// Another character in the place of one, which the database takes as text.
fn other(character: u8) -> u8 {
    if character.is_ascii_alphanumeric() && character != b'z' && character != b'Z' && character != b'9' { character + 1 } else { b'x' }
}

fn altered(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = if bytes[at] == b'x' { b'y' } else { other(bytes[at]) };
    String::from_utf8(bytes).unwrap()
}

/// One edit of the log: what it is called, and the event that a check must name.
fn edit(log: &mut Log, rng: &mut StdRng) -> (&'static str, String, i64) {
    let at = rng.random_range(0..log.events.len());
    let (chain, seq) = (log.events[at].chain.clone(), log.events[at].seq);
    let of_chain = |log: &Log, chain: &str| log.chains.iter().position(|row| row.chain == chain).unwrap();
    let last = |log: &Log, chain: &str| log.chains[of_chain(log, chain)].seq;
    let event = &mut log.events[at];
    let place = |rng: &mut StdRng, text: &str| rng.random_range(0..text.len());
    match rng.random_range(0..14) {
        0 => event.body = altered(&event.body, place(rng, &event.body)),
        1 => event.mac[rng.random_range(0..32)] ^= 1 << rng.random_range(0..8),
        2 => event.at ^= 1 << rng.random_range(0..40),
        3 => event.action = altered(&event.action, place(rng, &event.action)),
        4 => event.actor = altered(&event.actor, place(rng, &event.actor)),
        5 if !event.object.is_empty() => event.object = altered(&event.object, place(rng, &event.object)),
        5 => event.object = "x".into(),
        6 => {
            event.chain = altered(&event.chain, place(rng, &event.chain));
            return ("moved to another chain", chain, seq);
        }
        7 => {
            event.seq += 1000;
            return ("numbered otherwise", chain, seq);
        }
        8 => {
            log.events.remove(at);
            return ("removed", chain, seq);
        }
        9 => {
            let with = log.events.iter().position(|row| row.chain == chain && row.seq != seq).unwrap();
            let (one, two) = (log.events[at].seq, log.events[with].seq);
            (log.events[at].seq, log.events[with].seq) = (two, one);
            return ("swapped", chain, one.min(two));
        }
        10 => {
            // Everything after it moves up by one, the head as well.
            let copy = log.events[at].clone();
            for row in log.events.iter_mut().filter(|row| row.chain == chain && row.seq > seq) {
                row.seq += 1;
            }
            log.events.push(Event { seq: seq + 1, ..copy });
            let head = of_chain(log, &chain);
            log.chains[head].seq += 1;
            return ("inserted", chain, seq + 1);
        }
        11 => {
            let copy = log.events[at].clone();
            let end = last(log, &chain);
            log.events.push(Event { seq: end + 1, ..copy });
            return ("inserted at the end", chain, end + 1);
        }
        12 => {
            log.events.retain(|row| row.chain != chain || row.seq < seq);
            return ("cut, the head left", chain, seq);
        }
        _ => {
            let head = of_chain(log, &chain);
            let end = log.chains[head].seq;
            log.chains[head].mac[rng.random_range(0..32)] ^= 1;
            return ("the head changed", chain, end);
        }
    }
    ("a column changed", chain, seq)
}

async fn random_edits(instance: &Instance, rounds: u32) {
    let (_, heads) = filled(instance).await;
    let mut intruder = Intruder::into(instance).await;
    let whole = intruder.load().await;
    let mut rng = StdRng::seed_from_u64(31);
    for round in 0..rounds {
        let mut log = whole.clone();
        let (what, chain, seq) = edit(&mut log, &mut rng);
        assert_ne!(log, whole, "{round}: {what}");
        intruder.store(&log).await;
        let broken = found(instance).await.unwrap_or_else(|| panic!("{round}: not seen: {what}"));
        // An event that left its chain is missing there and too many elsewhere: either may come first.
        let elsewhere = what == "moved to another chain" && broken.chain != chain;
        assert!(elsewhere || (broken.chain == chain && broken.seq == seq), "{round}: {what} {chain} {seq}: {broken:?}");
    }
    intruder.store(&whole).await;
    let report = instance.engine.audit.verify_against(&operator(), &heads).await.unwrap();
    assert_eq!((report.broken, report.events), (None, u64::try_from(whole.events.len()).unwrap()));
}

#[tokio::test]
async fn thousands_of_random_edits_are_each_named_on_sqlite() {
    let Some(instance) = Instance::open(crate::support::On::Sqlite).await else { return };
    random_edits(&instance, 10_000).await;
}

#[tokio::test]
async fn thousands_of_random_edits_are_each_named_on_postgres() {
    let Some(instance) = Instance::open(crate::support::On::Postgres).await else { return };
    random_edits(&instance, 2000).await;
}

on_both! {
    async fn every_single_byte_of_an_event_counts(instance) {
        let (chain, _) = filled(&instance).await;
        let mut intruder = Intruder::into(&instance).await;
        let whole = intruder.load().await;
        let at = whole.events.iter().position(|row| row.chain == chain && row.seq == 3).unwrap();
        let event = whole.events[at].clone();
        let mut edits: Vec<Event> = Vec::new();
        edits.extend((0..event.body.len()).map(|at| Event { body: altered(&event.body, at), ..event.clone() }));
        edits.extend((0..event.action.len()).map(|at| Event { action: altered(&event.action, at), ..event.clone() }));
        edits.extend((0..event.actor.len()).map(|at| Event { actor: altered(&event.actor, at), ..event.clone() }));
        edits.extend((0..event.object.len()).map(|at| Event { object: altered(&event.object, at), ..event.clone() }));
        edits.extend((0..63).map(|bit| Event { at: event.at ^ (1 << bit), ..event.clone() }));
        edits.extend((0..256).map(|bit| {
            let mut mac = event.mac.clone();
            mac[bit / 8] ^= 1 << (bit % 8);
            Event { mac, ..event.clone() }
        }));
        assert!(edits.len() > 500);
        let update = "UPDATE audit_events SET body = $3, mac = $4, at = $5, action = $6, actor = $7, object = $8 WHERE chain = $1 AND seq = $2";
        for edited in edits {
            on!(&mut intruder, raw => sqlx::query(update).bind(&chain).bind(3i64).bind(&edited.body).bind(&edited.mac).bind(edited.at)
                .bind(&edited.action).bind(&edited.actor).bind(&edited.object).execute(&mut *raw).await.map(drop)).unwrap();
            let broken = found(&instance).await.unwrap_or_else(|| panic!("not seen: {edited:?}"));
            assert_eq!((broken.chain.as_str(), broken.seq), (chain.as_str(), 3), "{edited:?}");
        }
    }

    async fn a_tail_cut_together_with_its_head_is_only_told_by_a_head_that_was_kept(instance) {
        let (chain, heads) = filled(&instance).await;
        let mut intruder = Intruder::into(&instance).await;
        let whole = intruder.load().await;
        let end = heads.iter().find(|head| head.chain == chain).unwrap().seq;
        let against = async |heads: &[ChainHead]| instance.engine.audit.verify_against(&operator(), heads).await.unwrap().broken;
        assert_eq!(against(&heads).await, None);
        for kept in 1..end {
            let mut log = whole.clone();
            log.events.retain(|row| row.chain != chain || row.seq <= kept);
            let link = log.events.iter().find(|row| row.chain == chain && row.seq == kept).unwrap().mac.clone();
            let head = log.chains.iter_mut().find(|row| row.chain == chain).unwrap();
            (head.seq, head.mac) = (kept, link);
            intruder.store(&log).await;
            assert_eq!(found(&instance).await, None, "nothing but the kept head can tell");
            let broken = against(&heads).await.unwrap();
            assert_eq!((broken.chain.as_str(), broken.seq), (chain.as_str(), kept + 1));
        }
        let mut log = whole.clone();
        log.events.retain(|row| row.chain != chain);
        log.chains.retain(|row| row.chain != chain);
        intruder.store(&log).await;
        assert_eq!(found(&instance).await, None);
        let broken = against(&heads).await.unwrap();
        assert!(broken.chain == chain && broken.why.contains("whole chain"), "{broken:?}");

        // Cut and written on: the number is there again, but another event bears it.
        intruder.store(&whole).await;
        let foreign: Vec<_> = heads.iter().map(|head| ChainHead { link: "00".repeat(32), ..head.clone() }).collect();
        assert!(against(&foreign).await.unwrap().why.contains("not the one"));
        // A head from before does not mind what came after.
        instance.user("late", false).await;
        assert_eq!(against(&heads).await, None);
    }

    async fn an_admin_checks_the_chain_of_their_own_workspace(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (zeta, _) = instance.workspace("zeta", "zoe").await;
        instance.key(&ada, &acme.id, "CI").await;
        let audit = &instance.engine.audit;
        let report = audit.verify_chain(&ada, &acme.id).await.unwrap();
        assert_eq!((report.chains, report.events, report.broken), (1, 2, None));
        assert_eq!(crate::support::code(audit.verify_chain(&ada, &zeta.id).await), ProblemCode::NotFound);
        instance.sql(format!("UPDATE audit_events SET object = '' WHERE chain = '{}' AND seq = 2", acme.id)).await;
        instance.sql(format!("DELETE FROM audit_events WHERE chain = '{}'", zeta.id)).await;
        let broken = audit.verify_chain(&ada, &acme.id).await.unwrap().broken.unwrap();
        assert_eq!((broken.chain.as_str(), broken.seq), (acme.id.as_str(), 2));
        instance.sql(format!("DELETE FROM audit_chains WHERE chain = '{}'", acme.id)).await;
        assert!(audit.verify_chain(&ada, &acme.id).await.unwrap().broken.unwrap().why.contains("head"));
    }

    async fn while_the_log_cannot_be_written_nothing_is_done_and_patience_is_asked_for(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        let mut intruder = Intruder::into(&instance).await;
        let (begin, end): (&[&str], &[&str]) = match &instance.database {
            DatabaseUrl::Sqlite(_) => (
                &["CREATE TRIGGER deaf BEFORE INSERT ON audit_events BEGIN SELECT RAISE(ABORT, 'deaf'); END"],
                &["DROP TRIGGER deaf"],
            ),
            DatabaseUrl::Postgres(_) => (
                &[
                    "CREATE FUNCTION deaf() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'deaf'; END $$",
                    "CREATE TRIGGER deaf BEFORE INSERT ON audit_events FOR EACH ROW EXECUTE FUNCTION deaf()",
                ],
                &["DROP TRIGGER deaf ON audit_events"],
            ),
        };
        for statement in begin {
            intruder.run(statement).await;
        }
        let engine = &instance.engine;
        let unavailable = |result: Result<(), Error>| matches!(result, Err(Error::Unavailable(_)));
        assert!(unavailable(engine.keys.create(&ada, &acme.id, new_key("no", &["chat"]), None).await.map(drop)));
        assert!(unavailable(engine.keys.delete(&ada, &acme.id, &key.key.id).await.map(drop)));
        let policy = keyfold_domain::policy_limits::KeyPolicy { members_may_create: false, ..Default::default() };
        let change = keyfold_domain::policy_limits::PolicyChange { policy, version: None, existing: None };
        assert!(unavailable(engine.policies.update(&ada, Some(&acme.id), change).await.map(drop)));
        instance.clock.advance_ms(91 * 86_400_000);
        assert!(unavailable(engine.sweep().await.map(drop)));
        for statement in end {
            intruder.run(statement).await;
        }
        let found = engine.keys.list(&ada, &acme.id, &keyfold_domain::key::KeyFilter::default()).await.unwrap();
        assert_eq!((found.items.len(), found.items[0].version), (1, key.key.version));
        assert_eq!(engine.policies.get(&ada, Some(&acme.id)).await.unwrap().version, 1);
        assert_eq!(engine.sweep().await.unwrap().expired, 1, "what could not be recorded is recorded later");
        assert_eq!(self::found(&instance).await, None);
    }
}
