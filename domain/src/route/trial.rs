//! What comes of a request that is tried on a map.

use serde::{Deserialize, Serialize};

use super::{NoRoute, Outcome, ResourceNeed, RouteRule, Step};
use crate::ids::KeyId;
use crate::scope::ScopeName;
use crate::verdict::{Code, ResourceRef};

/// What a request that is tried meets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RouteTrial {
    /// The version of the map; 0 if the workspace has none.
    pub version: i64,
    /// What the request needs, or why it is refused.
    pub outcome: TrialOutcome,
    /// The place of the rule that decides, from 1.
    pub position: Option<usize>,
    /// The rule that decides.
    pub rule: Option<RouteRule>,
    /// How each rule took the request, in their order, up to the one that decides.
    pub steps: Vec<Step>,
    /// What the key would be answered that was named.
    pub key: Option<KeyTrial>,
}

/// What a request needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TrialOutcome {
    /// Nothing.
    Public,
    /// It is refused, whoever asks.
    Deny,
    /// It is refused, because no rule is for it.
    NoRoute(NoRoute),
    /// A key.
    Key {
        /// The scope; `None` for any key.
        scope: Option<ScopeName>,
        /// What it is about, to follow "on".
        on: String,
    },
}

/// What a key would be answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyTrial {
    /// The key.
    pub id: KeyId,
    /// What people call it.
    pub name: String,
    /// The verdict; `None` where no key is asked for.
    pub code: Option<Code>,
    /// What the service behind would be told that the request is about.
    pub resource: Option<ResourceRef>,
}

impl RouteTrial {
    /// A request before a rule was found for it, or because none was.
    pub const fn refused(version: i64, why: Option<NoRoute>) -> Self {
        let outcome = match why {
            Some(why) => TrialOutcome::NoRoute(why),
            None => TrialOutcome::Deny,
        };
        Self { version, outcome, position: None, rule: None, steps: Vec::new(), key: None }
    }

    /// Why, as a sentence for a person. What a key is answered is not in it.
    pub fn why(&self) -> String {
        let at = self.position.unwrap_or_default();
        match (&self.outcome, &self.rule) {
            (TrialOutcome::NoRoute(NoRoute::NoRule), _) if self.version == 0 => {
                "The workspace has no route map, so nothing passes.".to_owned()
            }
            (TrialOutcome::NoRoute(why), _) => why.to_string(),
            (TrialOutcome::Public, _) => format!("Rule {at} lets everybody through, without a key."),
            (TrialOutcome::Key { on, scope }, Some(rule))
                if matches!(&rule.outcome, Outcome::Key { resource: ResourceNeed::Named { .. }, .. }) =>
            {
                let scope = scope.as_ref().map_or_else(|| "any key that works".to_owned(), |scope| format!("the scope {scope}"));
                format!("Rule {at} decides. Needs {scope}, on {on}.")
            }
            (TrialOutcome::Key { .. }, Some(rule)) => format!("Rule {at} decides. {}", rule.outcome),
            (TrialOutcome::Deny | TrialOutcome::Key { .. }, _) => format!("Rule {at} refuses it, whoever asks."),
        }
    }

    /// Would the request pass? `None` if that depends on a key and none was named.
    pub fn passes(&self) -> Option<bool> {
        match &self.outcome {
            TrialOutcome::Public => Some(true),
            TrialOutcome::Deny | TrialOutcome::NoRoute(_) => Some(false),
            TrialOutcome::Key { .. } => self.key.as_ref().and_then(|key| key.code).map(|code| code == Code::Valid),
        }
    }
}
