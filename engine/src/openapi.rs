//! Reads the operations out of an OpenAPI document, in JSON or YAML. Whatever else is in it is passed over.

use std::collections::BTreeMap;

use keyfold_domain::problem::Problem;
use keyfold_domain::route::Operation;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// The most bytes of a document.
pub(crate) const MAX_DOCUMENT: usize = 1024 * 1024;

/// What a path item can have besides its operations.
const NO_OPERATIONS: [&str; 6] = ["summary", "description", "servers", "parameters", "$ref", "additionalOperations"];

#[derive(Deserialize)]
struct Document {
    openapi: Option<IgnoredAny>,
    swagger: Option<IgnoredAny>,
    #[serde(default)]
    servers: Vec<Server>,
    /// Of version 2: what `servers` says today.
    #[serde(rename = "basePath")]
    base_path: Option<String>,
    #[serde(default)]
    paths: BTreeMap<String, BTreeMap<String, Member>>,
}

#[derive(Deserialize)]
struct Server {
    url: String,
}

/// A member of a path item: an operation, or one of the others, which are texts and lists.
#[derive(Deserialize)]
#[serde(untagged)]
enum Member {
    Operation {
        #[serde(default)]
        summary: Option<String>,
        #[serde(default, rename = "operationId")]
        id: Option<String>,
    },
    Other(IgnoredAny),
}

fn wrong(text: impl Into<String>) -> Problem {
    Problem::invalid("document", text)
}

/// The operations of a document, and what its first server says stands before every path.
pub(crate) fn operations(text: &str) -> Result<(Vec<Operation>, String), Problem> {
    if text.len() > MAX_DOCUMENT {
        return Err(wrong("The document is larger than 1 MiB. Leave out its schemas: only the paths are read."));
    }
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(wrong("Give an OpenAPI document, as JSON or YAML."));
    }
    let document: Document = if text.starts_with('{') {
        serde_json::from_str(text).map_err(|error| not_read("JSON", error.line(), error.column()))?
    } else {
        from_yaml(text)?
    };
    if document.openapi.is_none() && document.swagger.is_none() {
        return Err(wrong("This is not an OpenAPI document: it says neither openapi nor swagger."));
    }
    let prefix = document.base_path.or_else(|| document.servers.into_iter().next().and_then(|server| path_of(&server.url)));
    let of_path = |(path, members): (String, BTreeMap<String, Member>)| {
        members.into_iter().filter_map(move |(name, member)| operation(&path, &name, member)).collect::<Vec<_>>()
    };
    // Extensions stand beside the paths, and start with no slash.
    let paths = document.paths.into_iter().filter(|(path, _)| !path.starts_with("x-"));
    Ok((paths.flat_map(of_path).collect(), prefix.unwrap_or_default()))
}

fn operation(path: &str, name: &str, member: Member) -> Option<Operation> {
    let Member::Operation { summary, id } = member else { return None };
    if NO_OPERATIONS.contains(&name) || name.starts_with("x-") {
        return None;
    }
    Some(Operation { path: path.to_owned(), method: name.to_ascii_uppercase(), title: summary.or(id).unwrap_or_default() })
}

/// The path of a server's address; nothing where it is made of variables.
fn path_of(url: &str) -> Option<String> {
    let path = match url.split_once("://") {
        Some((_, rest)) => rest.find('/').map(|at| &rest[at..])?,
        None => url,
    };
    (path.starts_with('/') && !path.contains(['{', '?', '#'])).then(|| path.to_owned())
}

fn from_yaml(text: &str) -> Result<Document, Problem> {
    let options = serde_saphyr::options! {
        // Aliases that unfold into more than a document may be are refused.
        budget: serde_saphyr::budget! { max_documents: 1, max_events: 400_000, max_nodes: 200_000, max_aliases: 1_000, max_anchors: 1_000 },
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| match error.location() {
        Some(at) => not_read("YAML", usize::try_from(at.line()).unwrap_or_default(), usize::try_from(at.column()).unwrap_or_default()),
        None => wrong("The document cannot be read as YAML."),
    })
}

/// Where reading ended. What stands there is not repeated: it may be anything.
fn not_read(format: &str, line: usize, column: usize) -> Problem {
    wrong(format!("The document cannot be read as {format} of an OpenAPI document (line {line}, column {column})."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(text: &str) -> Vec<String> {
        operations(text).unwrap().0.into_iter().map(|found| format!("{} {} {}", found.method, found.path, found.title)).collect()
    }

    const YAML: &str = "
openapi: 3.1.0
info: {title: Shop, version: 1}
servers:
  - url: https://shop.example/api/v2
paths:
  /orders:
    summary: Orders
    parameters: [{name: x, in: query}]
    get:
      summary: List orders
      responses: {200: {description: Fine}}
    post:
      operationId: create_order
  /orders/{id}:
    delete: {}
    x-internal: true
components: {schemas: {A: {type: object}}}
";

    #[test]
    fn operations_are_read_from_yaml_and_json_alike() {
        let expected = ["GET /orders List orders", "POST /orders create_order", "DELETE /orders/{id} "];
        assert_eq!(listed(YAML), expected);
        let json = r#"{"openapi":"3.0.0","paths":{"/orders":{"get":{"summary":"List orders","x":[[[1]]]},"post":{"operationId":"create_order"},
            "description":"x","parameters":[]},"/orders/{id}":{"delete":{}}}}"#;
        assert_eq!(listed(json), expected);
        assert_eq!(operations(YAML).unwrap().1, "/api/v2");
        assert_eq!(operations(r#"{"swagger":"2.0","basePath":"/v1"}"#).unwrap().1, "/v1");
        for url in ["https://host", "https://{host}/a{x}", "{base}/a", "a"] {
            assert_eq!(operations(&format!(r#"{{"openapi":"3","servers":[{{"url":"{url}"}}]}}"#)).unwrap().1, "", "{url}");
        }
    }

    #[test]
    fn what_is_no_such_document_is_refused_with_a_reason_and_without_its_text() {
        use std::fmt::Write as _;
        let mut bomb = "openapi: 3\na: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for letter in b'b'..b'k' {
            let (name, before) = (char::from(letter), char::from(letter - 1));
            writeln!(bomb, "{name}: &{name} [{}]", vec![format!("*{before}"); 9].join(",")).unwrap();
        }
        bomb += "paths: {}\n";
        let deep = format!("openapi: 3\npaths: {}", "[".repeat(50_000));
        for bad in [
            "",
            "   ",
            "canary",
            "{",
            "[]",
            "{\"paths\":{}}",
            "paths: {}",
            "{\"openapi\":\"3\",\"paths\":[\"canary\"]}",
            "openapi: 3\npaths: canary",
            "{\"openapi\":\"3\",\"paths\":{\"/a\":\"canary\"}}",
            "openapi: 3\n\tpaths: canary",
            &bomb,
            &deep,
            &"x".repeat(MAX_DOCUMENT + 1),
        ] {
            let problem = operations(bad).err().unwrap_or_else(|| panic!("accepted: {}", bad.chars().take(80).collect::<String>()));
            assert_eq!(problem.field.as_deref(), Some("document"));
            assert!(!problem.message.contains("canary"), "{}", problem.message);
        }
        let nested = format!("{{\"openapi\":\"3\",\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(operations(&nested).is_err() || operations(&nested).is_ok_and(|(found, _)| found.is_empty()));
    }
}
