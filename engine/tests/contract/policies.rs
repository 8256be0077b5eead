//! The rules for keys: of the instance and of a workspace, on every way to an end, and what becomes of keys that were there.

use keyfold_domain::audit::AuditFilter;
use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::key::{Expiry, Inactivity, KeyFilter, KeyPatch, NewKey};
use keyfold_domain::policy::Actor;
use keyfold_domain::policy_limits::{ExistingKeys, KeyPolicy, PolicyChange, PolicyDetail, Shortened};
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::time::Timestamp;
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::Role;
use keyfold_engine::{DatabaseUrl, Error};

use crate::support::{Instance, NOW, code, new_key, on_both, operator, refusal};

fn capped(days: u32) -> KeyPolicy {
    KeyPolicy { max_expiry_days: Some(days), default_expiry_days: None, ..KeyPolicy::default() }
}

fn change(policy: KeyPolicy, existing: Option<ExistingKeys>) -> PolicyChange {
    PolicyChange { policy, version: None, existing }
}

impl Instance {
    async fn set(&self, workspace: Option<&WorkspaceId>, policy: KeyPolicy, existing: Option<ExistingKeys>) -> (PolicyDetail, Shortened) {
        self.engine.policies.update(&operator(), workspace, change(policy, existing)).await.unwrap()
    }

    async fn make(&self, actor: &Actor, workspace: &WorkspaceId, expires_at: Expiry) -> Result<Option<Timestamp>, Error> {
        let new = NewKey { expires_at, ..new_key("made", &["chat"]) };
        self.engine.keys.create(actor, workspace, new, None).await.map(|issued| issued.key.expires_at)
    }

    async fn edit(&self, actor: &Actor, workspace: &WorkspaceId, id: &KeyId, expires_at: Expiry) -> Result<Option<Timestamp>, Error> {
        let patch = KeyPatch { expires_at: Some(expires_at), ..KeyPatch::default() };
        self.engine.keys.update(actor, workspace, id, patch).await.map(|key| key.expires_at)
    }

    async fn actions(&self, workspace: Option<&WorkspaceId>, action: &str) -> Vec<keyfold_domain::audit::AuditEvent> {
        let filter = AuditFilter { action: action.into(), limit: 200, ..AuditFilter::default() };
        self.engine.audit.list(&operator(), workspace, &filter).await.unwrap().items
    }

    /// Puts `count` keys that never end beside the services, each like that key.
    async fn copies(&self, id: &KeyId, count: u32) {
        let mac = match self.database {
            DatabaseUrl::Sqlite(_) => "randomblob(32)",
            DatabaseUrl::Postgres(_) => "sha256(numbers.id::bytea)",
        };
        let numbers = format!(
            "WITH RECURSIVE n (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM n WHERE at < {count}), \
             numbers AS (SELECT 'key_000000000000000' || (1000000 + at) AS id FROM n) "
        );
        self.sql(format!(
            "INSERT INTO keys (id, workspace_id, owner_id, created_by, name, folded_name, kind, scopes, note, created_at, total_calls, version) \
             {numbers} SELECT numbers.id, k.workspace_id, k.owner_id, k.created_by, k.name, k.folded_name, k.kind, k.scopes, k.note, \
             k.created_at, 0, 1 FROM numbers CROSS JOIN keys k WHERE k.id = '{id}'"
        ))
        .await;
        self.sql(format!(
            "INSERT INTO secrets (id, key_id, mac, pepper_id, hint, created_at) \
             {numbers} SELECT 'sec' || numbers.id, numbers.id, {mac}, s.pepper_id, s.hint, s.created_at \
             FROM numbers CROSS JOIN secrets s WHERE s.key_id = '{id}'"
        ))
        .await;
    }
}

on_both! {
    async fn a_cap_holds_to_the_millisecond_when_a_key_is_made_and_when_it_is_edited(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await.key;
        instance.set(Some(&acme.id), capped(30), Some(ExistingKeys::Keep)).await;
        let cap = NOW.plus_days(30);
        for (wish, end) in [
            (Expiry::Default, Some(Some(cap))),
            (Expiry::InDays(30), Some(Some(cap))),
            (Expiry::At(cap), Some(Some(cap))),
            (Expiry::At(cap.plus_ms(1)), None),
            (Expiry::InDays(31), None),
            (Expiry::Never, None),
            (Expiry::InDays(0), None),
        ] {
            assert_eq!(instance.make(&ada, &acme.id, wish).await.ok(), end, "made {wish:?}");
            assert_eq!(instance.edit(&ada, &acme.id, &key.id, wish).await.ok(), end, "edited {wish:?}");
        }
        let refused = refusal(instance.make(&ada, &acme.id, Expiry::Never).await);
        assert_eq!(refused.field.as_deref(), Some("expires_at"));
        assert!(refused.message.contains("30 days"), "{}", refused.message);
        // What is not about the end of a key that lives longer stays possible.
        let long = instance.member(&acme.id, "linus", Role::Member).await;
        instance.set(Some(&acme.id), KeyPolicy::default(), None).await;
        let forever = instance.engine.keys.create(&long, &acme.id, NewKey { expires_at: Expiry::Never, ..new_key("long", &["chat"]) }, None).await.unwrap().key;
        instance.set(Some(&acme.id), capped(30), Some(ExistingKeys::Keep)).await;
        let renamed = KeyPatch { name: Some("renamed".into()), ..KeyPatch::default() };
        assert_eq!(instance.engine.keys.update(&long, &acme.id, &forever.id, renamed).await.unwrap().expires_at, None);
    }

    async fn the_stricter_of_instance_and_workspace_holds(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        instance.set(None, capped(10), None).await;
        instance.set(Some(&acme.id), capped(30), None).await;
        assert_eq!(instance.make(&ada, &acme.id, Expiry::Default).await.unwrap(), Some(NOW.plus_days(10)));
        assert_eq!(code(instance.make(&ada, &acme.id, Expiry::InDays(11)).await), ProblemCode::Invalid);
        instance.set(Some(&acme.id), capped(7), Some(ExistingKeys::Keep)).await;
        assert_eq!(code(instance.make(&ada, &acme.id, Expiry::InDays(8)).await), ProblemCode::Invalid);
        let detail = instance.engine.policies.get(&ada, Some(&acme.id)).await.unwrap();
        assert_eq!(
            (detail.own.max_expiry_days, detail.instance.max_expiry_days, detail.in_force.max_expiry_days),
            (Some(7), Some(10), Some(7))
        );
        assert_eq!(instance.engine.workspaces.get(&ada, "acme").await.unwrap().key_policy, detail.in_force);
        // Of another workspace, too.
        let (zeta, zoe) = instance.workspace("zeta", "zoe").await;
        assert_eq!(code(instance.make(&zoe, &zeta.id, Expiry::Never).await), ProblemCode::Invalid);
    }

    async fn never_and_creation_and_numbers_are_bound_by_both(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        instance.make(&linus, &acme.id, Expiry::Never).await.unwrap();
        instance.set(None, KeyPolicy { never_allowed: false, ..KeyPolicy::of_instance() }, Some(ExistingKeys::Keep)).await;
        assert_eq!(code(instance.make(&linus, &acme.id, Expiry::Never).await), ProblemCode::Invalid);
        assert_eq!(instance.make(&linus, &acme.id, Expiry::Default).await.unwrap(), Some(NOW.plus_days(90)));
        instance.set(Some(&acme.id), KeyPolicy { default_expiry_days: None, ..KeyPolicy::default() }, Some(ExistingKeys::Keep)).await;
        assert_eq!(code(instance.make(&linus, &acme.id, Expiry::Default).await), ProblemCode::Invalid);
        instance.set(None, KeyPolicy { members_may_create: false, ..KeyPolicy::of_instance() }, None).await;
        assert_eq!(code(instance.make(&linus, &acme.id, Expiry::InDays(5)).await), ProblemCode::Forbidden);
        instance.make(&ada, &acme.id, Expiry::InDays(5)).await.unwrap();
        instance.set(None, KeyPolicy { max_live_per_user: 1, ..KeyPolicy::of_instance() }, None).await;
        assert_eq!(code(instance.make(&ada, &acme.id, Expiry::InDays(5)).await), ProblemCode::Conflict);
        instance.set(None, KeyPolicy { max_live_per_workspace: 3, ..KeyPolicy::of_instance() }, None).await;
        assert_eq!(code(instance.make(&ada, &acme.id, Expiry::InDays(5)).await), ProblemCode::Conflict);
    }

    async fn nothing_said_none_and_a_number_are_three_intervals(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        instance.set(Some(&acme.id), KeyPolicy { default_inactivity_days: Some(45), ..KeyPolicy::default() }, None).await;
        for (wish, days) in [(Inactivity::Default, Some(45)), (Inactivity::Off, None), (Inactivity::Days(7), Some(7))] {
            let new = NewKey { inactivity_days: wish, ..new_key("idle", &["chat"]) };
            assert_eq!(instance.engine.keys.create(&ada, &acme.id, new, None).await.unwrap().key.inactivity_days, days, "{wish:?}");
        }
        let zero = NewKey { inactivity_days: Inactivity::Days(0), ..new_key("idle", &["chat"]) };
        let refused = refusal(instance.engine.keys.create(&ada, &acme.id, zero, None).await);
        assert_eq!(refused.field.as_deref(), Some("inactivity_days"));
        // The instance's stands in where the workspace has none.
        instance.set(Some(&acme.id), KeyPolicy::default(), None).await;
        instance.set(None, KeyPolicy { default_inactivity_days: Some(60), ..KeyPolicy::of_instance() }, None).await;
        assert_eq!(instance.key(&ada, &acme.id, "idle").await.key.inactivity_days, Some(60));
    }

    async fn lowering_a_cap_lists_whom_it_concerns_and_does_nothing_until_it_is_decided(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (zeta, zoe) = instance.workspace("zeta", "zoe").await;
        for days in [10, 30, 31, 60] {
            instance.make(&ada, &acme.id, Expiry::InDays(days)).await.unwrap();
        }
        for _ in 0..3 {
            instance.make(&ada, &acme.id, Expiry::Never).await.unwrap();
        }
        let gone = instance.key(&ada, &acme.id, "gone").await.key;
        instance.engine.keys.delete(&ada, &acme.id, &gone.id).await.unwrap();
        instance.make(&zoe, &zeta.id, Expiry::Never).await.unwrap();
        let before = instance.engine.keys.list(&ada, &acme.id, &KeyFilter::default()).await.unwrap();

        let policies = &instance.engine.policies;
        let (mut seen, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let page = policies.preview(&ada, Some(&acme.id), capped(30), cursor.as_deref(), 2).await.unwrap();
            assert_eq!((page.affected, page.brought_down_to), (5, Some(NOW.plus_days(30))));
            seen.extend(page.keys.items.iter().map(|key| key.expires_at));
            cursor = page.keys.next;
            if cursor.is_none() {
                break;
            }
        }
        assert_eq!(seen, [None, None, None, Some(NOW.plus_days(60)), Some(NOW.plus_days(31))]);
        assert_eq!(policies.preview(&operator(), None, capped(30), None, 10).await.unwrap().affected, 6);
        assert_eq!(policies.preview(&ada, Some(&acme.id), KeyPolicy::default(), None, 10).await.unwrap().affected, 0);
        assert_eq!(code(policies.preview(&ada, Some(&acme.id), capped(30), Some("nonsense"), 10).await), ProblemCode::Invalid);

        let refused = refusal(policies.update(&ada, Some(&acme.id), change(capped(30), None)).await);
        assert_eq!(refused.field.as_deref(), Some("existing_keys"));
        assert!(refused.message.contains("5 keys"), "{}", refused.message);
        assert_eq!(instance.engine.keys.list(&ada, &acme.id, &KeyFilter::default()).await.unwrap(), before);
        assert_eq!(policies.get(&ada, Some(&acme.id)).await.unwrap().version, 1);

        let (detail, done) = policies.update(&ada, Some(&acme.id), change(capped(30), Some(ExistingKeys::Keep))).await.unwrap();
        assert_eq!((detail.version, done), (2, Shortened { shortened: 0, remaining: 5 }));
        assert_eq!(instance.engine.keys.list(&ada, &acme.id, &KeyFilter::default()).await.unwrap(), before);
        // What does not move the bound needs no decision though keys live longer.
        policies.update(&ada, Some(&acme.id), change(KeyPolicy { members_may_create: false, ..capped(30) }, None)).await.unwrap();
    }

    async fn keys_are_brought_down_with_an_event_each_and_the_verifier_follows(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (zeta, zoe) = instance.workspace("zeta", "zoe").await;
        let forever = instance.engine.keys.create(&ada, &acme.id, NewKey { expires_at: Expiry::Never, ..new_key("long", &["chat"]) }, None).await.unwrap();
        let short = instance.engine.keys.create(&ada, &acme.id, NewKey { expires_at: Expiry::InDays(3), ..new_key("short", &["chat"]) }, None).await.unwrap();
        let foreign = instance.engine.keys.create(&zoe, &zeta.id, NewKey { expires_at: Expiry::Never, ..new_key("long", &["chat"]) }, None).await.unwrap();
        let beside = instance.beside().await;
        let (_, done) = instance.engine.policies.update(&ada, Some(&acme.id), change(capped(5), Some(ExistingKeys::Shorten))).await.unwrap();
        assert_eq!(done, Shortened { shortened: 1, remaining: 0 });
        let key = instance.engine.keys.get(&ada, &acme.id, &forever.key.id).await.unwrap();
        assert_eq!((key.expires_at, key.version), (Some(NOW.plus_days(5)), forever.key.version + 1));
        assert_eq!(instance.engine.keys.get(&ada, &acme.id, &short.key.id).await.unwrap(), short.key);
        assert_eq!(instance.engine.keys.get(&zoe, &zeta.id, &foreign.key.id).await.unwrap(), foreign.key);
        let events = instance.actions(Some(&acme.id), "key.shorten").await;
        assert_eq!(events.len(), 1);
        assert_eq!((events[0].object.as_str(), events[0].actor.name.as_str()), (forever.key.id.as_str(), "ada"));
        assert_eq!(events[0].changes.iter().map(|change| change.field.as_str()).collect::<Vec<_>>(), ["expires_at"]);
        let policy = &instance.actions(Some(&acme.id), "policy.update").await[0];
        let fields: Vec<_> = policy.changes.iter().map(|change| change.field.as_str()).collect();
        assert_eq!(fields, ["default_expiry_days", "existing_keys", "max_expiry_days"]);

        beside.sync().await.unwrap();
        instance.clock.advance_ms(5 * 86_400_000 - 1);
        for engine in [&instance.engine, &beside] {
            assert_eq!(engine.verifier.whoami(forever.secret.expose(), None).unwrap().code, Code::Valid);
        }
        instance.clock.advance_ms(1);
        for engine in [&instance.engine, &beside] {
            assert_eq!(engine.verifier.whoami(forever.secret.expose(), None).unwrap().code, Code::Expired);
            assert_eq!(engine.verifier.whoami(foreign.secret.expose(), None).unwrap().code, Code::Valid);
        }
        assert_eq!(instance.engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
    }

    async fn a_long_list_is_brought_down_in_rounds_and_doing_it_again_finishes_the_rest(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let first = instance.engine.keys.create(&ada, &acme.id, NewKey { expires_at: Expiry::Never, ..new_key("long", &["chat"]) }, None).await.unwrap().key;
        instance.copies(&first.id, 2149).await;
        let policies = &instance.engine.policies;
        let (_, done) = policies.update(&ada, Some(&acme.id), change(capped(30), Some(ExistingKeys::Shorten))).await.unwrap();
        assert_eq!(done, Shortened { shortened: 2000, remaining: 150 });
        assert_eq!(policies.beyond(&ada, Some(&acme.id)).await.unwrap(), 150);
        // Time goes on between the rounds, and with it the cap.
        instance.clock.advance_ms(1000);
        assert_eq!(policies.shorten(&ada, Some(&acme.id)).await.unwrap(), Shortened { shortened: 150, remaining: 0 });
        assert_eq!(policies.shorten(&ada, Some(&acme.id)).await.unwrap(), Shortened::default());
        assert_eq!(policies.beyond(&ada, Some(&acme.id)).await.unwrap(), 0);
        assert_eq!(instance.engine.audit.verify_chains(&operator()).await.unwrap().broken, None);
    }

    async fn the_instances_cap_brings_down_the_keys_of_every_workspace_to_what_holds_there(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (zeta, zoe) = instance.workspace("zeta", "zoe").await;
        instance.set(Some(&zeta.id), capped(10), None).await;
        instance.sql(format!("UPDATE workspaces SET max_expiry_days = NULL WHERE id = '{}'", zeta.id)).await;
        let (one, other) = (instance.make(&ada, &acme.id, Expiry::Never).await, instance.make(&zoe, &zeta.id, Expiry::Never).await);
        assert_eq!((one.unwrap(), other.unwrap()), (None, None));
        instance.sql(format!("UPDATE workspaces SET max_expiry_days = 10 WHERE id = '{}'", zeta.id)).await;
        let (_, done) = instance.set(None, capped(30), Some(ExistingKeys::Shorten)).await;
        assert_eq!(done, Shortened { shortened: 2, remaining: 0 });
        let end = async |actor: &Actor, workspace: &WorkspaceId| {
            instance.engine.keys.list(actor, workspace, &KeyFilter::default()).await.unwrap().items[0].expires_at
        };
        assert_eq!(end(&ada, &acme.id).await, Some(NOW.plus_days(30)));
        assert_eq!(end(&zoe, &zeta.id).await, Some(NOW.plus_days(10)));
    }

    async fn keys_that_never_end_can_only_be_brought_down_to_an_end_that_is_named(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        instance.make(&ada, &acme.id, Expiry::Never).await.unwrap();
        let ending = |days| KeyPolicy { never_allowed: false, default_expiry_days: days, ..KeyPolicy::default() };
        let policies = &instance.engine.policies;
        let refused = refusal(policies.update(&ada, Some(&acme.id), change(ending(None), Some(ExistingKeys::Shorten))).await);
        assert_eq!(refused.field.as_deref(), Some("default_expiry_days"));
        let (_, done) = policies.update(&ada, Some(&acme.id), change(ending(Some(20)), Some(ExistingKeys::Shorten))).await.unwrap();
        assert_eq!(done, Shortened { shortened: 1, remaining: 0 });
        let key = &instance.engine.keys.list(&ada, &acme.id, &KeyFilter::default()).await.unwrap().items[0];
        assert_eq!(key.expires_at, Some(NOW.plus_days(20)));
    }

    async fn no_key_slips_past_a_cap_that_is_lowered_while_it_is_made(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let mut makers = Vec::new();
        for at in 0..24u32 {
            let (engine, ada, id) = (instance.engine.clone(), ada.clone(), acme.id.clone());
            makers.push(tokio::spawn(async move {
                let new = NewKey { expires_at: Expiry::Never, ..new_key(&format!("k{at}"), &["chat"]) };
                engine.keys.create(&ada, &id, new, None).await
            }));
            if at == 8 {
                tokio::task::yield_now().await;
            }
        }
        instance.set(Some(&acme.id), capped(30), Some(ExistingKeys::Shorten)).await;
        for maker in makers {
            if let Err(error) = maker.await.unwrap() {
                assert!(error.is(ProblemCode::Invalid), "{error}");
            }
        }
        assert_eq!(instance.engine.policies.beyond(&ada, Some(&acme.id)).await.unwrap(), 0);
    }

    async fn who_saw_older_rules_changes_nothing(instance) {
        let (acme, _) = instance.workspace("acme", "ada").await;
        let policies = &instance.engine.policies;
        for place in [Some(&acme.id), None] {
            let asked = PolicyChange { version: Some(1), ..change(capped(30), None) };
            assert_eq!(policies.update(&operator(), place, asked.clone()).await.unwrap().0.version, 2);
            let refused = refusal(policies.update(&operator(), place, asked).await);
            assert_eq!((refused.code, refused.field.as_deref()), (ProblemCode::Conflict, Some("version")));
            assert_eq!(policies.get(&operator(), place).await.unwrap().version, 2);
        }
        assert_eq!(instance.actions(Some(&acme.id), "policy.update").await.len(), 1);
        assert_eq!(instance.actions(None, "policy.update").await.len(), 1);
    }

    async fn the_rules_are_changed_by_admins_and_the_instances_by_its_own(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let (zeta, _) = instance.workspace("zeta", "zoe").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        instance.user("root", true).await;
        let root = instance.sign_in("root").await;
        let policies = &instance.engine.policies;
        for (actor, place, changes, reads) in [
            (&linus, Some(&acme.id), Some(ProblemCode::Forbidden), None),
            (&ada, Some(&acme.id), None, None),
            (&ada, Some(&zeta.id), Some(ProblemCode::NotFound), Some(ProblemCode::NotFound)),
            (&ada, None, Some(ProblemCode::Forbidden), Some(ProblemCode::Forbidden)),
            (&root, Some(&zeta.id), None, None),
            (&root, None, None, None),
        ] {
            let refused = |result: Result<(), Error>| result.err().map(|error| error.problem().code);
            assert_eq!(refused(policies.get(actor, place).await.map(drop)), reads);
            assert_eq!(refused(policies.update(actor, place, change(KeyPolicy::default(), None)).await.map(drop)), changes);
            assert_eq!(refused(policies.preview(actor, place, capped(1), None, 10).await.map(drop)), changes);
            assert_eq!(refused(policies.shorten(actor, place).await.map(drop)), changes);
        }
        let senseless = KeyPolicy { max_expiry_days: Some(0), ..KeyPolicy::default() };
        let refused = refusal(policies.update(&ada, Some(&acme.id), change(senseless, None)).await);
        assert_eq!(refused.field.as_deref(), Some("max_expiry_days"));
    }
}
