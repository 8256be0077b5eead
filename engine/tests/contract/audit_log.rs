//! Reading the audit log: filters, pages, who sees what, and the file of it.

use keyfold_domain::audit::{AuditEvent, AuditFilter, AuditResult, Shown};
use keyfold_domain::ids::WorkspaceId;
use keyfold_domain::key::KeyPatch;
use keyfold_domain::policy::Actor;
use keyfold_domain::problem::ProblemCode;
use keyfold_domain::workspace::Role;
use keyfold_engine::Error;
use serde_json::Value;

use crate::support::{Instance, NOW, code, on_both, operator, refusal, scopes};

async fn list(instance: &Instance, actor: &Actor, workspace: Option<&WorkspaceId>, filter: AuditFilter) -> Vec<AuditEvent> {
    instance.engine.audit.list(actor, workspace, &filter).await.unwrap().items
}

fn any() -> AuditFilter {
    AuditFilter { limit: 200, ..AuditFilter::default() }
}

fn seqs(events: &[AuditEvent]) -> Vec<i64> {
    events.iter().map(|event| event.seq).collect()
}

on_both! {
    async fn an_event_tells_who_did_what_to_what_and_what_it_changed(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let key = instance.key(&ada, &acme.id, "CI").await.key;
        let patch = KeyPatch { scopes: Some(scopes(&["chat"])), name: Some("Build".into()), ..KeyPatch::default() };
        instance.engine.keys.update(&ada, &acme.id, &key.id, patch).await.unwrap();
        let events = list(&instance, &ada, Some(&acme.id), any()).await;
        let newest = &events[0];
        assert_eq!((newest.action.as_str(), newest.result, newest.at), ("key.update", AuditResult::Done, NOW));
        assert_eq!((newest.actor.kind.as_str(), newest.actor.name.as_str()), ("user", "ada"));
        assert_eq!((newest.object.as_str(), newest.object_name.as_deref()), (key.id.as_str(), Some("Build")));
        assert!(newest.ip.is_some() && !newest.request_id.is_empty());
        let text = |text: &str| Some(Shown::Text(text.into()));
        let told: Vec<_> = newest.changes.iter().map(|change| (change.field.as_str(), change.before.clone(), change.after.clone())).collect();
        assert_eq!(told, [("name", text("CI"), text("Build")), ("scopes", text("project"), text("chat"))]);
        assert_eq!(seqs(&events), (1..=i64::try_from(events.len()).unwrap()).rev().collect::<Vec<_>>());
        let owner = events[1].changes.iter().find(|change| change.field == "owner").unwrap();
        assert_eq!(owner.after, text("ada"), "people are named");
    }

    async fn each_filter_finds_its_events_and_they_add_up(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let key = instance.key(&ada, &acme.id, "first").await.key;
        instance.clock.advance_ms(1000);
        let other = instance.key(&linus, &acme.id, "Zweiter Schlüssel").await.key;
        instance.engine.keys.delete(&ada, &acme.id, &other.id).await.unwrap();
        assert_eq!(code(instance.engine.keys.activate(&linus, &acme.id, &other.id).await), ProblemCode::Forbidden);
        let (ada_id, linus_id) = (ada.user().unwrap().id.to_string(), linus.user().unwrap().id.to_string());
        let found = async |filter: AuditFilter| {
            let events = list(&instance, &ada, Some(&acme.id), AuditFilter { limit: 200, ..filter }).await;
            events.iter().rev().map(|event| event.action.clone()).collect::<Vec<_>>()
        };
        let all = found(any()).await;
        assert_eq!(all, ["workspace.create", "member.add", "key.create", "key.create", "key.delete", "activate_key"]);
        assert_eq!(found(AuditFilter { action: "key.".into(), ..any() }).await, ["key.create", "key.create", "key.delete"]);
        assert_eq!(found(AuditFilter { action: "key.create".into(), ..any() }).await, ["key.create", "key.create"]);
        assert_eq!(found(AuditFilter { action: "key".into(), ..any() }).await, [""; 0]);
        assert_eq!(found(AuditFilter { action: "nothing.".into(), ..any() }).await, [""; 0]);
        assert_eq!(found(AuditFilter { actor: linus_id.clone(), ..any() }).await, ["key.create", "activate_key"]);
        assert_eq!(found(AuditFilter { object: other.id.to_string(), ..any() }).await, ["key.create", "key.delete", "activate_key"]);
        assert_eq!(found(AuditFilter { object: other.id.to_string(), actor: ada_id.clone(), ..any() }).await, ["key.delete"]);
        assert_eq!(found(AuditFilter { object: key.id.to_string(), action: "key.".into(), ..any() }).await, ["key.create"]);
        assert_eq!(found(AuditFilter { result: Some(AuditResult::Refused), ..any() }).await, ["activate_key"]);
        assert_eq!(found(AuditFilter { result: Some(AuditResult::Done), actor: linus_id, ..any() }).await, ["key.create"]);
        assert_eq!(found(AuditFilter { until: Some(NOW.plus_ms(1000)), ..any() }).await, all[..3]);
        assert_eq!(found(AuditFilter { from: Some(NOW.plus_ms(1000)), ..any() }).await, all[3..]);
        assert_eq!(found(AuditFilter { from: Some(NOW.plus_ms(1001)), ..any() }).await, [""; 0]);
        assert_eq!(found(AuditFilter { search: "zweiter schlüssel".into(), ..any() }).await, ["key.create", "key.delete"]);
        assert_eq!(found(AuditFilter { search: other.id.to_string(), ..any() }).await, all[3..]);
        assert_eq!(found(AuditFilter { search: "100%".into(), ..any() }).await, [""; 0]);
        assert_eq!(found(AuditFilter { search: "'; DROP TABLE audit_events; --".into(), ..any() }).await, [""; 0]);
        let offered = instance.engine.audit.actions(&ada, Some(&acme.id)).await.unwrap();
        for action in &all {
            assert!(offered.contains(action), "{action}");
        }
        assert_eq!(offered.len(), 5);
    }

    async fn pages_miss_nothing_and_repeat_nothing_while_events_come_in(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        for at in 0..12 {
            instance.key(&ada, &acme.id, &format!("k{at}")).await;
        }
        for action in ["", "key.", "key.create"] {
            let whole = seqs(&list(&instance, &ada, Some(&acme.id), AuditFilter { action: action.into(), ..any() }).await);
            let (mut seen, mut cursor) = (Vec::new(), None);
            loop {
                let filter = AuditFilter { action: action.into(), limit: 5, cursor, ..AuditFilter::default() };
                let page = instance.engine.audit.list(&ada, Some(&acme.id), &filter).await.unwrap();
                assert!(page.items.len() <= 5);
                seen.extend(seqs(&page.items));
                instance.key(&ada, &acme.id, "later").await;
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!(seen, whole, "{action}");
        }
    }

    async fn a_search_looks_at_a_bounded_number_of_events_and_tells_where_to_go_on(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        instance.sql(format!(
            "INSERT INTO audit_events (chain, seq, body, mac, at, action, actor, object)
             WITH RECURSIVE n (at) AS (SELECT 2 UNION ALL SELECT at + 1 FROM n WHERE at < 60002)
             SELECT '{0}', n.at, e.body, e.mac, e.at, 'filler.made', e.actor, e.object FROM n CROSS JOIN audit_events e
             WHERE e.chain = '{0}' AND e.seq = 1", acme.id
        )).await;
        instance.sql(format!("UPDATE audit_chains SET seq = 60002 WHERE chain = '{}'", acme.id)).await;
        let wanted = AuditFilter { search: "nowhere to be found".into(), ..any() };
        let page = instance.engine.audit.list(&ada, Some(&acme.id), &wanted).await.unwrap();
        assert_eq!((page.items.len(), page.next.as_deref()), (0, Some("10003")));
        let rest = instance.engine.audit.list(&ada, Some(&acme.id), &AuditFilter { cursor: page.next, ..wanted }).await.unwrap();
        assert_eq!((rest.items.len(), rest.next), (0, None));
        // What an index finds is found at once, however far back it is.
        let first = list(&instance, &ada, Some(&acme.id), AuditFilter { action: "workspace.".into(), ..any() }).await;
        assert_eq!(seqs(&first), [1]);
    }

    async fn a_member_sees_their_own_acts_and_what_befell_their_keys(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let viewer = instance.member(&acme.id, "vera", Role::Viewer).await;
        let (of_ada, of_linus) = (instance.key(&ada, &acme.id, "a").await.key, instance.key(&linus, &acme.id, "l").await.key);
        instance.engine.keys.deactivate(&ada, &acme.id, &of_linus.id, "why").await.unwrap();
        let mine = list(&instance, &linus, Some(&acme.id), any()).await;
        assert_eq!(mine.iter().map(|event| event.action.as_str()).collect::<Vec<_>>(), ["key.create"]);
        assert!(list(&instance, &linus, Some(&acme.id), AuditFilter { actor: ada.user().unwrap().id.to_string(), ..any() }).await.is_empty());
        assert!(list(&instance, &linus, Some(&acme.id), AuditFilter { object: of_ada.id.to_string(), ..any() }).await.is_empty());
        let about = list(&instance, &linus, Some(&acme.id), AuditFilter { object: of_linus.id.to_string(), ..any() }).await;
        assert_eq!(about.iter().map(|event| event.action.as_str()).collect::<Vec<_>>(), ["key.deactivate", "key.create"]);
        let read = async |actor: &Actor, place: Option<&WorkspaceId>| instance.engine.audit.list(actor, place, &any()).await.map(drop);
        let (zeta, zoe) = instance.workspace("zeta", "zoe").await;
        assert_eq!(code(read(&viewer, Some(&acme.id)).await), ProblemCode::Forbidden);
        assert_eq!(code(read(&zoe, Some(&acme.id)).await), ProblemCode::NotFound);
        assert_eq!(code(read(&ada, None).await), ProblemCode::Forbidden);
        instance.user("root", true).await;
        let root = instance.sign_in("root").await;
        for place in [Some(&acme.id), Some(&zeta.id), None] {
            read(&root, place).await.unwrap();
        }
    }

    async fn a_management_key_reads_as_far_as_its_owner_may(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let request = crate::support::from([192, 0, 2, 9]);
        let acting = async |owner: &Actor, names: &[&str]| {
            let key = instance.management(owner, &acme.id, names).await;
            instance.engine.verifier.authenticate(key.secret.expose(), &request).unwrap()
        };
        let whole = list(&instance, &acting(&ada, &["audit:read"]).await, Some(&acme.id), any()).await;
        assert!(whole.iter().any(|event| event.actor.name == "command line"));
        let own = list(&instance, &acting(&linus, &["audit:read"]).await, Some(&acme.id), any()).await;
        assert!(!own.is_empty() && own.iter().all(|event| event.actor.name == "linus"));
        let narrow = acting(&ada, &["keys:read"]).await;
        assert_eq!(code(instance.engine.audit.list(&narrow, Some(&acme.id), &any()).await), ProblemCode::Forbidden);
    }

    async fn senseless_filters_are_refused_by_name(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let field = async |filter: AuditFilter| {
            refusal(instance.engine.audit.list(&ada, Some(&acme.id), &filter).await).field.unwrap()
        };
        assert_eq!(field(AuditFilter { limit: 0, ..any() }).await, "limit");
        assert_eq!(field(AuditFilter { limit: 201, ..any() }).await, "limit");
        assert_eq!(field(AuditFilter { search: "x".repeat(201), ..any() }).await, "search");
        assert_eq!(field(AuditFilter { actor: "\0".into(), ..any() }).await, "actor");
        for cursor in ["", "0", "-1", "x", "1.5", "99999999999999999999"] {
            assert_eq!(field(AuditFilter { cursor: Some(cursor.into()), ..any() }).await, "cursor", "{cursor}");
        }
        assert_eq!(field(AuditFilter { from: Some(NOW), until: Some(NOW), ..any() }).await, "until");
    }

    async fn the_file_has_every_event_as_it_was_linked_and_its_taking_is_in_the_log(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        for at in 0..7 {
            instance.key(&ada, &acme.id, &format!("k{at}")).await;
        }
        let mut export = instance.engine.audit.export(&ada, Some(&acme.id), &AuditFilter::default()).await.unwrap();
        let mut file = String::new();
        while let Some(piece) = export.next().await.unwrap() {
            file.push_str(&piece);
        }
        let lines: Vec<Value> = file.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 9);
        assert_eq!((lines[0]["action"].as_str(), lines[8]["action"].as_str()), (Some("audit.export"), Some("workspace.create")));
        let heads = instance.engine.audit.heads(&operator()).await.unwrap();
        let head = heads.iter().find(|head| head.chain == acme.id.as_str()).unwrap();
        assert_eq!((lines[0]["seq"].as_i64(), lines[0]["link"].as_str()), (Some(head.seq), Some(head.link.as_str())));

        let only = AuditFilter { action: "key.".into(), ..AuditFilter::default() };
        let mut export = instance.engine.audit.export(&ada, Some(&acme.id), &only).await.unwrap();
        assert_eq!(export.next().await.unwrap().unwrap().lines().count(), 7);
        assert_eq!(export.next().await.unwrap(), None);
        let told = &list(&instance, &ada, Some(&acme.id), AuditFilter { action: "audit.export".into(), ..any() }).await[0];
        assert_eq!(told.changes.iter().map(|change| change.field.as_str()).collect::<Vec<_>>(), ["action"]);
    }

    async fn a_file_asks_for_a_fresh_password_and_for_an_admin(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let begin = async |actor: &Actor| -> Result<(), Error> {
            instance.engine.audit.export(actor, Some(&acme.id), &AuditFilter::default()).await.map(drop)
        };
        assert_eq!(code(begin(&linus).await), ProblemCode::Forbidden);
        begin(&ada).await.unwrap();
        instance.clock.advance_ms(10 * 60_000);
        assert_eq!(code(begin(&ada).await), ProblemCode::StepUpRequired);
        let exported = list(&instance, &ada, Some(&acme.id), AuditFilter { action: "audit.export".into(), ..any() }).await;
        assert_eq!(exported.len(), 1);
        assert_eq!(code(instance.engine.audit.export(&ada, None, &AuditFilter::default()).await.map(drop)), ProblemCode::Forbidden);
    }
}
