//! Route maps: from a request's method and path to what the key that comes with it must be able to do.
//!
//! A map is a list of rules; the first that fits decides, and a request that none fits is refused. Nothing here judges a
//! key: that is for `verdict`, which is asked for the scope and the resource that are found here.

mod demand;
mod import;
pub mod presets;
mod rule;
mod saved;
mod target;
mod template;
mod trial;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::catalogue::ScopeCatalogue;
use crate::problem::Problem;
use crate::scope::ScopeName;
pub use demand::{Demand, KeyDemand, Tie};
pub use import::{ImportChoice, ImportChoices, ImportedRules, LeftOut, Operation};
pub use rule::{MAX_RULE_NOTE, Methods, Outcome, ResourceNeed, RouteRule, RuleDraft};
pub use saved::{RouteMapDetail, RouteMapVersion, RouteSource};
use target::Target;
pub use target::{MAX_TARGET, UnsafeTarget};
use template::Fit;
pub use template::{MAX_TEMPLATE, OWN, Template};
pub use trial::{KeyTrial, RouteTrial, TrialOutcome};

/// The most rules of a map.
pub const MAX_RULES: usize = 500;
/// So many versions of a map are kept.
pub const KEPT_VERSIONS: i64 = 100;

/// The rules of a workspace, in their order. Written and read as the list of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RouteMap {
    rules: Vec<RouteRule>,
}

/// The rule that a request meets, and what it demands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteMatch<'m> {
    /// Its place in the map, from 1.
    pub position: usize,
    /// The rule.
    pub rule: &'m RouteRule,
    /// What the request needs.
    pub demand: Demand<'m>,
}

/// Why no rule is for a request. All of these are refusals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum NoRoute {
    /// None of the rules fits.
    #[error("No rule of the workspace's route map is for this method and path.")]
    NoRule,
    /// Servers would read the request differently, so that a rule would not mean what it says.
    #[error("{0}")]
    Unsafe(UnsafeTarget),
}

impl NoRoute {
    /// The code for programs: `no_route` or `unsafe_path`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRule => "no_route",
            Self::Unsafe(_) => "unsafe_path",
        }
    }
}

/// How one rule took a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// It is for other methods.
    Method,
    /// It is for other paths.
    Path,
    /// It wants other parameters in the query.
    Query,
    /// It fits.
    Fits,
}

impl Step {
    /// The name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Path => "path",
            Self::Query => "query",
            Self::Fits => "fits",
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Method => "The path fits, the method does not.",
            Self::Path => "Another path.",
            Self::Query => "The path fits, the query does not.",
            Self::Fits => "Fits.",
        })
    }
}

impl RouteMap {
    /// The map of these rules, or the rule at fault by its place.
    pub fn new(rules: Vec<RouteRule>) -> Result<Self, Problem> {
        if rules.len() > MAX_RULES {
            return Err(too_many());
        }
        Ok(Self { rules })
    }

    /// The map of rules as they were written down, or the first rule at fault: the problem's field is `rules[2].path`, counted
    /// from 0 as in the JSON, and its text names the rule as people count.
    pub fn read(drafts: &[RuleDraft]) -> Result<Self, Problem> {
        if drafts.len() > MAX_RULES {
            return Err(too_many());
        }
        let checked = |(at, draft): (usize, &RuleDraft)| draft.checked().map_err(|problem| of_rule(at, problem));
        Self::new(drafts.iter().enumerate().map(checked).collect::<Result<_, _>>()?)
    }

    /// Is there every scope that the rules ask for?
    pub fn check_scopes(&self, catalogue: &ScopeCatalogue) -> Result<(), Problem> {
        match self.unknown_scopes(catalogue).next() {
            None => Ok(()),
            Some((at, scope)) => Err(of_rule(at, Problem::invalid("scope", format!("There is no scope named {scope}.")))),
        }
    }

    /// The rules, by their index, that ask for a scope that is not there: no key can meet them.
    pub fn unknown_scopes<'a>(&'a self, catalogue: &'a ScopeCatalogue) -> impl Iterator<Item = (usize, &'a ScopeName)> {
        let asked = self.rules.iter().enumerate().filter_map(|(at, rule)| rule.scope().map(|scope| (at, scope)));
        asked.filter(|(_, scope)| catalogue.find(scope.as_str()).is_none())
    }

    /// Does it stand before an h2oGPTe? Then it has a rule for `/rpc/meta`, which every client of it asks first.
    pub fn is_for_h2ogpte(&self) -> bool {
        self.rules.iter().any(|rule| rule.path.as_str() == "/rpc/meta")
    }

    /// The rules in their order.
    pub fn rules(&self) -> &[RouteRule] {
        &self.rules
    }

    /// The map with a rule in the place of the one there, or at the end for a place after it. Places count from 1.
    pub fn with(&self, position: usize, rule: RouteRule) -> Result<Self, Problem> {
        let mut rules = self.rules.clone();
        match position.checked_sub(1).and_then(|at| rules.get_mut(at)) {
            Some(place) => *place = rule,
            None => rules.push(rule),
        }
        Self::new(rules)
    }

    /// The map without the rule at a place; `None` if there is none.
    pub fn without(&self, position: usize) -> Option<Self> {
        let at = position.checked_sub(1).filter(|at| *at < self.rules.len())?;
        let mut rules = self.rules.clone();
        rules.remove(at);
        Some(Self { rules })
    }

    /// The map with the rule of one place at another; `None` if there is no such place.
    pub fn moved(&self, from: usize, to: usize) -> Option<Self> {
        let place = |position: usize| position.checked_sub(1).filter(|at| *at < self.rules.len());
        let (from, to) = (place(from)?, place(to)?);
        let mut rules = self.rules.clone();
        let rule = rules.remove(from);
        rules.insert(to, rule);
        Some(Self { rules })
    }

    /// The first rule that is for a request, and what it demands. `target` is the path with the query, as it was sent.
    pub fn find(&self, method: &str, target: &str) -> Result<RouteMatch<'_>, NoRoute> {
        self.look(method, target, None).map_err(|why| why.map_or(NoRoute::NoRule, NoRoute::Unsafe))
    }

    /// The same, and how each rule up to the one that decides took the request.
    pub fn explain(&self, method: &str, target: &str) -> (Result<RouteMatch<'_>, NoRoute>, Vec<Step>) {
        let mut steps = Vec::new();
        let found = self.look(method, target, Some(&mut steps));
        (found.map_err(|why| why.map_or(NoRoute::NoRule, NoRoute::Unsafe)), steps)
    }

    fn look(&self, method: &str, target: &str, mut steps: Option<&mut Vec<Step>>) -> Result<RouteMatch<'_>, Option<UnsafeTarget>> {
        if !rule::is_method(method) {
            return Err(Some(UnsafeTarget::Method));
        }
        let target = Target::read(target)?;
        for (at, rule) in self.rules.iter().enumerate() {
            let step = if rule.methods.fit(method) {
                match rule.path.fit(&target)? {
                    Fit::Path => Step::Path,
                    Fit::Query => Step::Query,
                    Fit::Whole(captures) => {
                        if let Some(steps) = steps {
                            steps.push(Step::Fits);
                        }
                        return Ok(RouteMatch { position: at + 1, rule, demand: Demand::of(&rule.outcome, &captures)? });
                    }
                }
            } else if steps.is_some() && !matches!(rule.path.fit(&target), Ok(Fit::Path)) {
                Step::Method
            } else {
                Step::Path
            };
            if let Some(steps) = steps.as_deref_mut() {
                steps.push(step);
            }
        }
        Err(None)
    }
}

fn too_many() -> Problem {
    Problem::invalid("rules", format!("A map has at most {MAX_RULES} rules. Put some together with * and **."))
}

/// A problem of one rule, with its place in the list.
fn of_rule(at: usize, problem: Problem) -> Problem {
    let field = problem.field.map_or_else(|| format!("rules[{at}]"), |field| format!("rules[{at}].{field}"));
    Problem::invalid(field, format!("Rule {}: {}", at + 1, problem.message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope::ScopeSet;
    use crate::time::Timestamp;

    use crate::verdict::{Code, Key, Moment, Question, judge};

    use proptest::prelude::*;

    pub(super) fn map(rules: &[(&str, &str, &str, &str, &str)]) -> RouteMap {
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let drafts: Vec<RuleDraft> = rules
            .iter()
            .map(|(methods, path, access, scope, resource)| RuleDraft {
                methods: methods.split_whitespace().map(str::to_owned).collect(),
                path: (*path).into(),
                access: (*access).into(),
                scope: given(scope),
                resource: given(resource),
                note: String::new(),
            })
            .collect();
        RouteMap::read(&drafts).unwrap()
    }

    pub(super) fn key(scopes: &[&str], tied: Option<&[&str]>) -> Key {
        let scopes: ScopeSet = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        let mut resources: Option<Vec<_>> = tied.map(|tied| tied.iter().map(|resource| resource.parse().unwrap()).collect());
        if let Some(resources) = &mut resources {
            resources.sort();
        }
        Key {
            effective: scopes.effective(&ScopeCatalogue::default()).into(),
            scopes: scopes.into(),
            resources,
            created_at: Timestamp::from_millis(0),
            expires_at: None,
            inactivity_days: None,
            ..crate::verdict::tests::key()
        }
    }

    /// What a gate says that goes by the map: the code, `public` or `deny`.
    pub(super) fn gate(map: &RouteMap, key: &Key, method: &str, target: &str) -> String {
        let demand = match map.find(method, target) {
            Err(why) => return why.as_str().to_owned(),
            Ok(found) => found.demand,
        };
        let Demand::Key(demand) = demand else { return if demand == Demand::Public { "public" } else { "deny" }.to_owned() };
        let resource = demand.tie.resource_for(key.resources.as_deref());
        let question = Question { scope: demand.scope.map(ScopeName::as_str), resource: resource.as_deref(), client_ip: None };
        judge(key, &question, &Moment::at(Timestamp::from_millis(1))).as_str().to_owned()
    }

    #[test]
    fn the_first_rule_that_fits_decides_and_nothing_is_open_by_default() {
        let map = map(&[("GET", "/a/secret", "deny", "", ""), ("GET POST", "/a/*", "key", "chat", ""), ("*", "/a/**", "public", "", "")]);
        let at = |method, target| map.find(method, target).map(|found| found.position);
        assert_eq!(at("GET", "/a/secret"), Ok(1));
        assert_eq!(at("POST", "/a/secret"), Ok(2));
        assert_eq!(at("DELETE", "/a/secret"), Ok(3));
        assert_eq!(at("HEAD", "/a/x"), Ok(2));
        assert_eq!(at("GET", "/a/"), Ok(3));
        assert_eq!(at("GET", "/b"), Err(NoRoute::NoRule));
        assert_eq!(at("get", "/a/x"), Err(NoRoute::Unsafe(UnsafeTarget::Method)));
        assert_eq!(at("GET", "/a/%2e%2e/b"), Err(NoRoute::Unsafe(UnsafeTarget::DotSegment)));
        assert_eq!(RouteMap::default().find("GET", "/"), Err(NoRoute::NoRule));
    }

    #[test]
    fn a_parameter_that_is_there_twice_does_not_slip_past_to_a_wider_rule() {
        let map = map(&[("POST", "/chats?collection_id=closed", "deny", "", ""), ("POST", "/chats", "public", "", "")]);
        assert!(map.find("POST", "/chats?collection_id=open").is_ok_and(|found| found.demand == Demand::Public));
        assert!(map.find("POST", "/chats?collection_id=closed").is_ok_and(|found| found.demand == Demand::Deny));
        for doubtful in
            ["collection_id=open&collection_id=closed", "Collection_ID=closed", "collection_id[]=closed", "x=1;collection_id=closed"]
        {
            let found = map.find("POST", &format!("/chats?{doubtful}"));
            assert_eq!(found, Err(NoRoute::Unsafe(UnsafeTarget::Query)), "{doubtful}");
        }
    }

    #[test]
    fn every_rule_on_the_way_says_how_it_took_the_request() {
        let map = map(&[
            ("GET", "/b", "public", "", ""),
            ("GET", "/a?x=1", "public", "", ""),
            ("POST", "/a?x=2", "public", "", ""),
            ("GET", "/a", "key", "chat", ""),
            ("GET", "/**", "deny", "", ""),
        ]);
        let (found, steps) = map.explain("GET", "/a?x=2");
        assert_eq!((found.unwrap().position, steps), (4, vec![Step::Path, Step::Query, Step::Method, Step::Fits]));
        let (found, steps) = map.explain("PUT", "/a");
        assert_eq!((found.unwrap_err(), steps.len()), (NoRoute::NoRule, 5));
    }

    #[test]
    fn a_key_is_held_against_what_the_path_names() {
        let map = map(&[
            ("*", "/projects/{id}/**", "key", "project", "project:{id}"),
            ("GET", "/own", "key", "chat", "collection:{own}"),
            ("GET", "/all", "key", "", "untied"),
            ("GET", "/one", "key", "chat", "collection:x"),
            ("GET", "/me", "key", "", ""),
        ]);
        let global = key(&["project", "chat"], None);
        let tied = key(&["project", "chat"], Some(&["project:p", "collection:c"]));
        let two = key(&["chat"], Some(&["collection:c", "collection:d"]));
        let none = key(&["project", "chat"], Some(&[]));
        for (target, expected) in [
            ("/projects/p/x", ["valid", "valid", "missing_scope", "wrong_resource"]),
            ("/projects/q/x", ["valid", "wrong_resource", "missing_scope", "wrong_resource"]),
            ("/projects/p", ["no_route"; 4]),
            ("/own", ["valid", "valid", "wrong_resource", "wrong_resource"]),
            ("/all", ["valid", "wrong_resource", "wrong_resource", "wrong_resource"]),
            ("/one", ["valid", "wrong_resource", "wrong_resource", "wrong_resource"]),
            ("/me", ["valid", "valid", "valid", "wrong_resource"]),
            ("/projects/a%20b/", ["unsafe_path"; 4]),
        ] {
            assert_eq!([&global, &tied, &two, &none].map(|key| gate(&map, key, "GET", target)), expected, "{target}");
        }
        let Demand::Key(own) = map.find("GET", "/own").unwrap().demand else { panic!() };
        assert_eq!(own.tie.resource_for(tied.resources.as_deref()).unwrap().to_string(), "collection:c");
        assert_eq!(own.tie.resource_for(global.resources.as_deref()), None);
    }

    #[test]
    fn a_key_that_is_tied_to_what_stands_for_nothing_is_refused_as_well() {
        let map = map(&[("GET", "/all", "key", "", "untied")]);
        let sly = key(&["chat"], Some(&["none:0", "none:1"]));
        assert_eq!(gate(&map, &sly, "GET", "/all"), "wrong_resource");
    }

    #[test]
    fn rules_are_put_moved_and_taken_out_by_their_place() {
        let all = map(&[("GET", "/a", "public", "", ""), ("GET", "/b", "public", "", ""), ("GET", "/c", "public", "", "")]);
        let paths = |map: &RouteMap| map.rules().iter().map(|rule| rule.path.to_string()).collect::<String>();
        let other = map(&[("GET", "/x", "deny", "", "")]).rules()[0].clone();
        assert_eq!(paths(&all.with(2, other.clone()).unwrap()), "/a/x/c");
        assert_eq!(paths(&all.with(4, other.clone()).unwrap()), "/a/b/c/x");
        assert_eq!(paths(&all.with(0, other).unwrap()), "/a/b/c/x");
        assert_eq!(all.without(1).as_ref().map(paths), Some("/b/c".into()));
        assert_eq!(all.moved(3, 1).as_ref().map(paths), Some("/c/a/b".into()));
        assert_eq!(all.moved(1, 2).as_ref().map(paths), Some("/b/a/c".into()));
        for none in [all.without(0), all.without(4), all.moved(0, 1), all.moved(1, 4)] {
            assert_eq!(none, None);
        }
    }

    #[test]
    fn the_rule_at_fault_is_named() {
        let fine = RuleDraft { methods: vec!["GET".into()], path: "/a".into(), access: "key".into(), ..RuleDraft::default() };
        let wrong = RouteMap::read(&[fine.clone(), RuleDraft { path: "a".into(), ..fine.clone() }]).unwrap_err();
        assert_eq!(wrong.field.as_deref(), Some("rules[1].path"));
        assert!(wrong.message.starts_with("Rule 2: "));
        assert_eq!(RouteMap::read(&vec![fine.clone(); MAX_RULES + 1]).unwrap_err().field.as_deref(), Some("rules"));
        let unknown = RouteMap::read(&[fine.clone(), RuleDraft { scope: Some("nonsense".into()), ..fine }]).unwrap();
        assert_eq!(unknown.check_scopes(&ScopeCatalogue::default()).unwrap_err().field.as_deref(), Some("rules[1].scope"));
    }

    proptest! {
        /// Whatever the path, the answer is the same for the path as it is and with letters of it encoded.
        #[test]
        fn encoding_letters_changes_no_answer(path in "/(predict|projects|a|b)(/[a-c]{0,2}){0,3}", flips in proptest::collection::vec(any::<bool>(), 40)) {
            let map = map(&[
                ("*", "/predict/**", "key", "inference", ""),
                ("*", "/projects/{id}/**", "key", "project", "project:{id}"),
                ("*", "/a/*/b", "public", "", ""),
                ("*", "/a/**", "deny", "", ""),
            ]);
            let encoded: String = path.chars().zip(flips.iter().cycle()).map(|(found, flip)| {
                if *flip && found != '/' { format!("%{:02x}", u32::from(found)) } else { found.to_string() }
            }).collect();
            let (plain, other) = (map.find("GET", &path), map.find("GET", &encoded));
            prop_assert_eq!(plain, other);
        }

        /// A tied key never passes where the path names another resource than its own.
        #[test]
        fn a_tied_key_stays_where_it_is_tied(id in "[a-z%20/.;\\\\]{1,8}") {
            let map = map(&[("*", "/projects/{id}/**", "key", "project", "project:{id}")]);
            let code = gate(&map, &key(&["project"], Some(&["project:p"])), "GET", &format!("/projects/{id}/x"));
            prop_assert!(code != Code::Valid.as_str() || id == "p" || id.starts_with("p/"), "{id}: {code}");
        }

        #[test]
        fn no_request_is_without_an_answer(method in "\\PC{0,8}", target in "\\PC{0,40}") {
            let map = map(&[("*", "/**", "public", "", "")]);
            if let Ok(found) = map.find(&method, &target) {
                prop_assert_eq!(found.demand, Demand::Public);
                prop_assert!(target.starts_with('/'));
            }
        }
    }
}
