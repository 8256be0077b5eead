//! Which scopes there are in a workspace: the built-in ones, and its own with what they imply.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::name;
use crate::problem::{Problem, ProblemCode};
use crate::scope::{BUILT_IN, KeyKind, ScopeInfo, ScopeName, ScopeSet, find};
use crate::time::Timestamp;

/// The most scopes of its own a workspace may have: with the built-in ones no more than one key may hold.
pub const MAX_OWN_SCOPES: usize = 90;
/// The most characters of a scope's description.
pub const MAX_DESCRIPTION: usize = 200;
/// The heading under which a workspace's own scopes are offered.
pub const OWN_GROUP: &str = "Scopes of this workspace";

/// A scope as a workspace knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Its name.
    pub name: ScopeName,
    /// What it is for; may be empty.
    pub description: String,
    /// Scopes that come with it.
    pub implies: ScopeSet,
    /// May a publishable key hold it?
    pub public: bool,
    /// When the workspace made it; `None` for a built-in one.
    pub created_at: Option<Timestamp>,
}

impl Scope {
    fn built_in(info: &ScopeInfo) -> Option<Self> {
        Some(Self {
            name: info.name.parse().ok()?,
            description: info.description.to_owned(),
            implies: info.implies.iter().filter_map(|name| name.parse().ok()).collect(),
            public: info.public,
            created_at: None,
        })
    }

    /// Does every workspace have it? Such a scope cannot be changed.
    pub fn is_built_in(&self) -> bool {
        find(self.name.as_str()).is_some()
    }

    /// Is it about managing Keyfold itself, and so for management keys only?
    pub fn is_management(&self) -> bool {
        find(self.name.as_str()).is_some_and(|info| info.management)
    }

    /// The heading under which it is offered.
    pub fn group(&self) -> &'static str {
        find(self.name.as_str()).map_or(OWN_GROUP, |info| info.group)
    }

    /// What its holder may do, as the end of a sentence that starts with "Can".
    pub fn ability(&self) -> Cow<'static, str> {
        find(self.name.as_str()).map_or_else(|| Cow::Owned(format!("use {}", self.name)), |info| Cow::Borrowed(info.ability))
    }
}

static BUILT_IN_SCOPES: LazyLock<Vec<Scope>> = LazyLock::new(|| BUILT_IN.iter().filter_map(Scope::built_in).collect());

/// The scopes of one workspace. Written and read as the list of its own ones; the built-in ones are always there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Scope>", into = "Vec<Scope>")]
pub struct ScopeCatalogue {
    own: BTreeMap<ScopeName, Scope>,
}

impl From<Vec<Scope>> for ScopeCatalogue {
    fn from(own: Vec<Scope>) -> Self {
        Self { own: own.into_iter().map(|scope| (scope.name.clone(), scope)).collect() }
    }
}

impl From<ScopeCatalogue> for Vec<Scope> {
    fn from(catalogue: ScopeCatalogue) -> Self {
        catalogue.own.into_values().collect()
    }
}

impl ScopeCatalogue {
    /// The scope with that name.
    pub fn find(&self, name: &str) -> Option<&Scope> {
        BUILT_IN_SCOPES.iter().find(|scope| scope.name.as_str() == name).or_else(|| self.own.get(name))
    }

    /// Every scope, in the order in which they are offered: the built-in ones, then the workspace's own by name.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        BUILT_IN_SCOPES.iter().chain(self.own.values())
    }

    /// The workspace's own scopes, by name.
    pub fn own(&self) -> impl Iterator<Item = &Scope> {
        self.own.values()
    }

    /// The scopes a key of that kind may hold, in the order in which they are offered.
    pub fn offered(&self, kind: KeyKind) -> impl Iterator<Item = &Scope> {
        self.iter().filter(move |scope| kind.may_hold(scope))
    }

    /// All of them: what *Full access* means for that kind.
    pub fn full_access(&self, kind: KeyKind) -> ScopeSet {
        self.offered(kind).map(|scope| scope.name.clone()).collect()
    }

    /// The own scopes that imply that one directly.
    pub fn implied_by(&self, name: &str) -> impl Iterator<Item = &Scope> {
        self.own.values().filter(move |scope| scope.implies.contains(name))
    }

    /// The catalogue with a scope added or put in the place of the one of its name, or the rule that forbids it: a built-in
    /// scope stays as it is, what is implied exists and is no management scope, nothing implies itself, and what is public
    /// implies only what is public too.
    pub fn with(&self, scope: &Scope) -> Result<Self, Problem> {
        let name = scope.name.clone();
        if find(name.as_str()).is_some() {
            return Err(Problem::invalid("name", "Every workspace has this scope, and it cannot be changed. Choose another name."));
        }
        let mut next = self.clone();
        next.own.insert(name.clone(), scope.clone());
        if next.own.len() > MAX_OWN_SCOPES {
            let text = format!("This workspace has {MAX_OWN_SCOPES} scopes of its own already, as many as allowed. Delete one first.");
            return Err(Problem::new(ProblemCode::Conflict, text));
        }
        for implied in scope.implies.iter() {
            let wrong = match next.find(implied.as_str()) {
                None => format!("There is no scope named {implied}."),
                Some(other) if other.is_management() => {
                    format!("{implied} is about managing Keyfold. Such scopes are given to management keys directly.")
                }
                Some(other) if scope.public && !other.public => {
                    format!("{implied} is not public, so a public scope cannot include it.")
                }
                Some(_) => continue,
            };
            return Err(Problem::invalid("implies", wrong));
        }
        if scope.implies.effective(&next).contains(name.as_str()) {
            return Err(Problem::invalid("implies", format!("{name} would include itself. Leave out what leads back to it.")));
        }
        if let (false, Some(other)) = (scope.public, next.implied_by(name.as_str()).find(|other| other.public)) {
            let text = format!("The public scope {} includes {name}, so it has to stay public.", other.name);
            return Err(Problem::invalid("public", text));
        }
        Ok(next)
    }

    /// May that scope be taken away? Not while another one includes it, nor if it is built in.
    pub fn check_removal(&self, name: &str) -> Result<(), Problem> {
        if find(name).is_some() {
            return Err(Problem::new(ProblemCode::Conflict, "Every workspace has this scope. It cannot be deleted."));
        }
        match self.implied_by(name).next() {
            None => Ok(()),
            Some(other) => {
                Err(Problem::new(ProblemCode::Conflict, format!("The scope {} includes {name}. Take it out there first.", other.name)))
            }
        }
    }
}

/// A scope to be added to a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewScope {
    /// Its name, as it was typed.
    pub name: String,
    /// What it is for.
    #[serde(default)]
    pub description: String,
    /// Scopes that come with it.
    #[serde(default)]
    pub implies: ScopeSet,
    /// May a publishable key hold it?
    #[serde(default)]
    pub public: bool,
}

impl NewScope {
    /// The scope in its accepted form, made at that moment, or the first input at fault. What it implies is for the
    /// catalogue to judge.
    pub fn checked(self, now: Timestamp) -> Result<Scope, Problem> {
        let name = self.name.trim().parse().map_err(|_| {
            Problem::invalid("name", "Use 1 to 63 lower-case letters, digits and _ . : - and start with a letter, like reports:read.")
        })?;
        Ok(Scope { name, description: description(&self.description)?, implies: self.implies, public: self.public, created_at: Some(now) })
    }
}

/// A partial change of a scope: what is `None` stays. Its name is fixed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopePatch {
    /// A new description.
    #[serde(default)]
    pub description: Option<String>,
    /// The scopes that come with it, all of them.
    #[serde(default)]
    pub implies: Option<ScopeSet>,
    /// May a publishable key hold it?
    #[serde(default)]
    pub public: Option<bool>,
}

impl ScopePatch {
    /// The scope after the change.
    pub fn apply(&self, scope: &Scope) -> Result<Scope, Problem> {
        Ok(Scope {
            description: self.description.as_deref().map_or_else(|| Ok(scope.description.clone()), description)?,
            implies: self.implies.clone().unwrap_or_else(|| scope.implies.clone()),
            public: self.public.unwrap_or(scope.public),
            ..scope.clone()
        })
    }
}

fn description(text: &str) -> Result<String, Problem> {
    name::clean("description", text, MAX_DESCRIPTION, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> ScopeSet {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn scope(name: &str, implies: &[&str], public: bool) -> Scope {
        let description = String::new();
        NewScope { name: name.into(), description, implies: set(implies), public }.checked(Timestamp::from_millis(0)).unwrap()
    }

    fn catalogue(scopes: &[(&str, &[&str], bool)]) -> ScopeCatalogue {
        scopes.iter().fold(ScopeCatalogue::default(), |all, (name, implies, public)| all.with(&scope(name, implies, *public)).unwrap())
    }

    fn field(result: Result<ScopeCatalogue, Problem>) -> Option<String> {
        result.unwrap_err().field
    }

    #[test]
    fn an_own_scope_brings_along_what_it_implies_through_others() {
        let all = catalogue(&[("train", &["project"], false), ("lab", &["train", "chat"], false)]);
        assert_eq!(set(&["lab"]).effective(&all), set(&["lab", "train", "project", "inference", "chat"]));
        assert!(set(&["lab"]).covers(&set(&["inference", "train"]), &all));
        assert!(!set(&["train"]).covers(&set(&["lab"]), &all));
        assert_eq!(set(&["train"]).change_to(&set(&["lab"]), &all).gained, vec!["chat".parse().unwrap(), "lab".parse().unwrap()]);
        assert_eq!(set(&["lab"]).check(KeyKind::Secret, &all), Ok(()));
        assert!(set(&["lab"]).check(KeyKind::Secret, &ScopeCatalogue::default()).is_err());
        assert!(all.full_access(KeyKind::Secret).contains("lab") && !all.full_access(KeyKind::Publishable).contains("lab"));
    }

    #[test]
    fn nothing_implies_itself_not_even_through_others() {
        let all = catalogue(&[("a", &[], false), ("b", &["a"], false), ("c", &["b"], false)]);
        assert_eq!(field(all.with(&scope("a", &["a"], false))).as_deref(), Some("implies"));
        assert_eq!(field(all.with(&scope("a", &["c"], false))).as_deref(), Some("implies"));
        assert!(all.with(&scope("c", &["a", "b"], false)).is_ok());
    }

    #[test]
    fn an_own_scope_leads_to_no_management_scope_and_to_none_that_is_not_there() {
        let none = ScopeCatalogue::default();
        for implied in BUILT_IN.iter().filter(|info| info.management) {
            assert_eq!(field(none.with(&scope("a", &[implied.name], false))).as_deref(), Some("implies"));
        }
        assert_eq!(field(none.with(&scope("a", &["nonsense"], false))).as_deref(), Some("implies"));
        for info in BUILT_IN {
            assert_eq!(field(none.with(&scope(info.name, &[], true))).as_deref(), Some("name"));
        }
    }

    #[test]
    fn what_is_public_leads_only_to_what_is_public() {
        let all = catalogue(&[("shop", &["inference"], true), ("front", &["shop"], true)]);
        assert_eq!(field(all.with(&scope("front", &["shop", "chat"], true))).as_deref(), Some("implies"));
        assert_eq!(field(all.with(&scope("shop", &["inference"], false))).as_deref(), Some("public"));
        assert!(set(&["front"]).check(KeyKind::Publishable, &all).is_ok());
    }

    #[test]
    fn a_scope_that_another_one_includes_stays() {
        let all = catalogue(&[("a", &[], false), ("b", &["a"], false)]);
        assert!(all.check_removal("a").unwrap_err().message.contains('b'));
        assert!(all.check_removal("b").is_ok());
        assert_eq!(all.check_removal("chat").unwrap_err().code, ProblemCode::Conflict);
    }

    #[test]
    fn there_is_an_end_to_a_workspaces_own_scopes() {
        let most = (0..MAX_OWN_SCOPES).fold(ScopeCatalogue::default(), |all, at| all.with(&scope(&format!("s{at}"), &[], false)).unwrap());
        assert_eq!(most.with(&scope("more", &[], false)).unwrap_err().code, ProblemCode::Conflict);
        assert!(most.with(&scope("s1", &["chat"], false)).is_ok());
        assert!(most.full_access(KeyKind::Management).len() <= crate::scope::MAX_SCOPES);
    }

    #[test]
    fn a_catalogue_is_written_as_the_workspaces_own_scopes() {
        let all = catalogue(&[("a", &["chat"], false)]);
        let text = serde_json::to_string(&all).unwrap();
        assert!(text.starts_with('[') && !text.contains("audit:read"));
        assert_eq!(serde_json::from_str::<ScopeCatalogue>(&text).unwrap(), all);
    }
}
