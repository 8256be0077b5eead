//! Scopes: what a key may be used for. Kinds: what scopes a key may ever hold. Which scopes there are in a workspace, its
//! own among them, is in `catalogue`.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::catalogue::{Scope, ScopeCatalogue};

/// The most scopes one key may hold.
pub const MAX_SCOPES: usize = 100;

/// The name of a scope: `[a-z][a-z0-9_.:-]{0,62}`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ScopeName(Box<str>);

/// The text cannot name a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a scope's name is 1 to 63 of a-z, 0-9, _ . : - and starts with a letter")]
pub struct InvalidScopeName;

impl ScopeName {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ScopeName {
    type Err = InvalidScopeName;

    fn from_str(text: &str) -> Result<Self, InvalidScopeName> {
        let valid = (1..=63).contains(&text.len())
            && text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_.:-".contains(&byte));
        if valid { Ok(Self(text.into())) } else { Err(InvalidScopeName) }
    }
}

impl TryFrom<String> for ScopeName {
    type Error = InvalidScopeName;

    fn try_from(text: String) -> Result<Self, InvalidScopeName> {
        text.parse()
    }
}

impl From<ScopeName> for String {
    fn from(name: ScopeName) -> Self {
        name.0.into()
    }
}

impl fmt::Display for ScopeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for ScopeName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What sort of key it is. Fixed at creation, visible in the secret, and a bound on the scopes it may ever hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum KeyKind {
    /// For servers: any scope but the management scopes.
    Secret,
    /// May be shown to the world, in a web page for instance: public scopes only.
    Publishable,
    /// May also hold the management scopes; acts as its owner and never beyond the owner's present rights.
    Management,
}

/// The word names no kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a kind")]
pub struct InvalidKeyKind;

impl From<KeyKind> for &'static str {
    fn from(kind: KeyKind) -> Self {
        kind.as_str()
    }
}

impl TryFrom<String> for KeyKind {
    type Error = InvalidKeyKind;

    fn try_from(word: String) -> Result<Self, InvalidKeyKind> {
        Self::from_name(&word).ok_or(InvalidKeyKind)
    }
}

impl KeyKind {
    /// Every kind, in the order they are offered.
    pub const ALL: [Self; 3] = [Self::Secret, Self::Publishable, Self::Management];

    /// The three letters in the secret.
    pub const fn marker(self) -> &'static str {
        match self {
            Self::Secret => "sec",
            Self::Publishable => "pub",
            Self::Management => "adm",
        }
    }

    /// The kind that a secret's three letters name.
    pub fn from_marker(marker: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.marker() == marker)
    }

    /// The name used in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Publishable => "publishable",
            Self::Management => "management",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// May a key of this kind hold that scope?
    pub fn may_hold(self, scope: &Scope) -> bool {
        match self {
            Self::Secret => !scope.is_management(),
            Self::Publishable => scope.public,
            Self::Management => true,
        }
    }
}

/// What is known of a built-in scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopeInfo {
    /// Its name.
    pub name: &'static str,
    /// The heading under which it is offered.
    pub group: &'static str,
    /// What its holder may do, as the end of a sentence that starts with "Can".
    pub ability: &'static str,
    /// What it is for, in one sentence.
    pub description: &'static str,
    /// Scopes that come with it.
    pub implies: &'static [&'static str],
    /// May a publishable key hold it?
    pub public: bool,
    /// Is it about managing Keyfold itself, and so for management keys only?
    pub management: bool,
}

/// The scopes every workspace has.
pub const BUILT_IN: &[ScopeInfo] = &[
    ScopeInfo {
        name: "project",
        group: "Your services",
        ability: "manage projects, upload data sets, train models and make predictions",
        description: "Manage projects, upload data sets, train models and make predictions.",
        implies: &["inference"],
        public: false,
        management: false,
    },
    ScopeInfo {
        name: "inference",
        group: "Your services",
        ability: "make predictions",
        description: "Make predictions with models that exist already.",
        implies: &[],
        public: true,
        management: false,
    },
    ScopeInfo {
        name: "chat",
        group: "Your services",
        ability: "talk with a collection or source",
        description: "Talk with a collection or source.",
        implies: &[],
        public: false,
        management: false,
    },
    ScopeInfo {
        name: "keys:read",
        group: "Managing Keyfold",
        ability: "list API keys",
        description: "List API keys and read their settings, never their secrets.",
        implies: &[],
        public: false,
        management: true,
    },
    ScopeInfo {
        name: "keys:write",
        group: "Managing Keyfold",
        ability: "create, change and delete API keys",
        description: "Create, change, deactivate and delete API keys and the resources they are tied to, as far as the owner may.",
        implies: &["keys:read"],
        public: false,
        management: true,
    },
    ScopeInfo {
        name: "members:read",
        group: "Managing Keyfold",
        ability: "list the members of the workspace",
        description: "List the members of the workspace and their roles.",
        implies: &[],
        public: false,
        management: true,
    },
    ScopeInfo {
        name: "audit:read",
        group: "Managing Keyfold",
        ability: "read the audit log",
        description: "Read the audit log, as far as the owner may.",
        implies: &[],
        public: false,
        management: true,
    },
    ScopeInfo {
        name: "verify",
        group: "Managing Keyfold",
        ability: "ask whether another key is valid",
        description: "Ask whether a key presented to your service is valid and may do a thing.",
        implies: &[],
        public: false,
        management: true,
    },
];

/// What is known of the built-in scope with that name; `None` if there is none.
pub fn find(name: &str) -> Option<&'static ScopeInfo> {
    BUILT_IN.iter().find(|scope| scope.name == name)
}

/// A set of scopes, in alphabetical order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ScopeSet(BTreeSet<ScopeName>);

/// Why a set of scopes cannot be given to a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeRefusal {
    /// A key without a scope could do nothing.
    #[error("choose at least one scope")]
    Empty,
    /// More than [`MAX_SCOPES`].
    #[error("a key may hold at most {MAX_SCOPES} scopes")]
    TooMany,
    /// No such scope.
    #[error("there is no scope named {0}")]
    Unknown(ScopeName),
    /// The kind of key forbids it.
    #[error("a {kind} key may not hold the scope {scope}", kind = .0.as_str(), scope = .1)]
    Kind(KeyKind, ScopeName),
}

impl ScopeSet {
    /// Is that very scope in the set? Implied scopes do not count: see [`Self::effective`].
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains(name)
    }

    /// The scopes in alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = &ScopeName> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Is the set empty?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a scope.
    pub fn insert(&mut self, scope: ScopeName) {
        self.0.insert(scope);
    }

    /// Takes a scope out.
    pub fn remove(&mut self, scope: &str) {
        self.0.remove(scope);
    }

    /// Is every scope of this set, by name, in `other`?
    pub fn is_subset(&self, other: &Self) -> bool {
        self.0.is_subset(&other.0)
    }

    /// The set with everything its scopes imply, directly or through others. A scope that is in no catalogue implies nothing.
    #[must_use]
    pub fn effective(&self, catalogue: &ScopeCatalogue) -> Self {
        let mut all = self.clone();
        let mut open: Vec<&ScopeName> = self.0.iter().collect();
        while let Some(scope) = open.pop() {
            let Some(scope) = catalogue.find(scope.as_str()) else { continue };
            for name in &scope.implies.0 {
                if all.0.insert(name.clone()) {
                    open.push(name);
                }
            }
        }
        all
    }

    /// Can this set do everything that `other` can?
    pub fn covers(&self, other: &Self, catalogue: &ScopeCatalogue) -> bool {
        other.0.is_subset(&self.effective(catalogue).0)
    }

    /// What a key gains and loses in fact when its scopes change from this set to `next`, implied scopes included.
    pub fn change_to(&self, next: &Self, catalogue: &ScopeCatalogue) -> ScopeChange {
        let (before, after) = (self.effective(catalogue), next.effective(catalogue));
        ScopeChange { gained: after.0.difference(&before.0).cloned().collect(), lost: before.0.difference(&after.0).cloned().collect() }
    }

    /// May a key of that kind hold this set?
    pub fn check(&self, kind: KeyKind, catalogue: &ScopeCatalogue) -> Result<(), ScopeRefusal> {
        if self.0.is_empty() {
            return Err(ScopeRefusal::Empty);
        }
        if self.0.len() > MAX_SCOPES {
            return Err(ScopeRefusal::TooMany);
        }
        for name in &self.0 {
            match catalogue.find(name.as_str()) {
                None => return Err(ScopeRefusal::Unknown(name.clone())),
                Some(scope) if !kind.may_hold(scope) => return Err(ScopeRefusal::Kind(kind, name.clone())),
                Some(_) => {}
            }
        }
        Ok(())
    }
}

impl FromIterator<ScopeName> for ScopeSet {
    fn from_iter<I: IntoIterator<Item = ScopeName>>(scopes: I) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, scope) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(" ")?;
            }
            f.write_str(scope.as_str())?;
        }
        Ok(())
    }
}

/// What a change of scopes means for the key's holder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeChange {
    /// Scopes it could not use before.
    pub gained: Vec<ScopeName>,
    /// Scopes it can no longer use.
    pub lost: Vec<ScopeName>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(names: &[&str]) -> ScopeSet {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn every_built_in_scope_is_named_and_implies_scopes_that_exist() {
        for scope in BUILT_IN {
            assert!(scope.name.parse::<ScopeName>().is_ok(), "{}", scope.name);
            for implied in scope.implies {
                let implied = find(implied).unwrap();
                assert!(!implied.management || scope.management, "a plain scope must not imply a management scope");
            }
            assert!(!(scope.public && scope.management));
        }
    }

    #[test]
    fn a_kind_bounds_the_scopes() {
        let check = |names: &[&str], kind| set(names).check(kind, &ScopeCatalogue::default());
        assert_eq!(check(&["project", "chat"], KeyKind::Secret), Ok(()));
        assert!(check(&["verify"], KeyKind::Secret).is_err());
        assert_eq!(check(&["inference"], KeyKind::Publishable), Ok(()));
        assert!(check(&["project"], KeyKind::Publishable).is_err());
        assert_eq!(check(&["project", "verify"], KeyKind::Management), Ok(()));
        assert_eq!(check(&[], KeyKind::Management), Err(ScopeRefusal::Empty));
        assert!(check(&["nonsense"], KeyKind::Management).is_err());
    }

    #[test]
    fn a_change_counts_what_is_implied() {
        let built_in = ScopeCatalogue::default();
        let change = set(&["project"]).change_to(&set(&["inference", "chat"]), &built_in);
        assert_eq!(change.gained, vec!["chat".parse().unwrap()]);
        assert_eq!(change.lost, vec!["project".parse().unwrap()]);
        assert!(set(&["project"]).covers(&set(&["inference"]), &built_in));
        assert!(!set(&["inference"]).covers(&set(&["project"]), &built_in));
    }

    #[test]
    fn a_scope_name_keeps_to_its_alphabet() {
        for good in ["a", "keys:read", "model.v2-x_y"] {
            assert!(good.parse::<ScopeName>().is_ok());
        }
        for bad in ["", "A", "1a", "a b", "*", "é", &"a".repeat(64)] {
            assert!(bad.parse::<ScopeName>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_effective_set_is_larger_and_final(picks in proptest::collection::vec(0..BUILT_IN.len(), 0..8)) {
            let held: ScopeSet = picks.into_iter().map(|at| BUILT_IN[at].name.parse().unwrap()).collect();
            let built_in = ScopeCatalogue::default();
            let effective = held.effective(&built_in);
            prop_assert!(held.iter().all(|scope| effective.contains(scope.as_str())));
            prop_assert_eq!(effective.effective(&built_in), effective.clone());
            prop_assert!(held.covers(&effective, &built_in));
        }
    }
}
