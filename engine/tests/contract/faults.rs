//! Restarts, wrong peppers, second servers, forged rows.

use std::sync::Arc;
use std::time::Duration;

use keyfold_domain::key::{InactiveReason, KeyState};
use keyfold_domain::verdict::Code;
use keyfold_engine::testing::{SeededEntropy, open};
use keyfold_engine::{DatabaseUrl, Engine, EngineOptions, OpenError, OpenRole, Pepper};
use sqlx::{Connection as _, Executor as _};

use crate::support::{Instance, On, on_both, operator};

fn options(instance: &Instance, pepper: u8, role: OpenRole) -> EngineOptions {
    EngineOptions {
        database: instance.database.clone(),
        pepper: Pepper::from_bytes([pepper; 32]),
        prefix: keyfold_domain::token::Prefix::default(),
        clock: instance.clock.clone(),
        entropy: Arc::new(SeededEntropy::new(2)),
        role,
    }
}

on_both! {
    async fn after_a_restart_everything_is_there(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let kept = instance.key(&ada, &acme.id, "kept").await;
        let ended = instance.key(&ada, &acme.id, "ended").await;
        instance.engine.keys.delete(&ada, &acme.id, &ended.key.id).await.unwrap();
        instance.engine.verifier.whoami(kept.secret.expose(), None).unwrap();
        instance.engine.close().await;
        let Instance { engine, clock, database, folder } = instance;
        drop(engine);
        let again = open(database, &clock, 3).await.unwrap();
        assert_eq!(again.verifier.whoami(kept.secret.expose(), None).unwrap().code, Code::Valid);
        assert_eq!(again.verifier.whoami(ended.secret.expose(), None).unwrap().code, Code::NotFound);
        assert_eq!(again.keys.get(&ada, &acme.id, &kept.key.id).await.unwrap().total_calls, 2);
        again.close().await;
        drop(folder);
    }

    async fn a_stop_in_the_middle_of_a_flush_loses_no_count(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        let Instance { mut engine, clock, database, folder } = instance;
        for round in 0..6u64 {
            for _ in 0..10 {
                engine.verifier.whoami(key.secret.expose(), None).unwrap();
            }
            // The first flush begins at once.
            engine.start_jobs();
            tokio::time::sleep(Duration::from_micros(round * 400)).await;
            engine.close().await;
            drop(engine);
            engine = open(database.clone(), &clock, 10 + round).await.unwrap();
        }
        assert_eq!(engine.keys.get(&ada, &acme.id, &key.key.id).await.unwrap().total_calls, 60);
        drop(folder);
    }

    async fn another_pepper_is_refused_with_its_fingerprint(instance) {
        let Err(refused) = Engine::open(options(&instance, 8, OpenRole::Beside)).await else { panic!("opened") };
        assert!(matches!(&refused, OpenError::WrongPepper(_)));
        assert!(refused.to_string().contains(&Pepper::from_bytes([8; 32]).fingerprint()));
        assert!(Engine::open(options(&instance, 7, OpenRole::Beside)).await.is_ok());
    }

    async fn a_row_forged_without_the_pepper_never_verifies(instance) {
        use sha2::{Digest, Sha256};
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        let forged = "kf_sec_00000000000000000000000000000000000000000001GU1LX";
        let hash = Sha256::digest(forged).iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
        let literal = match instance.database {
            keyfold_engine::DatabaseUrl::Sqlite(_) => format!("X'{hash}'"),
            keyfold_engine::DatabaseUrl::Postgres(_) => format!("'\\x{hash}'"),
        };
        instance.sql(format!("UPDATE secrets SET mac = {literal} WHERE key_id = '{}'", key.key.id)).await;
        let beside = instance.beside().await;
        assert_eq!(beside.verifier.whoami(forged, None).unwrap().code, Code::NotFound);
        beside.close().await;
    }

    async fn a_newer_schema_is_refused_with_a_clear_text(instance) {
        instance.sql("UPDATE _sqlx_migrations SET version = 9999 WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)".into()).await;
        let Err(refused) = Engine::open(options(&instance, 7, OpenRole::Beside)).await else { panic!("opened") };
        assert!(refused.to_string().contains("9999"), "{refused}");
    }
}

on_both! {
    async fn a_look_never_upgrades_an_older_schema(instance) {
        instance.sql("DELETE FROM _sqlx_migrations WHERE version > 1".into()).await;
        instance.engine.close().await;
        for _ in 0..2 {
            // The second time it would open if the first had upgraded.
            let Err(refused) = Engine::open(options(&instance, 7, OpenRole::Look)).await else { panic!("opened") };
            assert!(matches!(refused, OpenError::Older), "{refused}");
            assert_eq!(refused.to_string(), "schema is older: start the server once to upgrade");
        }
    }

    async fn a_look_sees_what_is_there_beside_a_server(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await;
        let looking = Engine::open(options(&instance, 7, OpenRole::Look)).await.unwrap();
        assert_eq!(looking.verifier.whoami(key.secret.expose(), None).unwrap().code, Code::Valid);
        assert!(matches!(Engine::open(options(&instance, 8, OpenRole::Look)).await, Err(OpenError::WrongPepper(_))));
    }
}

#[tokio::test]
async fn a_transaction_that_lost_to_another_is_tried_again() {
    let Some(instance) = Instance::open(On::Postgres).await else { return };
    let DatabaseUrl::Postgres(url) = &instance.database else { unreachable!() };
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let mut other = sqlx::PgConnection::connect(url).await.unwrap();
    // Whoever waits for so long looks whether all wait in a circle, and gives up if so: the engine shall be the first to look.
    other.execute("SET deadlock_timeout = '5s'").await.unwrap();
    for _ in 0..5 {
        let key = instance.key(&ada, &acme.id, "CI").await.key;
        let lock_key = format!("BEGIN; SELECT 1 FROM keys WHERE id = '{}' FOR UPDATE", key.id);
        other.execute(sqlx::AssertSqlSafe(lock_key)).await.unwrap();
        let (engine, actor, workspace, id) = (instance.engine.clone(), ada.clone(), acme.id.clone(), key.id.clone());
        let stopping = tokio::spawn(async move { engine.keys.deactivate(&actor, &workspace, &id, "").await });
        // It has the chain now and waits for the key.
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))";
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut other).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
        let lock_chain = format!("SELECT 1 FROM audit_chains WHERE chain = '{}' FOR UPDATE", acme.id);
        let won = other.execute(sqlx::AssertSqlSafe(lock_chain)).await;
        other.execute(if won.is_ok() { "COMMIT" } else { "ROLLBACK" }).await.unwrap();
        let stopped = stopping.await.unwrap().unwrap();
        assert_eq!((stopped.state, stopped.version), (KeyState::Inactive(InactiveReason::Deactivated), key.version + 1));
        if won.is_ok() {
            let report = instance.engine.audit.verify_chains(&operator()).await.unwrap();
            assert_eq!(report.broken, None);
            return;
        }
        // On a busy machine the engine may look before there is a circle.
    }
    panic!("the engine never lost");
}

#[tokio::test]
async fn a_server_that_forgets_what_it_acknowledged_is_refused() {
    let Some(instance) = Instance::open(On::Postgres).await else { return };
    let DatabaseUrl::Postgres(url) = &instance.database else { unreachable!() };
    let joint = if url.contains('?') { '&' } else { '?' };
    let forgetful = DatabaseUrl::Postgres(format!("{url}{joint}options=-c%20synchronous_commit%3Doff"));
    let options = EngineOptions { database: forgetful, ..options(&instance, 7, OpenRole::Serve) };
    let Err(refused) = Engine::open(options).await else { panic!("opened") };
    assert!(matches!(refused, OpenError::Unfit(_)) && refused.to_string().contains("synchronous_commit"), "{refused}");
}

#[tokio::test]
async fn a_look_at_an_empty_file_leaves_it_empty() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyfold.db");
    std::fs::write(&path, "").unwrap();
    let options = EngineOptions {
        database: keyfold_engine::DatabaseUrl::Sqlite(path.clone()),
        pepper: Pepper::from_bytes([7; 32]),
        prefix: keyfold_domain::token::Prefix::default(),
        clock: Arc::new(keyfold_engine::SystemClock),
        entropy: Arc::new(SeededEntropy::new(1)),
        role: OpenRole::Look,
    };
    assert!(matches!(Engine::open(options).await, Err(OpenError::Empty)));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 0);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[tokio::test]
async fn a_second_server_on_the_same_file_is_refused_until_the_first_is_gone() {
    let instance = Instance::open(On::Sqlite).await.unwrap();
    let Err(refused) = Engine::open(options(&instance, 7, OpenRole::Serve)).await else { panic!("opened") };
    assert!(matches!(&refused, OpenError::InUse(_)), "{refused}");
    instance.engine.close().await;
    let Instance { engine, clock, database, folder } = instance;
    drop(engine);
    assert!(open(database, &clock, 3).await.is_ok());
    drop(folder);
}

#[tokio::test]
async fn no_secret_reaches_the_database_file_or_its_wal() {
    let instance = Instance::open(On::Sqlite).await.unwrap();
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let mut secrets = Vec::new();
    for at in 0..10 {
        secrets.push(instance.key(&ada, &acme.id, &format!("k{at}")).await.secret);
    }
    instance.engine.verifier.whoami(secrets[0].expose(), None).unwrap();
    instance.engine.flush_usage().await.unwrap();
    let mut read = 0;
    for entry in std::fs::read_dir(instance.folder.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        read += bytes.len();
        for secret in &secrets {
            for window in secret.expose().as_bytes()[7..].windows(12) {
                assert!(!bytes.windows(12).any(|found| found == window));
            }
        }
    }
    assert!(read > 10_000, "the files hold something");
}
