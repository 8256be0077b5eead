//! Rules from an OpenAPI document: what is chosen for its operations, and what came of them. The document itself is read by
//! the engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::rule::RuleDraft;
use super::{MAX_RULES, RouteMap};
use crate::name;
use crate::problem::Problem;

/// What becomes of operations of one class.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportChoice {
    /// `key`, `public` or `deny`; empty for no rule, which is a refusal as well.
    pub access: String,
    /// The scope that a key needs; only with `key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
}

/// What becomes of the operations of a document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImportChoices {
    /// GET and HEAD.
    pub read: ImportChoice,
    /// POST, PUT, PATCH and whatever else there is.
    pub write: ImportChoice,
    /// DELETE.
    pub delete: ImportChoice,
    /// What stands before every path; `None` for what the document says of its first server.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The name of a variable in the paths whose value is a resource's id; `None` for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
    /// The kind of that resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
}

/// An operation of a document: the path as it stands there, a method in capital letters, and what it is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The path.
    pub path: String,
    /// The method.
    pub method: String,
    /// Its summary or its id; may be empty.
    pub title: String,
}

/// A path of a document that has no rule, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The path as it stands in the document.
    pub path: String,
    /// Why, as a sentence.
    pub why: String,
}

/// The rules that a document's operations make. Nothing of it is saved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportedRules {
    /// The rules, in an order in which none hides another: paths as they are before paths with variables.
    pub rules: Vec<RuleDraft>,
    /// How many operations they are for.
    pub operations: usize,
    /// Paths that cannot be a rule's.
    pub left_out: Vec<LeftOut>,
}

/// The path as a template, and the names of its variables before and after: `{key-id}` stays, `{user.id}` becomes `{user_id}`.
fn template(path: &str) -> (String, BTreeMap<String, String>) {
    let (mut text, mut names, mut rest) = (String::new(), BTreeMap::new(), path);
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let Some((name, after)) = after.split_once('}') else {
            text.push('{');
            rest = after;
            continue;
        };
        let mut plain: String =
            name.chars().map(|found| if found.is_ascii_alphanumeric() || found == '-' { found } else { '_' }).take(36).collect();
        if !plain.starts_with(|first: char| first.is_ascii_alphabetic()) || plain == super::OWN {
            plain.insert_str(0, "x_");
        }
        text.push('{');
        text.push_str(&plain);
        text.push('}');
        names.insert(name.to_owned(), plain);
        rest = after;
    }
    text.push_str(rest);
    (text, names)
}

/// Paths as they are come before paths with variables, part by part, so that the first that fits is the closest.
fn closeness(path: &str) -> Vec<(bool, &str)> {
    path.split('/').map(|part| (part.contains('{'), part)).collect()
}

/// Where a rule stands, and which operations share it: those of a path that are treated alike.
type Place<'a> = (Vec<(bool, &'a str)>, &'a str, u8);

/// Operations of one class are treated alike.
fn class(method: &str) -> u8 {
    match method {
        "GET" | "HEAD" => 0,
        "DELETE" => 2,
        _ => 1,
    }
}

/// A note with another operation's title in it, as far as there is room.
fn told(note: &str, title: &str) -> String {
    let title = name::clean("note", &title.replace(char::is_control, " "), usize::MAX, false).unwrap_or_default();
    let whole = match (note, title.as_str()) {
        (note, "") => note.to_owned(),
        ("", title) => title.to_owned(),
        (note, title) => format!("{note}; {title}"),
    };
    let cut: String = whole.chars().take(super::MAX_RULE_NOTE).collect();
    cut.trim().to_owned()
}

impl ImportChoices {
    fn of(&self, method: &str) -> &ImportChoice {
        match class(method) {
            0 => &self.read,
            2 => &self.delete,
            _ => &self.write,
        }
    }

    /// Are the choices themselves in order? Each is tried on a path that is fine.
    fn check(&self) -> Result<(), Problem> {
        for (name, choice) in [("read", &self.read), ("write", &self.write), ("delete", &self.delete)] {
            if !choice.access.is_empty() {
                let draft = RuleDraft { methods: vec!["GET".into()], path: "/".into(), ..choice.draft() };
                let wrong = |problem: Problem| Problem::invalid(format!("{name}.{}", problem.field.unwrap_or_default()), problem.message);
                draft.checked().map_err(wrong)?;
            }
        }
        match (&self.variable, &self.kind) {
            (None, None) => Ok(()),
            (Some(_), Some(kind)) => crate::verdict::ResourceRef::new(kind, "any").map(drop),
            (None, Some(_)) => Err(Problem::invalid("variable", "Name the variable in the paths that holds the id.")),
            (Some(_), None) => Err(Problem::invalid("kind", "Name the kind of resource that the variable is the id of.")),
        }
    }

    /// The rule of one operation, by itself.
    fn draft(&self, choice: &ImportChoice, prefix: &str, operation: &Operation) -> RuleDraft {
        let (path, names) = template(&operation.path);
        let tied = self.variable.as_ref().and_then(|name| names.get(name)).zip(self.kind.as_ref());
        let resource = tied.filter(|_| choice.access == "key").map(|(variable, kind)| format!("{kind}:{{{variable}}}"));
        RuleDraft { methods: vec![operation.method.clone()], path: format!("{prefix}{path}"), resource, ..choice.draft() }
    }

    /// The rules for a document's operations. `prefix` is what the document says of its first server.
    pub fn rules(&self, operations: &[Operation], prefix: &str) -> Result<ImportedRules, Problem> {
        self.check()?;
        let prefix = self.prefix.as_deref().unwrap_or(prefix).trim().trim_end_matches('/');
        if !(prefix.is_empty() || prefix.starts_with('/')) {
            return Err(Problem::invalid("prefix", "Start with a slash, or leave it empty."));
        }
        let mut rules: BTreeMap<Place<'_>, RuleDraft> = BTreeMap::new();
        let (mut imported, mut refused) = (ImportedRules::default(), BTreeMap::new());
        for operation in operations {
            let choice = self.of(&operation.method);
            if choice.access.is_empty() {
                continue;
            }
            let draft = self.draft(choice, prefix, operation);
            if let Err(problem) = draft.checked() {
                refused.insert(operation.path.clone(), problem.message);
                continue;
            }
            imported.operations += 1;
            let place = (closeness(&operation.path), operation.path.as_str(), class(&operation.method));
            let rule = rules.entry(place).or_insert_with(|| RuleDraft { methods: Vec::new(), ..draft });
            rule.methods.push(operation.method.clone());
            rule.note = told(&rule.note, &operation.title);
        }
        imported.rules = rules.into_values().collect();
        imported.left_out = refused.into_iter().map(|(path, why)| LeftOut { path, why }).collect();
        if imported.rules.len() > MAX_RULES {
            let count = imported.rules.len();
            let text = format!(
                "The document makes {count} rules, and a map has at most {MAX_RULES}. Choose no rule for a class of operations, or write the rules with * and **."
            );
            return Err(Problem::invalid("document", text));
        }
        if imported.rules.is_empty() {
            return Err(Problem::invalid("document", "No rule comes of this document with these choices."));
        }
        RouteMap::read(&imported.rules)?;
        Ok(imported)
    }
}

impl ImportChoice {
    fn draft(&self) -> RuleDraft {
        RuleDraft { access: self.access.clone(), scope: self.scope.clone(), ..RuleDraft::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(method: &str, path: &str) -> Operation {
        Operation { path: path.into(), method: method.into(), title: format!("{method} it") }
    }

    fn scope(name: &str) -> ImportChoice {
        ImportChoice { access: "key".into(), scope: Some(name.into()) }
    }

    fn choices() -> ImportChoices {
        ImportChoices { read: scope("inference"), write: scope("project"), delete: ImportChoice::default(), ..ImportChoices::default() }
    }

    #[test]
    fn paths_as_they_are_come_before_paths_with_variables() {
        let operations =
            ["/users/{id}", "/users/current", "/{any}/current", "/users/{id}/roles", "/Users"].map(|path| operation("GET", path));
        let rules = choices().rules(&operations, "/api/").unwrap().rules;
        let paths: Vec<&str> = rules.iter().map(|rule| rule.path.as_str()).collect();
        assert_eq!(paths, ["/api/Users", "/api/users/current", "/api/users/{id}", "/api/users/{id}/roles", "/api/{any}/current"]);
    }

    #[test]
    fn methods_that_are_treated_alike_share_a_rule_and_a_class_without_a_choice_has_none() {
        let operations = ["GET", "PUT", "PATCH", "DELETE"].map(|method| operation(method, "/a"));
        let imported = choices().rules(&operations, "").unwrap();
        let told: Vec<_> =
            imported.rules.iter().map(|rule| (rule.methods.join(" "), rule.scope.clone().unwrap(), rule.note.as_str())).collect();
        assert_eq!(told, [("GET".into(), "inference".into(), "GET it"), ("PUT PATCH".into(), "project".into(), "PUT it; PATCH it")]);
        assert_eq!(imported.operations, 3);
    }

    #[test]
    fn a_variable_can_be_a_resources_id() {
        let choices = ImportChoices { variable: Some("project.id".into()), kind: Some("project".into()), ..choices() };
        let rules = choices.rules(&[operation("GET", "/p/{project.id}/x"), operation("GET", "/q/{own}")], "").unwrap().rules;
        assert_eq!((rules[0].path.as_str(), rules[0].resource.as_deref()), ("/p/{project_id}/x", Some("project:{project_id}")));
        assert_eq!((rules[1].path.as_str(), rules[1].resource.as_deref()), ("/q/{x_own}", None));
    }

    #[test]
    fn a_path_that_cannot_be_a_rules_is_left_out_and_named() {
        let imported = choices()
            .rules(&[operation("GET", "/a/{b}.{c}"), operation("GET", "/a b"), operation("GET", "x"), operation("GET", "/a")], "")
            .unwrap();
        let left: Vec<&str> = imported.left_out.iter().map(|left| left.path.as_str()).collect();
        assert_eq!((left, imported.rules.len()), (vec!["/a b", "/a/{b}.{c}", "x"], 1));
    }

    #[test]
    fn the_choice_at_fault_is_named() {
        let field = |choices: ImportChoices| choices.rules(&[operation("GET", "/a")], "").unwrap_err().field.unwrap();
        assert_eq!(field(ImportChoices { read: scope("No"), ..choices() }), "read.scope");
        assert_eq!(field(ImportChoices { write: ImportChoice { access: "open".into(), scope: None }, ..choices() }), "write.access");
        assert_eq!(field(ImportChoices { variable: Some("id".into()), ..choices() }), "kind");
        assert_eq!(field(ImportChoices { kind: Some("id".into()), ..choices() }), "variable");
        assert_eq!(field(ImportChoices { prefix: Some("v1".into()), ..choices() }), "prefix");
        assert_eq!(field(ImportChoices::default()), "document");
        let many: Vec<_> = (0..=MAX_RULES).map(|at| operation("GET", &format!("/{at}"))).collect();
        assert_eq!(choices().rules(&many, "").unwrap_err().field.as_deref(), Some("document"));
    }
}
