//! A server that starts knows of every sort of key what the one knows that saw it made.

use keyfold_domain::key::{Expiry, Inactivity, IssuedKey, KeyPatch, NewKey};
use keyfold_domain::secret::{Grace, Rotation};
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::Role;
use keyfold_engine::Engine;

use crate::support::{NOW, new_key, on_both};

/// All that a verdict tells, at the key's own address and from elsewhere.
fn told(engine: &Engine, key: &IssuedKey) -> Vec<String> {
    let clients = [None, "10.1.2.3".parse().ok(), "192.0.2.1".parse().ok()];
    let answers = clients.map(|ip| engine.verifier.whoami(key.secret.expose(), ip).unwrap());
    let tell = |answer: &keyfold_engine::Answer| {
        let key = answer.key.as_deref().map(|key| {
            let (limits, tied) = (key.limits().map(|limits| format!("{limits:?}")), key.resources().map(|tied| format!("{tied:?}")));
            let place = (key.workspace_id(), key.workspace(), key.owner(), key.owner_role(), key.kind());
            format!(
                "{} {} {place:?} {} {:?} {:?} {limits:?} {tied:?}",
                key.id(),
                key.name(),
                key.effective(),
                key.expires_at(),
                key.ip_allow()
            )
        });
        format!("{} {key:?}", answer.code.as_str())
    };
    answers.iter().map(tell).collect()
}

on_both! {
    async fn every_sort_of_key_is_known_after_a_start_as_before(instance) {
        let (acme, ada) = instance.workspace("acme", "ada").await;
        let linus = instance.member(&acme.id, "linus", Role::Member).await;
        let keys = &instance.engine.keys;
        let mut all = Vec::new();
        for (at, name) in ["plain", "", "a name of more than twenty-two bytes, ünd möre 界"].into_iter().enumerate() {
            all.push(instance.key(&ada, &acme.id, name).await);
            all.push(instance.key(&linus, &acme.id, name).await);
            let ending = NewKey { expires_at: Expiry::At(NOW.plus_days(i64::try_from(at).unwrap() + 1)), ..new_key(name, &["chat"]) };
            all.push(keys.create(&ada, &acme.id, ending, None).await.unwrap());
            let idle = NewKey { inactivity_days: Inactivity::Days(3), ..new_key(name, &["project"]) };
            all.push(keys.create(&ada, &acme.id, idle, None).await.unwrap());
        }
        all.push(instance.management(&ada, &acme.id, &["keys:read", "verify"]).await);
        let limits = serde_json::from_str(r#"[{"name":"burst","limit":900,"window":10}]"#).unwrap();
        let bound = NewKey { ip_allow: vec!["10.0.0.0/8".parse().unwrap()], ..new_key("bound", &["chat"]) };
        all.push(keys.create(&ada, &acme.id, bound, None).await.unwrap());
        all.push(keys.create(&ada, &acme.id, NewKey { limits, ..new_key("limited", &["chat"]) }, None).await.unwrap());
        let (rotated, stopped, gone, changed) = (
            instance.key(&ada, &acme.id, "rotated").await,
            instance.key(&ada, &acme.id, "stopped").await,
            instance.key(&ada, &acme.id, "gone").await,
            instance.key(&ada, &acme.id, "changed").await,
        );
        let second = keys.rotate(&ada, &acme.id, &rotated.key.id, Rotation { grace: Grace::Day, version: None }, None).await.unwrap();
        keys.deactivate(&ada, &acme.id, &stopped.key.id, "why").await.unwrap();
        keys.delete(&ada, &acme.id, &gone.key.id).await.unwrap();
        let patch = KeyPatch { name: Some("another name".into()), ..KeyPatch::default() };
        keys.update(&ada, &acme.id, &changed.key.id, patch).await.unwrap();
        all.extend([rotated, second.issued, stopped, gone, changed]);

        let other = instance.beside().await;
        assert_eq!((other.keys_in_memory(), other.secrets_in_memory()), (instance.engine.keys_in_memory(), instance.engine.secrets_in_memory()));
        let mut seen = std::collections::HashSet::new();
        // Also when a key has ended, fallen dormant, or its replaced secret has.
        for days in [0, 2, 4] {
            instance.clock.set(NOW.plus_days(days));
            for key in &all {
                assert_eq!(told(&other, key), told(&instance.engine, key), "{} after {days} days", key.key.name);
                seen.insert(instance.verdict(key));
            }
        }
        for code in [Code::Valid, Code::NotFound, Code::Deactivated, Code::Expired, Code::IpDenied] {
            assert!(seen.contains(&code), "{code:?} is among what was compared");
        }
    }
}
