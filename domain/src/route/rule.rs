//! One rule of a route map: which requests it is for, and what they need.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::template::{OWN, Template};
use crate::name;
use crate::problem::Problem;
use crate::scope::ScopeName;
use crate::verdict::ResourceRef;

/// The most methods that one rule names.
const MAX_METHODS: usize = 20;
/// The most characters of a rule's note.
pub const MAX_RULE_NOTE: usize = 200;
/// What stands for every method.
const ANY: &str = "*";
/// What stands for keys that are tied to nothing.
const UNTIED: &str = "untied";

/// What a request needs that a rule is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: whoever asks is let through, with a key or without.
    Public,
    /// Nothing helps: refused, whoever asks.
    Deny,
    /// A key that works.
    Key {
        /// The scope that it must hold; `None` for any key.
        scope: Option<ScopeName>,
        /// What it must be tied to.
        resource: ResourceNeed,
    },
}

/// What a key must be tied to, if it is tied to anything. A key that is tied to nothing passes all of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResourceNeed {
    /// Whatever it likes: the request touches no resource that the rule knows of.
    Nothing,
    /// Nothing at all: only keys that are tied to nothing may.
    Untied,
    /// Exactly one resource of that kind, whichever: the request is about that one.
    Own(Box<str>),
    /// This resource.
    Fixed(ResourceRef),
    /// The resource of that kind whose id stands in the path or query, under this name.
    Named {
        /// What sort of thing it is.
        kind: Box<str>,
        /// The variable's name in the template.
        variable: Box<str>,
    },
}

/// Which methods a rule is for. A rule for `GET` is also for `HEAD`, which asks for the same without a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Methods(Option<BTreeSet<Box<str>>>);

impl Methods {
    /// Is the rule for that method?
    pub fn fit(&self, method: &str) -> bool {
        self.0.as_ref().is_none_or(|all| all.contains(method) || (method == "HEAD" && all.contains("GET")))
    }

    fn read(words: &[String]) -> Result<Self, Problem> {
        let wrong = |rule: &str| Err(Problem::invalid("methods", rule));
        if words.iter().any(|word| word.trim() == ANY) {
            return if words.len() == 1 { Ok(Self(None)) } else { wrong("Name the methods, or * alone for every method.") };
        }
        let all: BTreeSet<Box<str>> = words.iter().map(|word| word.trim().to_ascii_uppercase().into()).collect();
        if all.is_empty() || all.len() > MAX_METHODS {
            return wrong("Name 1 to 20 methods, like GET and POST, or * for every method.");
        }
        if !all.iter().all(|word| is_method(word)) {
            return wrong("A method is one word of capital letters, like GET.");
        }
        Ok(Self(Some(all)))
    }

    /// The methods as words, or `*`.
    pub fn words(&self) -> Vec<String> {
        self.0.as_ref().map_or_else(|| vec![ANY.to_owned()], |all| all.iter().map(ToString::to_string).collect())
    }
}

/// Is it a method's name as they are sent: capital letters, `-` and `_`?
pub(super) fn is_method(word: &str) -> bool {
    (1..=20).contains(&word.len())
        && word.starts_with(|first: char| first.is_ascii_uppercase())
        && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-' || byte == b'_')
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "RuleDraft", into = "RuleDraft")]
pub struct RouteRule {
    /// The methods.
    pub methods: Methods,
    /// The path, and parameters of the query.
    pub path: Template,
    /// What such a request needs.
    pub outcome: Outcome,
    /// Why the rule is there; may be empty.
    pub note: String,
}

/// A rule as it is written down: by people, in the API, in the database.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleDraft {
    /// Methods, or `*` alone for every method.
    pub methods: Vec<String>,
    /// A [`Template`].
    pub path: String,
    /// `key`, `public` or `deny`.
    pub access: String,
    /// The scope that a key needs; only with `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// What a key that is tied to something must be tied to; only with `key`: `kind:{variable}`, `kind:id`, `kind:{own}`
    /// for the one resource of that kind that it is tied to, or `untied`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Why the rule is there.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl RuleDraft {
    /// The rule, or the first field at fault. Whether there is such a scope is for the workspace's catalogue to say.
    pub fn checked(&self) -> Result<RouteRule, Problem> {
        let given = |field: &Option<String>| field.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        let (scope, resource) = (given(&self.scope), given(&self.resource));
        let methods = Methods::read(&self.methods)?;
        let path: Template = self.path.trim().parse()?;
        let outcome = match (self.access.trim(), &scope, &resource) {
            ("key", scope, resource) => Outcome::Key {
                scope: scope.as_deref().map(read_scope).transpose()?,
                resource: resource.as_deref().map_or(Ok(ResourceNeed::Nothing), |text| need(text, &path))?,
            },
            ("public", None, None) => Outcome::Public,
            ("deny", None, None) => Outcome::Deny,
            ("public" | "deny", Some(_), _) => return Err(Problem::invalid("scope", "Only a rule that asks for a key names a scope.")),
            ("public" | "deny", ..) => return Err(Problem::invalid("resource", "Only a rule that asks for a key names a resource.")),
            _ => return Err(Problem::invalid("access", "Choose key, public or deny.")),
        };
        Ok(RouteRule { methods, path, outcome, note: name::clean("note", &self.note, MAX_RULE_NOTE, false)? })
    }
}

fn read_scope(text: &str) -> Result<ScopeName, Problem> {
    text.parse().map_err(|_| Problem::invalid("scope", "There is no scope of this name."))
}

fn need(text: &str, path: &Template) -> Result<ResourceNeed, Problem> {
    const RULE: &str = "Write kind:{name} with a name from the path, kind:id, kind:{own} for what the key is tied to, or untied.";
    let wrong = |rule: String| Problem::invalid("resource", rule);
    if text == UNTIED {
        return Ok(ResourceNeed::Untied);
    }
    let (kind, id) = text.split_once(':').ok_or_else(|| wrong(RULE.to_owned()))?;
    let Some(variable) = id.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        if id.contains(['{', '}', '*']) {
            return Err(wrong(RULE.to_owned()));
        }
        return ResourceRef::new(kind, id).map(ResourceNeed::Fixed).map_err(|problem| wrong(problem.message));
    };
    // A kind that no resource can have would never be met.
    ResourceRef::new(kind, "any").map_err(|problem| wrong(problem.message))?;
    if variable == OWN {
        return Ok(ResourceNeed::Own(kind.into()));
    }
    if !path.variables().any(|name| name == variable) {
        return Err(wrong(format!("The path has no {{{variable}}}. {RULE}")));
    }
    Ok(ResourceNeed::Named { kind: kind.into(), variable: variable.into() })
}

impl TryFrom<RuleDraft> for RouteRule {
    type Error = Problem;

    fn try_from(draft: RuleDraft) -> Result<Self, Problem> {
        draft.checked()
    }
}

impl From<RouteRule> for RuleDraft {
    fn from(rule: RouteRule) -> Self {
        let (access, scope, resource) = match &rule.outcome {
            Outcome::Public => ("public", None, None),
            Outcome::Deny => ("deny", None, None),
            Outcome::Key { scope, resource } => {
                let resource = Some(resource.to_string()).filter(|_| *resource != ResourceNeed::Nothing);
                ("key", scope.as_ref().map(ToString::to_string), resource)
            }
        };
        Self { methods: rule.methods.words(), path: rule.path.to_string(), access: access.into(), scope, resource, note: rule.note }
    }
}

impl RouteRule {
    /// The scope that the rule asks for.
    pub fn scope(&self) -> Option<&ScopeName> {
        match &self.outcome {
            Outcome::Key { scope, .. } => scope.as_ref(),
            Outcome::Public | Outcome::Deny => None,
        }
    }
}

impl fmt::Display for Methods {
    /// `GET, POST`, or `any method`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("any method"),
            Some(_) => f.write_str(&self.words().join(", ")),
        }
    }
}

impl fmt::Display for ResourceNeed {
    /// As it is written in a [`RuleDraft`]; nothing for [`ResourceNeed::Nothing`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => Ok(()),
            Self::Untied => f.write_str(UNTIED),
            Self::Own(kind) => write!(f, "{kind}:{{{OWN}}}"),
            Self::Fixed(resource) => resource.fmt(f),
            Self::Named { kind, variable } => write!(f, "{kind}:{{{variable}}}"),
        }
    }
}

impl fmt::Display for Outcome {
    /// What such a request needs, as a sentence for a person.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scope, resource) = match self {
            Self::Public => return f.write_str("Open to everybody, without a key."),
            Self::Deny => return f.write_str("Refused, whoever asks."),
            Self::Key { scope, resource } => (scope, resource),
        };
        match scope {
            Some(scope) => write!(f, "Needs the scope {scope}")?,
            None => f.write_str("Needs any key that works")?,
        }
        match resource {
            ResourceNeed::Nothing => f.write_str("."),
            ResourceNeed::Untied => f.write_str(", with a key that is tied to nothing."),
            ResourceNeed::Own(kind) => write!(f, ", on the one {kind} that the key is tied to."),
            ResourceNeed::Fixed(resource) => write!(f, ", on {resource}."),
            ResourceNeed::Named { kind, variable } => write!(f, ", on {kind}:{{{variable}}}."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(methods: &str, path: &str, access: &str, scope: &str, resource: &str) -> RuleDraft {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let methods = methods.split_whitespace().map(str::to_owned).collect();
        RuleDraft { methods, path: path.into(), access: access.into(), scope: given(scope), resource: given(resource), note: String::new() }
    }

    fn field(draft: &RuleDraft) -> String {
        draft.checked().unwrap_err().field.unwrap()
    }

    #[test]
    fn a_rule_is_written_as_it_is_read() {
        for text in [
            r#"{"methods":["GET","POST"],"path":"/projects/{id}/**","access":"key","scope":"project","resource":"project:{id}"}"#,
            r#"{"methods":["*"],"path":"/health","access":"public","note":"Asked by the load balancer."}"#,
            r#"{"methods":["*"],"path":"/**","access":"deny"}"#,
            r#"{"methods":["GET"],"path":"/a","access":"key"}"#,
            r#"{"methods":["GET"],"path":"/a","access":"key","resource":"untied"}"#,
            r#"{"methods":["GET"],"path":"/a","access":"key","scope":"chat","resource":"collection:{own}"}"#,
            r#"{"methods":["GET"],"path":"/a","access":"key","scope":"chat","resource":"collection:a:b"}"#,
        ] {
            let rule: RouteRule = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&rule).unwrap(), text);
        }
        let typed = RuleDraft { scope: Some(" ".into()), resource: Some(String::new()), ..draft(" get post ", " /a ", "key", "", "") };
        assert_eq!(RuleDraft::from(typed.checked().unwrap()).methods, ["GET", "POST"]);
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let fine = |methods: &str| draft(methods, "/a/{id}", "key", "chat", "");
        for methods in ["", "GET *", "G€T", "1", "GET,POST"] {
            assert_eq!(field(&fine(methods)), "methods", "{methods}");
        }
        for resource in ["x", "project:", ":x", "project:{other}", "project:{id", "project:a{id}", "Project:{id}", "{own}", "project:*"] {
            assert_eq!(field(&draft("GET", "/a/{id}", "key", "chat", resource)), "resource", "{resource}");
        }
        assert_eq!(field(&draft("GET", "a", "key", "chat", "")), "path");
        assert_eq!(field(&draft("GET", "/a", "key", "Chat", "")), "scope");
        assert_eq!(field(&draft("GET", "/a", "open", "", "")), "access");
        assert_eq!(field(&draft("GET", "/a", "public", "chat", "")), "scope");
        assert_eq!(field(&draft("GET", "/a", "deny", "", "untied")), "resource");
        assert_eq!(field(&RuleDraft { note: "a\nb".into(), ..fine("GET") }), "note");
        let unknown = r#"{"methods":["GET"],"path":"/a","access":"key","scopes":["chat"]}"#;
        assert!(serde_json::from_str::<RouteRule>(unknown).is_err());
    }

    #[test]
    fn head_is_asked_for_as_get_and_methods_are_told_apart_by_case() {
        let methods = |words: &str| fine_methods(words);
        assert!(methods("GET").fit("HEAD") && methods("GET").fit("GET") && !methods("GET").fit("get"));
        assert!(!methods("POST").fit("HEAD") && !methods("HEAD").fit("GET"));
        assert!(methods("*").fit("PURGE"));
        assert_eq!((methods("POST GET").to_string(), methods("*").to_string()), ("GET, POST".into(), "any method".into()));
    }

    fn fine_methods(words: &str) -> Methods {
        draft(words, "/a", "public", "", "").checked().unwrap().methods
    }

    #[test]
    fn a_rule_is_told_in_words() {
        let told = |scope, resource| draft("GET", "/a/{id}", "key", scope, resource).checked().unwrap().outcome.to_string();
        assert_eq!(told("chat", ""), "Needs the scope chat.");
        assert_eq!(told("", ""), "Needs any key that works.");
        assert_eq!(told("chat", "untied"), "Needs the scope chat, with a key that is tied to nothing.");
        assert_eq!(told("chat", "collection:{own}"), "Needs the scope chat, on the one collection that the key is tied to.");
        assert_eq!(told("project", "project:{id}"), "Needs the scope project, on project:{id}.");
        assert_eq!(Outcome::Deny.to_string(), "Refused, whoever asks.");
    }
}
