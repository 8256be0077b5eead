//! The OpenAPI document: what is committed, what is served and what is printed are one, and it tells the truth.

use keyfold_server::rest::openapi_document;
use serde_json::Value;

use crate::support::{Actor, App, Call};

fn document() -> Value {
    serde_json::to_value(openapi_document()).unwrap()
}

/// Every operation with its path and method.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

#[test]
fn the_committed_document_is_the_one_that_the_code_makes() {
    let committed = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json")).unwrap();
    let made = serde_json::to_string_pretty(&openapi_document()).unwrap() + "\n";
    assert!(committed == made, "docs/openapi.json is out of date: run `make generate`");
}

/// Two types under one name: the document would describe one of them and speak of both.
#[test]
fn no_two_types_share_a_name_in_the_document() {
    let mut names = Vec::new();
    let mut folders = vec![std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src"))];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let text = std::fs::read_to_string(entry.path()).unwrap();
            let named = text.split("#[schema(as = ").skip(1).map(|rest| rest.split([',', ')']).next().unwrap().to_owned());
            names.extend(named);
        }
    }
    assert!(names.len() > 50, "{} names found", names.len());
    names.sort();
    let doubled: Vec<_> = names.windows(2).filter(|pair| pair[0] == pair[1]).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
}

#[tokio::test]
async fn the_document_is_served_to_everybody() {
    let app = App::new().await;
    let answer = app.send(Call::get("/v1/openapi.json")).await.expect(200);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.json(), document());
}

#[test]
fn every_operation_is_described_for_people_and_programs() {
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let problem = serde_json::json!({"$ref": "#/components/schemas/Problem"});
    for (path, method, operation) in operations(&document) {
        let at = format!("{method} {path}");
        assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{at}");
        assert!(
            operation["operationId"].as_str().is_some_and(|id| id.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')),
            "{at}"
        );
        assert_eq!(operation["tags"].as_array().unwrap().len(), 1, "{at}");
        for parameter in operation["parameters"].as_array().unwrap_or(&Vec::new()) {
            assert!(parameter["description"].as_str().is_some_and(|text| !text.is_empty()), "{at}: {parameter}");
        }
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')) && responses.contains_key("500"), "{at}");
        for (status, response) in responses {
            assert!(response["headers"]["X-Request-Id"].is_object(), "{at} {status}");
            if !status.starts_with('2') {
                assert_eq!(response["content"]["application/problem+json"]["schema"], problem, "{at} {status}");
            }
        }
    }
}

#[test]
fn every_body_that_is_read_refuses_unknown_fields() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let Some(schema) = operation["requestBody"]["content"]["application/json"]["schema"].as_object() else { continue };
        let text = serde_json::to_string(schema).unwrap();
        let name = text.split("#/components/schemas/").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
        assert_eq!(document["components"]["schemas"][name]["additionalProperties"], false, "{method} {path}: {name}");
    }
}

#[tokio::test]
async fn every_described_path_is_answered_and_no_other_method_of_it() {
    let app = App::new().await;
    let document = document();
    // Forward-auth is asked with the method of the request that it is about, whichever that is.
    let paths = document["paths"].as_object().unwrap().iter().filter(|(path, _)| !path.ends_with("/forward-auth"));
    for (path, item) in paths {
        let path = path
            .replace("{workspace}", "acme")
            .replace("{key}", "key_0000000000000000000000")
            .replace("{secret}", "sec_0000000000000000000000")
            .replace("{user}", "usr_0000000000000000000000")
            .replace("{invitation}", "inv_0000000000000000000000")
            .replace("{resource}", "res_0000000000000000000000")
            .replace("{scope}", "chat");
        for method in ["get", "post", "put", "patch", "delete"] {
            let call = Call::new(method.to_uppercase().parse().unwrap(), &path);
            let answer = app.as_(Actor::Admin, call).await;
            let offered = item.get(method).is_some();
            assert_eq!(answer.code() != 405, offered, "{method} {path}: {}", answer.code());
            if !offered {
                assert_eq!(answer.problem(), "method_not_allowed");
                let allowed = answer.header("allow").unwrap().to_lowercase();
                for (other, _) in item.as_object().unwrap() {
                    assert!(allowed.contains(other), "{path}: {allowed}");
                }
            }
        }
    }
}
