//! The form of the rules for keys as an address carries it, and what it means.

use keyfold_domain::policy_limits::KeyPolicy;
use keyfold_domain::problem::Problem;
use leptos_router::params::ParamsMap;
use serde::{Deserialize, Serialize};

use crate::format;

/// The fields as they were typed and ticked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PolicyForm {
    pub max_expiry_days: String,
    pub default_expiry_days: String,
    pub default_inactivity_days: String,
    pub never_allowed: bool,
    pub members_may_create: bool,
    pub max_live_per_user: String,
    pub max_live_per_workspace: String,
    /// The version of the rules that the form was made from.
    pub version: i64,
}

impl PolicyForm {
    /// The form that shows these rules.
    pub fn of(policy: &KeyPolicy, version: i64) -> Self {
        let days = |days: Option<u32>| days.map(|days| days.to_string()).unwrap_or_default();
        Self {
            max_expiry_days: days(policy.max_expiry_days),
            default_expiry_days: days(policy.default_expiry_days),
            default_inactivity_days: days(policy.default_inactivity_days),
            never_allowed: policy.never_allowed,
            members_may_create: policy.members_may_create,
            max_live_per_user: policy.max_live_per_user.to_string(),
            max_live_per_workspace: policy.max_live_per_workspace.to_string(),
            version,
        }
    }

    /// The form that an address holds; `None` if it holds none.
    pub fn from_query(query: &ParamsMap) -> Option<Self> {
        let text = |name: &str| query.get(name).unwrap_or_default();
        let version = query.get("version")?.parse().ok()?;
        Some(Self {
            max_expiry_days: text("max_expiry_days"),
            default_expiry_days: text("default_expiry_days"),
            default_inactivity_days: text("default_inactivity_days"),
            never_allowed: query.get("never_allowed").is_some(),
            members_may_create: query.get("members_may_create").is_some(),
            max_live_per_user: text("max_live_per_user"),
            max_live_per_workspace: text("max_live_per_workspace"),
            version,
        })
    }

    /// The form as pairs of names and values; what is not ticked is not there.
    pub fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = vec![
            ("max_expiry_days", self.max_expiry_days.clone()),
            ("default_expiry_days", self.default_expiry_days.clone()),
            ("default_inactivity_days", self.default_inactivity_days.clone()),
            ("max_live_per_user", self.max_live_per_user.clone()),
            ("max_live_per_workspace", self.max_live_per_workspace.clone()),
            ("version", self.version.to_string()),
        ];
        pairs.extend(self.never_allowed.then(|| ("never_allowed", "on".to_owned())));
        pairs.extend(self.members_may_create.then(|| ("members_may_create", "on".to_owned())));
        pairs
    }

    /// The form as an address's query.
    pub fn query(&self) -> String {
        let parts: Vec<String> = self.pairs().iter().map(|(name, value)| format!("{name}={}", format::query_part(value))).collect();
        parts.join("&")
    }

    /// The rules that the form asks for, or the field at fault.
    pub fn rules(&self) -> Result<KeyPolicy, Problem> {
        let number = |field: &str, text: &str| -> Result<u32, Problem> {
            text.trim().parse().map_err(|_| Problem::invalid(field, "Enter a whole number."))
        };
        let days = |field: &str, text: &str| if text.trim().is_empty() { Ok(None) } else { number(field, text).map(Some) };
        KeyPolicy {
            max_expiry_days: days("max_expiry_days", &self.max_expiry_days)?,
            default_expiry_days: days("default_expiry_days", &self.default_expiry_days)?,
            default_inactivity_days: days("default_inactivity_days", &self.default_inactivity_days)?,
            never_allowed: self.never_allowed,
            members_may_create: self.members_may_create,
            max_live_per_user: number("max_live_per_user", &self.max_live_per_user)?,
            max_live_per_workspace: number("max_live_per_workspace", &self.max_live_per_workspace)?,
        }
        .checked()
    }
}

/// The rules in words: what each is called and how it stands.
pub fn told(policy: &KeyPolicy) -> [(&'static str, String); 7] {
    let days = |days: Option<u32>, none: &str| days.map_or_else(|| none.to_owned(), |days| format::counted(days.into(), "day"));
    let yes = |yes: bool| if yes { "Yes" } else { "No" }.to_owned();
    [
        ("Longest life", days(policy.max_expiry_days, "No bound")),
        ("Life if nothing is chosen", days(policy.default_expiry_days, "The longest allowed")),
        ("Keys that never end", yes(policy.allows_never())),
        ("Stops without use after", days(policy.default_inactivity_days, "Never, if nothing is chosen")),
        ("Members create keys", yes(policy.members_may_create)),
        ("Keys of one person", format::number(policy.max_live_per_user.into())),
        ("Keys of a workspace", format::number(policy.max_live_per_workspace.into())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_survive_the_way_through_the_form_and_the_address() {
        let policy =
            KeyPolicy { max_expiry_days: Some(365), default_inactivity_days: Some(45), never_allowed: false, ..KeyPolicy::default() };
        let form = PolicyForm::of(&policy, 7);
        assert_eq!(form.rules(), Ok(policy));
        let mut query = ParamsMap::new();
        for (name, value) in form.pairs() {
            query.insert(name, value);
        }
        assert_eq!(PolicyForm::from_query(&query), Some(form));
        assert_eq!(PolicyForm::from_query(&ParamsMap::new()), None);
    }

    #[test]
    fn an_empty_bound_is_none_and_zero_and_words_are_refused() {
        let form = PolicyForm::of(&KeyPolicy::default(), 1);
        assert_eq!(form.rules().unwrap().max_expiry_days, None);
        let field = |form: PolicyForm| form.rules().unwrap_err().field.unwrap();
        assert_eq!(field(PolicyForm { max_expiry_days: "0".into(), ..form.clone() }), "max_expiry_days");
        assert_eq!(field(PolicyForm { max_expiry_days: "-3".into(), ..form.clone() }), "max_expiry_days");
        assert_eq!(field(PolicyForm { default_expiry_days: "soon".into(), ..form.clone() }), "default_expiry_days");
        assert_eq!(field(PolicyForm { max_live_per_user: String::new(), ..form }), "max_live_per_user");
    }
}
