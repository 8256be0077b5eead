//! `keyfold demo`: what is there for a look around.

use serde_json::Value;

use crate::support::Cli;

/// What a command lists.
fn listed(cli: &Cli, arguments: &[&str]) -> Vec<Value> {
    cli.json(arguments)["data"].as_array().unwrap().clone()
}

#[test]
fn every_workspace_has_things_that_keys_are_tied_to_and_keys_that_hold_its_own_scopes() {
    let folder = tempfile::tempdir().unwrap();
    let cli = Cli::on(folder.path());
    let made = cli.json(&["demo", "--keys", "400"]);
    assert_eq!((made["users"].as_u64(), made["workspaces"].as_u64(), made["keys"].as_u64()), (Some(11), Some(3), Some(430)));
    let things = |slug: &str| listed(&cli, &["resource", "list", "--workspace", slug]);
    let keys = |slug: &str| listed(&cli, &["key", "list", "--workspace", slug]);
    let count = |keys: &[Value], is: &dyn Fn(&Value) -> bool| keys.iter().filter(|key| is(key)).count();
    let is_tied = |key: &Value| !key["resources"].as_array().unwrap().is_empty();
    let holds = |key: &Value, scope: &str| key["scopes"].as_array().unwrap().iter().any(|held| held == scope);

    let orchard = things("orchard");
    let names: Vec<String> = orchard.iter().map(|thing| format!("{}:{}", thing["kind"], thing["external_id"]).replace('"', "")).collect();
    assert_eq!(names.len(), 5, "{names:?}");
    for expected in ["collection:quarterly-reports", "collection:harvest-2026", "project:guidance", "project:graphs", "source:handbook"] {
        assert!(names.iter().any(|name| name == expected), "{expected} is not in {names:?}");
    }
    // Each has keys, and nobody's key is tied to what is somebody else's.
    assert!(orchard.iter().all(|thing| thing["keys"].as_u64() > Some(0)), "{orchard:?}");
    let crowd = keys("orchard");
    let tied = count(&crowd, &is_tied);
    assert!((20..200).contains(&tied), "{tied} of {} keys are tied", crowd.len());
    for key in crowd.iter().filter(|key| is_tied(key)) {
        let thing = &key["resources"][0]["id"];
        let owner = &orchard.iter().find(|found| found["id"] == *thing).unwrap()["owner"];
        assert_eq!(owner["id"], key["owner"]["id"], "{key}");
    }
    assert!(count(&crowd, &|key| holds(key, "reports")) > 1 && count(&crowd, &|key| holds(key, "reports:read")) > 0);
    assert_eq!((things("harbor").len(), things("lab").len()), (3, 1));
    assert!(count(&keys("harbor"), &is_tied) >= 2 && count(&keys("harbor"), &|key| holds(key, "routes:plan")) == 1);
    assert_eq!(count(&keys("lab"), &is_tied), 1);
}
