//! Keys through the REST API, from creation to deletion.

use std::collections::BTreeSet;

use keyfold_domain::scope::KeyKind;
use serde_json::{Value, json};

use crate::support::{Actor, Answer, App, Call, redactions};

const KEYS: &str = "/v1/workspaces/acme/keys";

async fn create(app: &App, body: &Value) -> Answer {
    app.as_(Actor::KeyOwner, Call::post(KEYS).json(body)).await
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// Every page of the list of [`Actor::KeyOwner`], as names in order.
async fn names(app: &App, query: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = app.as_(Actor::KeyOwner, Call::get(format!("{KEYS}?{query}{cursor}"))).await.expect(200).json();
        names.extend(page["data"].as_array().unwrap().iter().map(|key| text(&key["name"]).to_owned()));
        let Some(next) = page["next"].as_str() else { return names };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn a_key_lives_from_creation_to_deletion() {
    for app in App::on_each().await {
        let body =
            json!({"name": "  Nightly report ", "kind": "secret", "scopes": ["inference"], "note": "line\nline", "inactivity_days": 30});
        let created = create(&app, &body).await.expect(201);
        assert_eq!(created.header("etag"), Some("\"1\""));
        assert_eq!(created.header("cache-control"), Some("no-store"));
        insta::assert_json_snapshot!("created_key", created.json(), {
            ".secret" => redactions::secret(), ".id" => redactions::key_id(), ".workspace_id" => redactions::workspace_id(),
            ".owner.id" => redactions::user_id(), ".hint" => redactions::hint(),
        });
        let secret = text(&created.json()["secret"]).to_owned();
        let path = created.header("location").unwrap().to_owned();
        assert_eq!(path, format!("{KEYS}/{}", text(&created.json()["id"])));

        let read = app.as_(Actor::KeyOwner, Call::get(&path)).await.expect(200);
        assert_eq!(read.header("etag"), Some("\"1\""));
        let mut without = created.json();
        without.as_object_mut().unwrap().remove("secret");
        assert_eq!(read.json(), without);

        let change = json!({"scopes": ["chat", "project"], "name": "", "expires_at": null, "inactivity_days": null});
        let changed = app.as_(Actor::KeyOwner, Call::patch(&path).header("if-match", "\"1\"").json(&change)).await.expect(200);
        assert_eq!(changed.header("etag"), Some("\"2\""));
        let key = changed.json();
        assert_eq!((&key["scopes"], &key["name"], &key["version"]), (&json!(["chat", "project"]), &json!(""), &json!(2)));
        assert_eq!((&key["expires_at"], &key["inactivity_days"], &key["note"]), (&Value::Null, &Value::Null, &json!("line\nline")));

        let stopped =
            app.as_(Actor::KeyOwner, Call::post(format!("{path}/deactivate")).json(&json!({"reason": "leaked"}))).await.expect(200);
        insta::assert_json_snapshot!("deactivated_key", stopped.json(), {
            ".id" => redactions::key_id(), ".workspace_id" => redactions::workspace_id(), ".owner.id" => redactions::user_id(),
            ".hint" => redactions::hint(),
        });
        let again = app.as_(Actor::Admin, Call::post(format!("{path}/activate"))).await.expect(200).json();
        assert_eq!((&again["state"], &again["reason"], &again["stopped_at"]), (&json!("active"), &Value::Null, &Value::Null));

        let deleted = app.as_(Actor::KeyOwner, Call::delete(&path)).await.expect(204);
        assert!(deleted.body.is_empty());
        assert_eq!(app.verdict(&secret, None).await, "not_found");
        let record = app.as_(Actor::KeyOwner, Call::get(&path)).await.expect(200).json();
        assert_eq!((&record["state"], &record["stopped_at"]), (&json!("deleted"), &json!("2026-06-01T12:00:00.000Z")));
        for act in [Call::delete(&path), Call::post(format!("{path}/deactivate")), Call::patch(&path).json(&json!({"name": "x"}))] {
            assert_eq!(app.as_(Actor::KeyOwner, act).await.expect(409).problem(), "conflict");
        }
        assert_eq!(names(&app, "state=live").await, Vec::<String>::new());
        assert_eq!(names(&app, "state=deleted").await, [""]);
    }
}

#[tokio::test]
async fn an_end_is_the_default_when_absent_and_none_when_null() {
    let app = App::new().await;
    let end = async |given: Value| {
        let mut body = json!({"kind": "secret", "scopes": ["chat"]});
        if given != "absent" {
            body["expires_at"] = given;
        }
        create(&app, &body).await
    };
    assert_eq!(end("absent".into()).await.expect(201).json()["expires_at"], "2026-08-30T12:00:00.000Z");
    assert_eq!(end(Value::Null).await.expect(201).json()["expires_at"], Value::Null);
    assert_eq!(end("2026-06-02T02:30:00.1239+02:30".into()).await.expect(201).json()["expires_at"], "2026-06-02T00:00:00.123Z");
    assert_eq!(end("9999-12-31T23:59:59.999Z".into()).await.expect(201).json()["expires_at"], "9999-12-31T23:59:59.999Z");
    let wrong = [
        json!("2026-06-01T12:00:59.999Z"),
        json!("2020-01-01T00:00:00Z"),
        json!("0000-01-01T00:00:00Z"),
        json!("9999-12-31T23:59:59-01:00"),
        json!("2026-06-31T00:00:00Z"),
        json!("2027-01-01T00:00:00"),
        json!("2027-01-01"),
        json!("never"),
        json!(""),
        json!(0),
        json!(1_795_254_817),
        json!(-1),
        json!(1e300),
        json!({"at": 5}),
        json!(false),
    ];
    for value in wrong {
        assert_eq!(end(value.clone()).await.expect(400).field().as_deref(), Some("expires_at"), "{value}");
    }
}

#[tokio::test]
async fn a_stale_change_is_refused_with_the_key_as_it_is_now() {
    let app = App::new().await;
    let issued = app.key(Actor::KeyOwner, KeyKind::Secret, &["chat"]).await;
    let path = format!("{KEYS}/{}", issued.key.id);
    let rename = |version: &str, name: &str| Call::patch(&path).header("if-match", version).json(&json!({ "name": name }));
    app.as_(Actor::KeyOwner, rename("\"1\"", "first")).await.expect(200);
    let stale = app.as_(Actor::Admin, rename("\"1\"", "second")).await.expect(409);
    assert_eq!((stale.problem().as_str(), stale.header("etag")), ("conflict", Some("\"2\"")));
    assert_eq!(stale.json()["current"]["name"], "first");
    assert_eq!(stale.json()["current"], app.as_(Actor::KeyOwner, Call::get(&path)).await.json());
    app.as_(Actor::Admin, rename("*", "third")).await.expect(200);
    for wrong in ["1", "W/\"3\"", "\"3\", \"4\"", "\"\"", "three"] {
        assert_eq!(app.as_(Actor::KeyOwner, rename(wrong, "x")).await.expect(400).field().as_deref(), Some("If-Match"), "{wrong}");
    }
    // Where the version does not matter, a wish that it should is not passed over.
    let delete = Call::delete(&path).header("if-match", "\"1\"");
    assert_eq!(app.as_(Actor::KeyOwner, delete).await.expect(400).field().as_deref(), Some("If-Match"));
    assert_eq!(app.as_(Actor::KeyOwner, Call::get(&path)).await.json()["name"], "third");
}

#[tokio::test]
async fn a_create_that_is_sent_again_is_done_once() {
    for app in App::on_each().await {
        let body = json!({"name": "once", "kind": "secret", "scopes": ["chat"]});
        let send = async |actor, key: &str, body: &Value| app.as_(actor, Call::post(KEYS).header("idempotency-key", key).json(body)).await;
        let first = send(Actor::KeyOwner, "try-1", &body).await.expect(201).json();
        let again = send(Actor::KeyOwner, "try-1", &body).await.expect(409);
        assert_eq!((again.problem().as_str(), again.field().as_deref()), ("conflict", Some("idempotency_key")));
        assert!(again.text().contains(text(&first["id"])) && !again.text().contains(text(&first["secret"])));
        let other = json!({"name": "other", "kind": "secret", "scopes": ["chat"]});
        send(Actor::KeyOwner, "try-1", &other).await.expect(409);
        assert_eq!(names(&app, "search=once").await, ["once"]);
        // The name of an act is its maker's own.
        send(Actor::Admin, "try-1", &body).await.expect(201);
        send(Actor::KeyOwner, "try-2", &body).await.expect(201);
        // The secret of the first one works.
        assert_eq!(app.verdict(text(&first["secret"]), Some("chat")).await, "valid");
        for wrong in ["", "with space", "ümlaut", &"x".repeat(256)] {
            assert_eq!(send(Actor::KeyOwner, wrong, &body).await.expect(400).field().as_deref(), Some("Idempotency-Key"), "{wrong}");
        }
        send(Actor::KeyOwner, &"x".repeat(255), &body).await.expect(201);
    }
}

#[tokio::test]
async fn a_list_is_paged_sorted_filtered_and_searched() {
    for app in App::on_each().await {
        for name in ["delta", "Alpha", "100%", "charlie", "bravo", "ÄPFEL"] {
            create(&app, &json!({"name": name, "kind": "secret", "scopes": ["chat"]})).await.expect(201);
            app.clock.advance_ms(1000);
        }
        let newest: Vec<String> = ["ÄPFEL", "bravo", "charlie", "100%", "Alpha", "delta"].map(str::to_owned).into();
        assert_eq!(names(&app, "").await, newest);
        for limit in [1, 2, 5, 6, 200] {
            assert_eq!(names(&app, &format!("limit={limit}")).await, newest, "{limit}");
            let mut oldest = newest.clone();
            oldest.reverse();
            assert_eq!(names(&app, &format!("limit={limit}&order=asc")).await, oldest, "{limit}");
            let by_name = ["100%", "Alpha", "bravo", "charlie", "delta", "ÄPFEL"];
            assert_eq!(names(&app, &format!("limit={limit}&sort=name")).await, by_name, "{limit}");
            assert_eq!(names(&app, &format!("limit={limit}&sort=expires")).await.len(), 6);
            assert_eq!(names(&app, &format!("limit={limit}&sort=last_used")).await.iter().collect::<BTreeSet<_>>().len(), 6);
        }
        for (search, found) in [
            ("ALP", vec!["Alpha"]),
            ("%25", vec!["100%"]),
            ("_", vec![]),
            ("%C3%A4pf", vec!["ÄPFEL"]),
            ("a", vec!["bravo", "charlie", "Alpha", "delta"]),
        ] {
            assert_eq!(names(&app, &format!("search={search}")).await, found, "{search}");
        }
        let owner = Actor::KeyOwner.user(&app).await;
        assert_eq!(names(&app, &format!("owner={owner}")).await, newest);
        let other = Actor::Admin.user(&app).await;
        assert_eq!(names(&app, &format!("owner={other}")).await, Vec::<String>::new());
        assert_eq!(names(&app, "state=inactive").await, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_list_refuses_what_it_does_not_understand() {
    for app in App::on_each().await {
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=201", "limit"),
            ("limit=-1", "limit"),
            ("limit=9223372036854775808", "limit"),
            ("limit=", "limit"),
            ("state=gone", "state"),
            ("sort=owner", "sort"),
            ("order=up", "order"),
            ("owner=ada", "owner"),
            ("owner=key_0000000000000000000000", "owner"),
            ("cursor=x", "cursor"),
            ("cursor=", "cursor"),
            ("cursor=eyJzIjoibmFtZSJ9", "cursor"),
            ("page=2", "page"),
            ("limit=1&limit=2", "limit"),
            ("Limit=1", "Limit"),
        ] {
            let answer = app.as_(Actor::Admin, Call::get(format!("{KEYS}?{query}"))).await.expect(400);
            assert_eq!(answer.field().as_deref(), Some(field), "{query}: {}", answer.text());
        }
        // A cursor of another order does not belong to this list.
        for name in ["a", "b"] {
            create(&app, &json!({"name": name, "kind": "secret", "scopes": ["chat"]})).await.expect(201);
        }
        let page = app.as_(Actor::Admin, Call::get(format!("{KEYS}?limit=1&sort=name"))).await.expect(200).json();
        let next = text(&page["next"]);
        for query in [format!("sort=created&cursor={next}"), format!("sort=name&order=desc&cursor={next}")] {
            assert_eq!(app.as_(Actor::Admin, Call::get(format!("{KEYS}?{query}"))).await.expect(400).field().as_deref(), Some("cursor"));
        }
        for path in ["/v1/workspaces?x=1", "/v1/workspaces/acme?x=1", "/v1/openapi.json?x=1"] {
            assert_eq!(app.as_(Actor::Admin, Call::get(path)).await.expect(400).field().as_deref(), Some("x"), "{path}");
        }
    }
}

#[tokio::test]
async fn people_see_their_own_keys_and_administrators_everybodys() {
    let app = App::new().await;
    create(&app, &json!({"name": "of the owner", "kind": "secret", "scopes": ["chat"]})).await.expect(201);
    app.foreign_key(KeyKind::Secret, &["chat"]).await;
    let list = async |actor: Actor| {
        let page = app.as_(actor, Call::get(KEYS)).await.expect(200).json();
        page["data"].as_array().unwrap().iter().map(|key| text(&key["name"]).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(Actor::KeyOwner).await, ["of the owner"]);
    assert_eq!(list(Actor::Member).await, Vec::<String>::new());
    assert_eq!(list(Actor::Viewer).await, Vec::<String>::new());
    assert_eq!(list(Actor::Admin).await, ["of the owner"]);
    assert_eq!(list(Actor::InstanceAdmin).await, ["of the owner"]);
    // A filter by owner widens nothing.
    let owner = Actor::KeyOwner.user(&app).await;
    let of = async |actor: Actor, owner: &keyfold_domain::ids::UserId| {
        app.as_(actor, Call::get(format!("{KEYS}?owner={owner}"))).await.expect(200).json()["data"].as_array().unwrap().len()
    };
    let admin = Actor::Admin.user(&app).await;
    assert_eq!([of(Actor::Member, &owner).await, of(Actor::KeyOwner, &admin).await, of(Actor::KeyOwner, &owner).await], [0, 0, 1]);
}

#[tokio::test]
async fn a_workspace_is_named_by_slug_or_id() {
    let app = App::new().await;
    let by_slug = app.as_(Actor::Admin, Call::get("/v1/workspaces/acme")).await.expect(200);
    let by_id = app.as_(Actor::Admin, Call::get(format!("/v1/workspaces/{}", app.acme))).await.expect(200);
    assert_eq!(by_slug.json(), by_id.json());
    insta::assert_json_snapshot!("workspaces", app.as_(Actor::Admin, Call::get("/v1/workspaces")).await.expect(200).json(), {
        ".data[].id" => redactions::workspace_id(),
    });
    let slugs = async |actor: Actor| {
        let page = app.as_(actor, Call::get("/v1/workspaces")).await.expect(200).json();
        page["data"].as_array().unwrap().iter().map(|place| text(&place["slug"]).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(slugs(Actor::InstanceAdmin).await, ["acme", "zeta"]);
    assert_eq!(slugs(Actor::ForeignAdmin).await, ["zeta"]);
    assert_eq!(slugs(Actor::ForeignManagementKey).await, ["zeta"]);
}

#[tokio::test]
async fn a_key_never_gives_more_than_it_holds_nor_changes_itself() {
    let app = App::new().await;
    let narrow = app.key(Actor::Admin, KeyKind::Management, &["keys:write", "inference"]).await;
    let by_key = async |call: Call| app.send(call.bearer(narrow.secret.expose())).await;
    let new = |kind: &str, scopes: &[&str], end: Option<&str>| {
        let mut body = json!({"kind": kind, "scopes": scopes});
        if let Some(end) = end {
            body["expires_at"] = end.into();
        }
        Call::post(KEYS).json(&body)
    };
    by_key(new("secret", &["inference"], None)).await.expect(201);
    for wider in [new("secret", &["chat"], None), new("secret", &["project"], None), new("management", &["verify"], None)] {
        assert_eq!(by_key(wider).await.expect(403).problem(), "forbidden");
    }
    // Nor one that outlives it; where no end is wished for, the key's own is taken.
    app.clock.advance_ms(60_000);
    let made = by_key(new("secret", &["inference"], None)).await.expect(201).json();
    assert_eq!(made["expires_at"], "2026-08-30T12:00:00.000Z");
    assert_eq!(by_key(new("secret", &["inference"], Some("2027-01-01T00:00:00Z"))).await.expect(403).problem(), "forbidden");
    let itself = format!("{KEYS}/{}", narrow.key.id);
    by_key(Call::get(&itself)).await.expect(200);
    for act in [
        Call::patch(&itself).json(&json!({"scopes": ["keys:write", "project"]})),
        Call::patch(&itself).json(&json!({"name": "renamed"})),
        Call::post(format!("{itself}/deactivate")),
        Call::post(format!("{itself}/activate")),
        Call::delete(&itself),
    ] {
        assert_eq!(by_key(act).await.expect(403).problem(), "forbidden");
    }
    // Widening another key is giving as well; renaming one that is wider gives nothing.
    let other = app.key(Actor::KeyOwner, KeyKind::Secret, &["inference"]).await;
    let widen = Call::patch(format!("{KEYS}/{}", other.key.id)).json(&json!({"scopes": ["project"]}));
    assert_eq!(by_key(widen).await.expect(403).problem(), "forbidden");
    let outlive = Call::patch(format!("{KEYS}/{}", other.key.id)).json(&json!({"expires_at": null}));
    assert_eq!(by_key(outlive).await.expect(403).problem(), "forbidden");
    assert_eq!(app.verdict(other.secret.expose(), Some("project")).await, "missing_scope");
    let wider = app.key(Actor::KeyOwner, KeyKind::Secret, &["project"]).await;
    by_key(Call::patch(format!("{KEYS}/{}", wider.key.id)).json(&json!({"name": "renamed"}))).await.expect(200);
}

#[tokio::test]
async fn a_kind_bounds_the_scopes_and_is_never_changed() {
    let app = App::new().await;
    for (kind, scopes) in [
        ("secret", json!(["verify"])),
        ("publishable", json!(["project"])),
        ("publishable", json!(["chat"])),
        ("secret", json!([])),
        ("secret", json!(["nothing"])),
        ("secret", json!("chat")),
        ("secret", json!(["A"])),
        ("secret", json!([null])),
    ] {
        let answer = create(&app, &json!({"kind": kind, "scopes": scopes})).await.expect(400);
        assert!(answer.field().unwrap().starts_with("scopes"), "{kind} {scopes}: {}", answer.text());
    }
    assert_eq!(create(&app, &json!({"kind": "root", "scopes": ["chat"]})).await.expect(400).field().as_deref(), Some("kind"));
    let public = app.key(Actor::KeyOwner, KeyKind::Publishable, &["inference"]).await;
    let path = format!("{KEYS}/{}", public.key.id);
    let widen = Call::patch(&path).json(&json!({"scopes": ["project"]}));
    assert_eq!(app.as_(Actor::Admin, widen).await.expect(400).field().as_deref(), Some("scopes"));
    assert_eq!(
        app.as_(Actor::Admin, Call::patch(&path).json(&json!({"kind": "secret"}))).await.expect(400).field().as_deref(),
        Some("kind")
    );
}
