//! Finding pages, workspaces and keys: everybody finds what they may see and nothing else.

use keyfold_domain::key::NewKey;
use keyfold_domain::scope::KeyKind;
use serde_json::{Value, json};

use crate::support::{Actor, App, Call, new_key, operator};

async fn found(app: &App, actor: Actor, text: &str, here: &str) -> Value {
    app.as_(actor, Call::post("/_app/find").json(&json!({"text": text, "here": here}))).await.expect(200).json()
}

/// The addresses of what was found of one sort.
fn addresses(found: &Value, sort: &str) -> Vec<String> {
    found[sort].as_array().unwrap().iter().map(|entry| entry["href"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_key_is_found_by_a_part_of_its_name_by_those_who_see_it_and_by_nobody_else() {
    for app in App::on_each().await {
        let key = new_key("Nightly report", KeyKind::Secret, &["chat"]);
        let owner = Actor::KeyOwner.user(&app).await;
        let key = keyfold_domain::key::NewKey { owner: Some(owner), ..key };
        let id = app.engine.keys.create(&operator(), &app.acme, key, None).await.unwrap().key.id;
        let address = vec![format!("/w/acme/keys/{id}")];
        for actor in [Actor::KeyOwner, Actor::Admin, Actor::InstanceAdmin] {
            assert_eq!(addresses(&found(&app, actor, "  ghtly REP ", "acme").await, "keys"), address, "{actor:?}");
        }
        for actor in [Actor::Viewer, Actor::Member, Actor::ForeignAdmin, Actor::DemotedAdmin] {
            // A workspace that one is not in may be named; it makes no difference.
            assert_eq!(addresses(&found(&app, actor, "ghtly", "acme").await, "keys"), Vec::<String>::new(), "{actor:?}");
        }
    }
}

#[tokio::test]
async fn pages_are_offered_by_role_and_workspaces_by_membership() {
    let app = App::new().await;
    let pages = async |actor| addresses(&found(&app, actor, "", "acme").await, "pages");
    assert!(pages(Actor::Admin).await.contains(&"/w/acme/members".to_owned()));
    let of_viewer = pages(Actor::Viewer).await;
    assert!(
        of_viewer.contains(&"/w/acme/keys".to_owned()) && !of_viewer.iter().any(|page| page.contains("members") || page.contains("audit"))
    );
    assert!(!of_viewer.iter().any(|page| page.starts_with("/system")), "{of_viewer:?}");
    assert_eq!(addresses(&found(&app, Actor::InstanceAdmin, "system dash", "").await, "pages")[0], "/system/keys");
    assert_eq!(addresses(&found(&app, Actor::Admin, "acm", "").await, "workspaces"), ["/w/acme/keys"]);
    assert_eq!(addresses(&found(&app, Actor::ForeignAdmin, "acm", "acme").await, "workspaces"), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_found_is_a_few_however_long_the_question_is_and_however_much_there_is() {
    let app = App::new().await;
    let owner = Actor::Admin.user(&app).await;
    for number in 0..12 {
        let key = NewKey { owner: Some(owner.clone()), ..new_key(&format!("Robot {number}"), KeyKind::Secret, &["chat"]) };
        app.engine.keys.create(&operator(), &app.acme, key, None).await.unwrap();
    }
    assert_eq!(addresses(&found(&app, Actor::Admin, "robot", "acme").await, "keys").len(), 8);
    let nothing = found(&app, Actor::Admin, &"long ".repeat(2000), "acme").await;
    assert_eq!(nothing, json!({"keys": [], "workspaces": [], "pages": []}));
}

#[tokio::test]
async fn the_page_says_what_was_found_without_any_script() {
    let app = App::new().await;
    let owner = Actor::Admin.user(&app).await;
    let key = NewKey { owner: Some(owner), ..new_key("<b>bold</b>", KeyKind::Secret, &["chat"]) };
    app.engine.keys.create(&operator(), &app.acme, key, None).await.unwrap();
    let page = app.as_(Actor::Admin, Call::get("/account/find?q=bold&in=acme").header("accept", "text/html")).await.expect(200).text();
    assert!(page.contains("&lt;b&gt;bold&lt;/b&gt;") && !page.contains("<b>bold</b>"), "{page}");
    let page = app.as_(Actor::Admin, Call::get("/account/find?q=zebra").header("accept", "text/html")).await.expect(200).text();
    assert!(page.contains("Nothing is called “zebra”."), "{page}");
    let away = app.as_(Actor::Anonymous, Call::get("/account/find?q=bold").header("accept", "text/html")).await;
    assert!(away.status.is_redirection() && !away.text().contains("acme"));
}
