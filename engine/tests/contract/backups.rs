//! Backups: complete or not there, refused where they do not fit, and no way for what was revoked to come back unasked.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use keyfold_domain::audit::{AuditFilter, ChainHead};
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::key::{IssuedKey, KeyPatch};
use keyfold_domain::secret::{Grace, Rotation};
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::Role;
use keyfold_engine::testing::{SeededEntropy, execute, open};
use keyfold_engine::{
    BackupError, BackupReport, DatabaseUrl, Engine, Pepper, RestoreOptions, RestoreReport, Revived, backup, inspect_backup, restore,
};

use crate::support::{Instance, On, id_of, operator, scopes};

async fn on_sqlite() -> Instance {
    Instance::open(On::Sqlite).await.unwrap()
}

fn pepper() -> Pepper {
    Pepper::from_bytes([7; 32])
}

impl Instance {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn back_up(&self, to: &Path, overwrite: bool) -> Result<BackupReport, BackupError> {
        backup(&self.database, &pepper(), self.clock.as_ref(), to, overwrite).await
    }

    fn options(&self, from: &Path, to: &Path, revived: Revived) -> RestoreOptions {
        RestoreOptions {
            from: from.to_owned(),
            to: DatabaseUrl::Sqlite(to.to_owned()),
            pepper: pepper(),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(77)),
            revived,
            heads: Vec::new(),
        }
    }

    async fn restore(&self, from: &Path, to: &Path, revived: Revived) -> Result<RestoreReport, BackupError> {
        restore(&operator(), &self.options(from, to, revived)).await
    }

    /// Everything that the audit log holds, as `keyfold audit export` prints it.
    async fn events(&self, workspaces: &[&WorkspaceId]) -> String {
        let mut lines = String::new();
        let chains = [None].into_iter().chain(workspaces.iter().map(|id| Some(*id)));
        for chain in chains {
            let mut file = self.engine.audit.export(&operator(), chain, &AuditFilter::default()).await.unwrap();
            while let Some(piece) = file.next().await.unwrap() {
                lines.push_str(&piece);
            }
        }
        lines
    }

    async fn reopened(&self, path: &Path) -> Engine {
        open(DatabaseUrl::Sqlite(path.to_owned()), &self.clock, 5).await.unwrap()
    }
}

fn verdict(engine: &Engine, key: &IssuedKey) -> Code {
    engine.verifier.whoami(key.secret.expose(), None).unwrap().code
}

fn follow(events: &Path) -> Revived {
    Revived::Follow { events: vec![events.to_owned()], and_deactivate: false }
}

#[tokio::test]
async fn a_backup_beside_a_running_server_is_whole_and_for_its_owner_alone() {
    let instance = on_sqlite().await;
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let key = instance.key(&ada, &acme.id, "CI").await;
    let gone = instance.key(&ada, &acme.id, "gone").await;
    instance.engine.keys.delete(&ada, &acme.id, &gone.key.id).await.unwrap();
    let to = instance.path("copy.db");
    let report = instance.back_up(&to, false).await.unwrap();
    let found = std::fs::metadata(&to).unwrap();
    assert_eq!((report.bytes, found.permissions().mode() & 0o777), (found.len(), 0o600));
    assert_eq!((report.facts.keys, report.facts.pepper.as_deref()), (1, Some(pepper().fingerprint().as_str())));
    assert!(report.events >= 4, "{report:?}");
    assert_eq!(inspect_backup(&to).await.unwrap(), report.facts);
    assert!(!instance.path("copy.db.part").exists());
    // What is written after it is not in it, and what it holds is not the secret.
    assert_eq!(verdict(&instance.engine, &key), Code::Valid);
    let bytes = std::fs::read(&to).unwrap();
    let secret = key.secret.expose().as_bytes();
    assert!(!bytes.windows(12).any(|window| secret.windows(12).any(|part| part == window)));
}

#[tokio::test]
async fn a_backup_replaces_nothing_unasked_and_never_the_database() {
    let instance = on_sqlite().await;
    let to = instance.path("copy.db");
    std::fs::write(&to, "precious").unwrap();
    assert!(matches!(instance.back_up(&to, false).await, Err(BackupError::Exists(_))));
    assert_eq!(std::fs::read(&to).unwrap(), b"precious");
    for own in ["keyfold.db", "keyfold.db-wal", "keyfold.db.lock", "./keyfold.db"] {
        assert!(matches!(instance.back_up(&instance.path(own), true).await, Err(BackupError::Itself(_))), "{own}");
    }
    assert!(matches!(instance.back_up(instance.folder.path(), true).await, Err(BackupError::Exists(_))));
    // Somebody else is at it.
    let part = std::fs::File::create(instance.path("copy.db.part")).unwrap();
    part.lock().unwrap();
    assert!(matches!(instance.back_up(&to, true).await, Err(BackupError::Busy(_))));
    drop(part);
    // What a crash has left behind is in nobody's way.
    std::fs::write(instance.path("copy.db.part"), "half").unwrap();
    instance.back_up(&to, true).await.unwrap();
    assert!(inspect_backup(&to).await.is_ok());
    // A log that is not whole is not copied silently, and the backup from before stays.
    instance.user("ada", false).await;
    execute(&instance.database, "UPDATE audit_events SET body = body || ' ' WHERE seq = 1").await.unwrap();
    let before = std::fs::read(&to).unwrap();
    assert!(matches!(instance.back_up(&to, true).await, Err(BackupError::Broken(..))));
    assert_eq!(std::fs::read(&to).unwrap(), before);
    let wrong = backup(&instance.database, &Pepper::from_bytes([8; 32]), instance.clock.as_ref(), &instance.path("other.db"), false).await;
    let text = wrong.unwrap_err().to_string();
    assert!(text.contains(&pepper().fingerprint()) && text.contains(&Pepper::from_bytes([8; 32]).fingerprint()), "{text}");
    let absent = DatabaseUrl::Sqlite(instance.path("nowhere.db"));
    assert!(matches!(backup(&absent, &pepper(), instance.clock.as_ref(), &to, true).await, Err(BackupError::Absent(_))));
    let elsewhere = DatabaseUrl::Postgres("postgres://db.example/keyfold".into());
    let refused = backup(&elsewhere, &pepper(), instance.clock.as_ref(), &to, true).await.unwrap_err().to_string();
    assert!(refused.contains("pg_dump") && refused.contains("pg_restore"), "{refused}");
}

#[tokio::test]
async fn a_restored_backup_is_the_instance_of_then_with_every_door_shut() {
    let instance = on_sqlite().await;
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let key = instance.key(&ada, &acme.id, "CI").await;
    let (from, to) = (instance.path("copy.db"), instance.path("restored.db"));
    instance.back_up(&from, false).await.unwrap();
    let report = instance.restore(&from, &to, Revived::Accept).await.unwrap();
    assert_eq!((report.facts.keys, report.stopped.sessions, report.stopped.deactivated), (1, 1, 0));
    let engine = instance.reopened(&to).await;
    assert_eq!(verdict(&engine, &key), Code::Valid);
    assert_eq!(engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
    let restores = AuditFilter { action: "instance.restore".into(), ..AuditFilter::default() };
    assert_eq!(engine.audit.list(&operator(), None, &restores).await.unwrap().items.len(), 1);
    assert!(!instance.path("restored.db.restoring").exists());
    assert_eq!(std::fs::metadata(&to).unwrap().permissions().mode() & 0o777, 0o600);
    engine.close().await;
    drop(engine);
    // Beside one that is there, nothing is restored; not even beside what is left of one.
    assert!(matches!(instance.restore(&from, &to, Revived::Accept).await, Err(BackupError::Occupied(_))));
    std::fs::write(instance.path("other.db-wal"), "left").unwrap();
    assert!(matches!(instance.restore(&from, &instance.path("other.db"), Revived::Accept).await, Err(BackupError::Occupied(_))));
    let lock = std::fs::File::create(instance.path("used.db.lock")).unwrap();
    lock.lock().unwrap();
    assert!(matches!(instance.restore(&from, &instance.path("used.db"), Revived::Accept).await, Err(BackupError::InUse(_))));
    // What an interrupted restore has left behind is replaced.
    std::fs::write(instance.path("again.db.restoring"), "half").unwrap();
    std::fs::write(instance.path("again.db.restoring-journal"), "half").unwrap();
    instance.restore(&from, &instance.path("again.db"), Revived::Accept).await.unwrap();
    assert_eq!(verdict(&instance.reopened(&instance.path("again.db")).await, &key), Code::Valid);
}

#[tokio::test]
async fn what_does_not_fit_is_not_restored() {
    let instance = on_sqlite().await;
    let (acme, ada) = instance.workspace("acme", "ada").await;
    instance.key(&ada, &acme.id, "CI").await;
    let (from, to) = (instance.path("copy.db"), instance.path("restored.db"));
    instance.back_up(&from, false).await.unwrap();
    let spoilt = |name: &str| {
        let path = instance.path(name);
        std::fs::copy(&from, &path).unwrap();
        path
    };
    assert!(matches!(instance.restore(&instance.path("nothing"), &to, Revived::Accept).await, Err(BackupError::Absent(_))));
    let text = instance.path("text");
    std::fs::write(&text, "not a database").unwrap();
    assert!(matches!(instance.restore(&text, &to, Revived::Accept).await, Err(BackupError::Foreign(_))));
    let foreign = DatabaseUrl::Sqlite(spoilt("foreign.db"));
    execute(&foreign, "ALTER TABLE secrets RENAME TO other").await.unwrap();
    assert!(matches!(instance.restore(&instance.path("foreign.db"), &to, Revived::Accept).await, Err(BackupError::Foreign(_))));
    let newer = DatabaseUrl::Sqlite(spoilt("newer.db"));
    execute(&newer, "UPDATE _sqlx_migrations SET version = 9999 WHERE version = 1").await.unwrap();
    let said = instance.restore(&instance.path("newer.db"), &to, Revived::Accept).await.unwrap_err().to_string();
    assert!(said.contains("schema 9999") && said.contains("newer Keyfold"), "{said}");
    let forged = DatabaseUrl::Sqlite(spoilt("forged.db"));
    execute(&forged, "UPDATE audit_events SET body = replace(body, 'acme', 'evil') WHERE action = 'workspace.create'").await.unwrap();
    assert!(matches!(instance.restore(&instance.path("forged.db"), &to, Revived::Accept).await, Err(BackupError::Broken(..))));
    let mut bytes = std::fs::read(&from).unwrap();
    let half = bytes.len() / 2;
    bytes[half..half + 8000].fill(0xff);
    std::fs::write(instance.path("damaged.db"), bytes).unwrap();
    let damaged = instance.restore(&instance.path("damaged.db"), &to, Revived::Accept).await;
    assert!(matches!(damaged, Err(BackupError::Damaged(..) | BackupError::Broken(..) | BackupError::Store(_))), "{damaged:?}");
    let other = RestoreOptions { pepper: Pepper::from_bytes([8; 32]), ..instance.options(&from, &to, Revived::Accept) };
    let said = restore(&operator(), &other).await.unwrap_err().to_string();
    assert!(said.contains(&pepper().fingerprint()) && said.contains(&Pepper::from_bytes([8; 32]).fingerprint()), "{said}");
    assert!(!to.exists() && !instance.path("restored.db.restoring").exists());
}

#[tokio::test]
async fn what_was_taken_away_since_stays_away_when_the_events_are_given() {
    let instance = on_sqlite().await;
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let linus = instance.member(&acme.id, "linus", Role::Member).await;
    let grace = instance.member(&acme.id, "grace", Role::Admin).await;
    let keys = &instance.engine.keys;
    let of = async |name: &str| instance.key(&ada, &acme.id, name).await;
    let (kept, deleted, stopped, back, narrowed) =
        (of("kept").await, of("deleted").await, of("stopped").await, of("back").await, of("narrowed").await);
    let finished = of("finished").await;
    let (rotated, hurried, renamed) = (of("rotated").await, of("hurried").await, of("renamed").await);
    let (linus_key, grace_key) = (instance.key(&linus, &acme.id, "linus").await, instance.key(&grace, &acme.id, "grace").await);
    let retiring = of("retiring").await;
    let week = Rotation { grace: Grace::Week, version: None };
    let retired = keys.rotate(&ada, &acme.id, &retiring.key.id, week, None).await.unwrap();
    let from = instance.path("copy.db");
    instance.back_up(&from, false).await.unwrap();

    instance.clock.advance_ms(1000);
    keys.delete(&ada, &acme.id, &deleted.key.id).await.unwrap();
    keys.deactivate(&ada, &acme.id, &stopped.key.id, "lost laptop").await.unwrap();
    keys.deactivate_for_good(&ada, &acme.id, &finished.key.id, "").await.unwrap();
    keys.deactivate(&ada, &acme.id, &back.key.id, "a mistake").await.unwrap();
    keys.activate(&ada, &acme.id, &back.key.id).await.unwrap();
    let narrow = KeyPatch { scopes: Some(scopes(&["inference"])), ..KeyPatch::default() };
    keys.update(&ada, &acme.id, &narrowed.key.id, narrow).await.unwrap();
    let rename = KeyPatch { name: Some("another".into()), ..KeyPatch::default() };
    keys.update(&ada, &acme.id, &renamed.key.id, rename).await.unwrap();
    let hour = Rotation { grace: Grace::Hour, version: None };
    let lost = keys.rotate(&ada, &acme.id, &rotated.key.id, hour, None).await.unwrap();
    keys.rotate(&ada, &acme.id, &hurried.key.id, Rotation { grace: Grace::Now, version: None }, None).await.unwrap();
    let early = retired.secrets[1].id.clone();
    keys.end_secret(&ada, &acme.id, &retiring.key.id, &early).await.unwrap();
    instance.engine.members.remove(&ada, &acme.id, &id_of(&linus)).await.unwrap();
    instance.engine.users.disable(&operator(), &id_of(&grace)).await.unwrap();
    let younger = of("younger").await;
    let events = instance.path("events.jsonl");
    std::fs::write(&events, instance.events(&[&acme.id]).await).unwrap();

    let to = instance.path("restored.db");
    let report = instance.restore(&from, &to, follow(&events)).await.unwrap();
    let counted = &report.stopped;
    assert_eq!((counted.deleted, counted.deactivated, counted.rotated), (1, 3, 2), "{report:?}");
    assert_eq!((counted.people, counted.places), (1, 1), "{report:?}");
    assert_eq!(counted.left.get("key.create"), Some(&1));
    let engine = instance.reopened(&to).await;
    let expected = [
        (&kept, Code::Valid),
        (&deleted, Code::NotFound),
        (&stopped, Code::Deactivated),
        (&finished, Code::Deactivated),
        (&back, Code::Valid),
        (&narrowed, Code::Deactivated),
        (&renamed, Code::Valid),
        (&rotated, Code::Valid),
        (&lost.issued, Code::NotFound),
        (&hurried, Code::NotFound),
        (&retiring, Code::NotFound),
        (&retired.issued, Code::Valid),
        (&linus_key, Code::OwnerDisabled),
        (&grace_key, Code::OwnerDisabled),
        (&younger, Code::NotFound),
    ];
    for (key, code) in expected {
        assert_eq!(verdict(&engine, key), code, "{}", key.key.name);
    }
    let shown = engine.keys.get(&operator(), &acme.id, &stopped.key.id).await.unwrap();
    assert_eq!((shown.stopped_reason.as_deref(), shown.stopped_by.as_deref()), (Some("lost laptop"), Some("command line")));
    assert_eq!(engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
    assert!(engine.keys.activate(&operator(), &acme.id, &finished.key.id).await.is_err(), "what was for good is for good");
    // Nobody knows the secret that a rotated key has now; whoever rotates it again does.
    let again =
        engine.keys.rotate(&operator(), &acme.id, &hurried.key.id, Rotation { grace: Grace::Now, version: None }, None).await.unwrap();
    assert_eq!(verdict(&engine, &again.issued), Code::Valid);
    instance.clock.advance_ms(3_600_000);
    assert_eq!(verdict(&engine, &rotated), Code::NotFound, "its old secret ends when it was to end");
    // No activation revives what the rotation ended.
    assert_eq!(verdict(&engine, &hurried), Code::NotFound);
}

#[tokio::test]
async fn events_with_a_gap_a_change_or_an_early_end_are_refused() {
    let instance = on_sqlite().await;
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let one = instance.key(&ada, &acme.id, "one").await;
    let two = instance.key(&ada, &acme.id, "two").await;
    let (from, to) = (instance.path("copy.db"), instance.path("restored.db"));
    instance.back_up(&from, false).await.unwrap();
    instance.engine.keys.delete(&ada, &acme.id, &one.key.id).await.unwrap();
    instance.engine.keys.delete(&ada, &acme.id, &two.key.id).await.unwrap();
    let whole = instance.events(&[&acme.id]).await;
    let file = instance.path("events.jsonl");
    let heads: Vec<ChainHead> = instance.engine.audit.heads(&operator()).await.unwrap();
    let try_with = async |text: String, heads: Vec<ChainHead>| {
        std::fs::write(&file, text).unwrap();
        let options = RestoreOptions { heads, ..instance.options(&from, &to, follow(&file)) };
        restore(&operator(), &options).await
    };
    let without = |part: &str| whole.lines().filter(|line| !line.contains(part)).fold(String::new(), |text, line| text + line + "\n");
    let first = format!("\"action\":\"key.delete\",\"object\":\"{}\"", one.key.id);
    for (text, word) in [
        (without(&first), "missing"),
        (whole.replace(&first, &first.replace("key.delete", "key.keep")), "does not follow"),
        (whole.clone() + "{\"chain\":\"instance\"}\n", "no event"),
        (String::new() + "nonsense\n", "no event"),
    ] {
        let said = try_with(text, Vec::new()).await.unwrap_err().to_string();
        assert!(said.contains(word), "{word}: {said}");
        assert!(!to.exists());
    }
    // Nothing but a head from later tells that the newest events are not there.
    let said = try_with(String::new(), heads.clone()).await.unwrap_err().to_string();
    assert!(said.contains("end with number"), "{said}");
    assert!(try_with(whole.clone(), heads).await.is_ok());
    assert!(to.exists());
}

#[tokio::test]
async fn every_key_can_start_deactivated() {
    let instance = on_sqlite().await;
    let (acme, ada) = instance.workspace("acme", "ada").await;
    let (umbrella, grace) = instance.workspace("umbrella", "grace").await;
    let one = instance.key(&ada, &acme.id, "one").await;
    let two = instance.key(&grace, &umbrella.id, "two").await;
    let stopped = instance.key(&ada, &acme.id, "stopped").await;
    instance.engine.keys.deactivate(&ada, &acme.id, &stopped.key.id, "mine").await.unwrap();
    let (from, to) = (instance.path("copy.db"), instance.path("restored.db"));
    instance.back_up(&from, false).await.unwrap();
    let report = instance.restore(&from, &to, Revived::DeactivateAll).await.unwrap();
    assert_eq!(report.stopped.deactivated, 2);
    let engine = instance.reopened(&to).await;
    for key in [&one, &two, &stopped] {
        assert_eq!(verdict(&engine, key), Code::Deactivated);
    }
    let reason = async |key: &IssuedKey, workspace| engine.keys.get(&operator(), workspace, &key.key.id).await.unwrap().stopped_reason;
    assert_eq!(reason(&one, &acme.id).await.as_deref(), Some("Restored from a backup"));
    assert_eq!(reason(&stopped, &acme.id).await.as_deref(), Some("mine"));
    engine.keys.activate(&operator(), &acme.id, &one.key.id).await.unwrap();
    assert_eq!(verdict(&engine, &one), Code::Valid);
    assert_eq!(engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
}

#[tokio::test]
async fn a_backup_of_an_older_schema_is_brought_to_this_one() {
    let instance = on_sqlite().await;
    let (old, to) = (instance.path("old.db"), instance.path("restored.db"));
    let database = DatabaseUrl::Sqlite(old.clone());
    std::fs::File::create(&old).unwrap();
    execute(&database, include_str!("fixtures/schema_1_sqlite.sql")).await.unwrap();
    let copy = instance.path("copy.db");
    let report = backup(&database, &pepper(), instance.clock.as_ref(), &copy, false).await.unwrap();
    assert_eq!(report.facts.schema, 1);
    let restored = instance.restore(&copy, &to, Revived::Accept).await.unwrap();
    assert!(restored.schema > 1 && restored.facts.schema == 1);
    let engine = instance.reopened(&to).await;
    let secret = "kf_sec_UsOVdMrKV6UmUuZpzpsG5YmZzbJ05X1RaOrKzdI1Jll0itbim";
    assert_eq!(engine.verifier.whoami(secret, None).unwrap().code, Code::Valid);
    assert_eq!(engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
}
