//! What the form of a new key sends, with script or without it, and what it means.

use keyfold_domain::catalogue::{Scope, ScopeCatalogue};
use keyfold_domain::key::{Expiry, Inactivity, KeySummary, MAX_INACTIVITY_DAYS, NewKey};
use keyfold_domain::policy_limits::KeyPolicy;
use keyfold_domain::problem::Problem;
use keyfold_domain::resource::{ResourceName, ResourceSummary};
use keyfold_domain::scope::{KeyKind, ScopeSet};
use keyfold_domain::time::{DAY_MS, Timestamp};
use serde::{Deserialize, Serialize};

use crate::format::{self, Civil};
use crate::limit_form::{self, LimitRow};

/// The offered lives of a key, in days.
pub const LIVES: [u32; 5] = [7, 30, 90, 180, 365];
/// The offered inactivity intervals, in days.
pub const INTERVALS: [u32; 3] = [30, 60, 90];
/// The value of the choice "custom date".
pub const ON_DATE: &str = "date";
/// The value of the choice "another number of days".
pub const CUSTOM: &str = "custom";
/// The value of the choice "never".
pub const NEVER: &str = "never";
/// The value of the choice of no inactivity interval.
pub const OFF: &str = "off";
/// The value of the choice "all resources".
pub const EVERYTHING: &str = "all";
/// The value of the choice "only these resources".
pub const SOME: &str = "some";

/// The fields as they were typed and ticked. Carries no secret, so it may be shown again beside an error.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyForm {
    /// What people call it.
    pub name: String,
    /// The name of a [`KeyKind`].
    pub kind: String,
    /// The ticked scopes, whether the kind may hold them or not.
    pub scopes: Vec<String>,
    /// A number of days, [`ON_DATE`], [`NEVER`], or empty for the workspace's default.
    pub expiry: String,
    /// The day of [`ON_DATE`], as `2027-02-19`.
    pub expires_on: String,
    /// The end of that day where the viewer is, if script could tell; else the day ends in UTC.
    pub expires_at: Option<Timestamp>,
    /// A number of days, [`CUSTOM`], [`OFF`], or empty for the workspace's default.
    pub inactivity_days: String,
    /// The number of days of [`CUSTOM`].
    pub inactivity_custom: String,
    /// A note for people.
    pub note: String,
    /// [`EVERYTHING`], or [`SOME`] for the ticked resources.
    pub reach: String,
    /// The ids of the ticked resources.
    pub resources: Vec<String>,
    /// Also resources of others.
    pub override_owner: bool,
    /// From where it may be used, one address or range a line. For administrators.
    pub ip_allow: String,
    /// How often it may be used. For administrators.
    pub limits: Vec<LimitRow>,
}

impl KeyForm {
    /// The form as it is offered first.
    pub fn offered(policy: &KeyPolicy) -> Self {
        let life = policy.default_expiry_days.unwrap_or(90).min(policy.max_expiry_days.unwrap_or(u32::MAX));
        let expiry = if LIVES.contains(&life) { life.to_string() } else { String::new() };
        let (inactivity_days, inactivity_custom) = Self::interval_fields(policy.default_inactivity_days);
        Self { kind: KeyKind::Secret.as_str().into(), expiry, inactivity_days, inactivity_custom, ..Self::default() }
    }

    /// The form of another key with the settings of one that is there. Its name is not a setting, and its life starts anew.
    pub fn like(key: &KeySummary, policy: &KeyPolicy) -> Self {
        let (inactivity_days, inactivity_custom) = Self::interval_fields(key.inactivity_days);
        Self {
            kind: key.kind.as_str().into(),
            scopes: key.scopes.iter().map(ToString::to_string).collect(),
            inactivity_days,
            inactivity_custom,
            note: key.note.clone(),
            reach: reach_of(&key.resources).into(),
            resources: key.resources.iter().filter(|resource| !resource.deleted).map(|resource| resource.id.to_string()).collect(),
            ..Self::offered(policy)
        }
    }

    /// The same form with from where and how often that other key may be used.
    #[must_use]
    pub fn bound_like(self, key: &KeySummary) -> Self {
        let (ip_allow, limits) = (limit_form::lines(&key.bounds.ip_allow), key.bounds.limits.iter().map(LimitRow::from).collect());
        Self { ip_allow, limits, ..self }
    }

    /// How an inactivity interval stands in the form: the choice and the number beside it.
    pub fn interval_fields(days: Option<u32>) -> (String, String) {
        match days {
            Some(days) if INTERVALS.contains(&days) => (days.to_string(), String::new()),
            Some(days) => (CUSTOM.into(), days.to_string()),
            None => (OFF.into(), String::new()),
        }
    }

    /// Reads the pairs of a submitted form; names it does not know are left out.
    pub fn from_pairs<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        let mut form = Self::default();
        for (name, value) in pairs {
            match name.as_str() {
                "name" => form.name = value,
                "kind" => form.kind = value,
                "scopes" | "scopes[]" => form.scopes.push(value),
                "expiry" => form.expiry = value,
                "expires_on" => form.expires_on = value,
                "expires_at" => form.expires_at = value.parse().ok().map(Timestamp::from_millis),
                "inactivity_days" => form.inactivity_days = value,
                "inactivity_custom" => form.inactivity_custom = value,
                "note" => form.note = value,
                "reach" => form.reach = value,
                "resources" | "resources[]" => form.resources.push(value),
                "override_owner" => form.override_owner = value == "true",
                "ip_allow" => form.ip_allow = value,
                field => limit_form::put(&mut form.limits, field, &value),
            }
        }
        form
    }

    /// The chosen kind, `Secret` if the name is unknown (for display; [`Self::new_key`] refuses).
    pub fn kind(&self) -> KeyKind {
        KeyKind::from_name(&self.kind).unwrap_or(KeyKind::Secret)
    }

    /// The ticked scopes that are on offer for the chosen kind. The others are out of sight in the form, so a tick left
    /// there from before the kind was changed does not count.
    pub fn scope_set(&self, catalogue: &ScopeCatalogue) -> ScopeSet {
        let kind = self.kind();
        let hidden = |name: &str| catalogue.find(name).is_some_and(|scope| !kind.may_hold(scope));
        self.scopes.iter().filter(|name| !hidden(name)).filter_map(|name| name.parse().ok()).collect()
    }

    /// When the key shall end. Field names are those of the form.
    pub fn expiry(&self) -> Result<Expiry, Problem> {
        match self.expiry.as_str() {
            "" => Ok(Expiry::Default),
            NEVER => Ok(Expiry::Never),
            ON_DATE => {
                let end = Civil::end_of_day(&self.expires_on).and_then(Civil::as_utc);
                let end = end.ok_or_else(|| Problem::invalid("expires_on", "Choose the last day on which the key shall work."))?;
                Ok(Expiry::At(self.expires_at.filter(|at| at.millis_since(end).abs() <= DAY_MS).unwrap_or(end)))
            }
            days => match days.parse::<u32>() {
                Ok(days @ 1..=36_500) => Ok(Expiry::InDays(days)),
                _ => Err(Problem::invalid("expires_at", "Choose when the key shall end.")),
            },
        }
    }

    /// The resources that are chosen. Ticks left behind when all were chosen instead are out of sight and do not count.
    pub fn resources(&self) -> Result<Vec<ResourceName>, Problem> {
        named_resources(&self.reach, &self.resources)
    }

    /// The key that the form asks for in a workspace with those scopes, or the field at fault.
    pub fn new_key(&self, catalogue: &ScopeCatalogue) -> Result<NewKey, Problem> {
        let kind = KeyKind::from_name(&self.kind).ok_or_else(|| Problem::invalid("kind", "Choose what kind of key it shall be."))?;
        named_scopes(&self.scopes, catalogue)?;
        let inactivity_days = match self.inactivity_days.as_str() {
            "" => Inactivity::Default,
            choice => interval(choice, &self.inactivity_custom)?.map_or(Inactivity::Off, Inactivity::Days),
        };
        let (name, note) = (self.name.clone(), self.note.clone());
        let new = NewKey {
            name,
            kind,
            scopes: self.scope_set(catalogue),
            expires_at: self.expiry()?,
            inactivity_days,
            note,
            owner: None,
            resources: self.resources()?,
            override_owner: self.override_owner,
            ip_allow: limit_form::addresses(&self.ip_allow)?,
            limits: limit_form::limits(&self.limits)?,
        };
        new.checked(catalogue)
    }
}

/// How what a key is tied to stands in the form.
pub fn reach_of(resources: &[ResourceSummary]) -> &'static str {
    if resources.is_empty() { EVERYTHING } else { SOME }
}

/// The inactivity interval that a choice and, for [`CUSTOM`], the number beside it mean, in days; `None` for none.
pub fn interval(choice: &str, custom: &str) -> Result<Option<u32>, Problem> {
    match choice {
        "" | OFF => Ok(None),
        CUSTOM => {
            let days = custom.trim().parse().ok().filter(|days| (1..=MAX_INACTIVITY_DAYS).contains(days));
            let wrong = || Problem::invalid("inactivity_custom", format!("Enter a number of days from 1 to {MAX_INACTIVITY_DAYS}."));
            days.map(Some).ok_or_else(wrong)
        }
        days => days.parse().map(Some).map_err(|_| Problem::invalid("inactivity_days", "Choose a number of days, or none.")),
    }
}

/// The scopes of these names. A name that no scope has is refused: a slip must not narrow a key unseen.
pub fn named_scopes(names: &[String], catalogue: &ScopeCatalogue) -> Result<ScopeSet, Problem> {
    let named = |name: &String| match catalogue.find(name) {
        Some(_) => name.parse().map_err(|_| Problem::invalid("scopes", "That is not the name of a scope.")),
        None => Err(Problem::invalid("scopes", format!("There is no scope named {name}."))),
    };
    names.iter().map(named).collect()
}

/// What is chosen of resources: all of them, or the ticked ones. Nothing ticked where some were wanted is a slip, and must
/// not widen a key unseen.
pub fn named_resources(reach: &str, names: &[String]) -> Result<Vec<ResourceName>, Problem> {
    if reach == EVERYTHING || (reach.is_empty() && names.is_empty()) {
        return Ok(Vec::new());
    }
    if names.is_empty() {
        return Err(Problem::invalid("resources", "Tick at least one resource, or choose all of them."));
    }
    names.iter().map(|name| name.parse()).collect()
}

/// What a key with these scopes will be able to do, as the end of a sentence that starts with "Can"; `None` for nothing.
pub fn ability(kind: KeyKind, scopes: &ScopeSet, catalogue: &ScopeCatalogue) -> Option<String> {
    if scopes.is_empty() {
        return None;
    }
    if kind == KeyKind::Management && scopes.effective(catalogue) == catalogue.full_access(kind).effective(catalogue) {
        return Some("do everything its owner may do with keys and services".into());
    }
    let implied = |name: &str| {
        scopes.iter().filter(|other| other.as_str() != name).any(|other| {
            let only: ScopeSet = std::iter::once(other.clone()).collect();
            only.effective(catalogue).contains(name)
        })
    };
    // In the order in which scopes are offered; what a named scope brings along is said by that one.
    let said = catalogue.offered(kind).filter(|scope| scopes.contains(scope.name.as_str()) && !implied(scope.name.as_str()));
    let said: Vec<_> = said.map(Scope::ability).collect();
    Some(format::listed(&said).replace(" and make predictions and ", ", make predictions and "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(pairs: &[(&str, &str)]) -> KeyForm {
        KeyForm::from_pairs(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn set(names: &[&str]) -> ScopeSet {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn a_submitted_form_becomes_the_key_it_asks_for() {
        let sent = [("name", " CI "), ("kind", "secret"), ("scopes", "project"), ("scopes", "chat"), ("expiry", "30"), ("csrf", "x")];
        let key = form(&sent).new_key(&ScopeCatalogue::default()).unwrap();
        assert_eq!((key.name.as_str(), key.kind, key.scopes), ("CI", KeyKind::Secret, set(&["project", "chat"])));
        assert_eq!(key.expires_at, Expiry::InDays(30));
    }

    #[test]
    fn the_first_field_at_fault_is_named() {
        let field = |pairs: &[(&str, &str)]| form(pairs).new_key(&ScopeCatalogue::default()).unwrap_err().field.unwrap();
        assert_eq!(field(&[("scopes", "project")]), "kind");
        assert_eq!(field(&[("kind", "secret")]), "scopes");
        assert_eq!(field(&[("kind", "secret"), ("scopes", "nonsense")]), "scopes");
        assert_eq!(field(&[("kind", "secret"), ("scopes", "chat"), ("expiry", "date")]), "expires_on");
        assert_eq!(field(&[("kind", "secret"), ("scopes", "chat"), ("expiry", "-1")]), "expires_at");
        assert_eq!(field(&[("kind", "secret"), ("scopes", "chat"), ("inactivity_days", "0")]), "inactivity_days");
    }

    #[test]
    fn an_interval_of_ones_own_is_a_number_of_days() {
        assert_eq!(interval("", "17"), Ok(None));
        assert_eq!(interval(OFF, "17"), Ok(None));
        assert_eq!(interval("60", ""), Ok(Some(60)));
        assert_eq!(interval(CUSTOM, " 45 "), Ok(Some(45)));
        for bad in ["", "0", "-3", "3651", "4.5", "many"] {
            assert_eq!(interval(CUSTOM, bad).unwrap_err().field.as_deref(), Some("inactivity_custom"), "{bad}");
        }
        assert!(interval("often", "").is_err());
    }

    #[test]
    fn a_name_that_no_scope_has_is_refused_and_not_left_out() {
        let refused = named_scopes(&["project".into(), "projekt".into()], &ScopeCatalogue::default()).unwrap_err();
        assert_eq!((refused.field.as_deref(), refused.message.as_str()), (Some("scopes"), "There is no scope named projekt."));
        assert_eq!(named_scopes(&["chat".into()], &ScopeCatalogue::default()), Ok(set(&["chat"])));
    }

    #[test]
    fn no_slip_with_the_resources_makes_a_key_that_reaches_everything() {
        let id = "res_0123456789012345678901";
        let chosen = |pairs: &[(&str, &str)]| form(pairs).resources().map(|names| names.len()).map_err(|problem| problem.field.unwrap());
        assert_eq!(chosen(&[]), Ok(0));
        assert_eq!(chosen(&[("reach", "all")]), Ok(0));
        assert_eq!(chosen(&[("reach", "all"), ("resources", id)]), Ok(0), "the ticks were out of sight");
        assert_eq!(chosen(&[("reach", "some"), ("resources[]", id)]), Ok(1));
        assert_eq!(chosen(&[("resources", id)]), Ok(1));
        for slip in [&[("reach", "some")][..], &[("reach", "x")], &[("reach", "some"), ("resources", "")], &[("resources", "nonsense")]] {
            assert_eq!(chosen(slip), Err("resources".to_owned()), "{slip:?}");
        }
    }

    #[test]
    fn an_own_scope_is_said_by_its_name_and_what_it_includes_is_not_said_again() {
        let own = |name: &str, implies: &[&str]| {
            let description = String::new();
            let new = keyfold_domain::catalogue::NewScope { name: name.into(), description, implies: set(implies), public: false };
            new.checked(Timestamp::from_millis(0)).unwrap()
        };
        let catalogue: ScopeCatalogue = vec![own("lab", &["chat"]), own("reports:read", &[])].into();
        assert_eq!(ability(KeyKind::Secret, &set(&["lab", "chat", "reports:read"]), &catalogue).unwrap(), "use lab and use reports:read");
        assert_eq!(named_scopes(&["lab".into()], &catalogue), Ok(set(&["lab"])));
        assert!(named_scopes(&["lab".into()], &ScopeCatalogue::default()).is_err());
    }

    #[test]
    fn a_field_that_the_form_does_not_have_is_refused() {
        assert!(serde_json::from_str::<KeyForm>(r#"{"name":"CI","owner":"somebody"}"#).is_err());
    }

    #[test]
    fn a_tick_left_on_a_scope_that_is_out_of_sight_does_not_count() {
        let sent = form(&[("kind", "publishable"), ("scopes", "verify"), ("scopes", "inference")]);
        assert_eq!(sent.scope_set(&ScopeCatalogue::default()), set(&["inference"]));
        let only_hidden = form(&[("kind", "secret"), ("scopes", "verify")]);
        assert_eq!(only_hidden.new_key(&ScopeCatalogue::default()).unwrap_err().field.as_deref(), Some("scopes"));
    }

    #[test]
    fn a_custom_date_ends_with_that_day_where_the_viewer_is() {
        let end = Civil::end_of_day("2027-02-19").unwrap().as_utc().unwrap();
        let at = |pairs: &[(&str, &str)]| form(pairs).expiry();
        assert_eq!(at(&[("expiry", "date"), ("expires_on", "2027-02-19")]), Ok(Expiry::At(end)));
        let kiritimati = end.plus_ms(-14 * 3_600_000);
        let sent = kiritimati.as_millis().to_string();
        assert_eq!(at(&[("expiry", "date"), ("expires_on", "2027-02-19"), ("expires_at", &sent)]), Ok(Expiry::At(kiritimati)));
        // A moment that cannot be that day anywhere is not believed.
        let far = end.plus_days(30).as_millis().to_string();
        assert_eq!(at(&[("expiry", "date"), ("expires_on", "2027-02-19"), ("expires_at", &far)]), Ok(Expiry::At(end)));
    }

    #[test]
    fn the_first_offer_keeps_to_the_rules() {
        let policy = KeyPolicy::default();
        assert_eq!(KeyForm::offered(&policy).expiry, "90");
        assert_eq!(KeyForm::offered(&KeyPolicy { max_expiry_days: Some(30), ..policy.clone() }).expiry, "30");
        assert_eq!(KeyForm::offered(&KeyPolicy { max_expiry_days: Some(20), ..policy }).expiry, "");
    }

    #[test]
    fn nothing_said_off_and_a_number_are_three_intervals() {
        let days = |text: &str| {
            form(&[("kind", "secret"), ("scopes", "chat"), ("inactivity_days", text)])
                .new_key(&ScopeCatalogue::default())
                .map(|key| key.inactivity_days)
        };
        assert_eq!(days(""), Ok(Inactivity::Default));
        assert_eq!(days("off"), Ok(Inactivity::Off));
        assert_eq!(days("30"), Ok(Inactivity::Days(30)));
        assert_eq!(days("0").unwrap_err().field.as_deref(), Some("inactivity_days"));
        assert_eq!(KeyForm::offered(&KeyPolicy::default()).inactivity_days, "off");
        let policy = KeyPolicy { default_inactivity_days: Some(45), ..KeyPolicy::default() };
        let offered = KeyForm::offered(&policy);
        assert_eq!((offered.inactivity_days.as_str(), offered.inactivity_custom.as_str()), (CUSTOM, "45"));
    }

    #[test]
    fn the_promise_is_plain_speech() {
        assert_eq!(ability(KeyKind::Secret, &set(&[]), &ScopeCatalogue::default()), None);
        assert_eq!(ability(KeyKind::Secret, &set(&["inference"]), &ScopeCatalogue::default()).unwrap(), "make predictions");
        assert_eq!(
            ability(KeyKind::Secret, &set(&["project", "inference"]), &ScopeCatalogue::default()).unwrap(),
            "manage projects, upload data sets, train models and make predictions"
        );
        assert_eq!(
            ability(KeyKind::Secret, &set(&["project", "chat"]), &ScopeCatalogue::default()).unwrap(),
            "manage projects, upload data sets, train models, make predictions and talk with a collection or source"
        );
        assert!(
            ability(KeyKind::Management, &ScopeCatalogue::default().full_access(KeyKind::Management), &ScopeCatalogue::default())
                .unwrap()
                .contains("everything")
        );
    }
}
