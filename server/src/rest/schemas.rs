//! Schemas of the small things that many bodies share. The rules themselves are in `domain`; this only describes them.

use keyfold_domain::addresses::MAX_RANGES;
use keyfold_domain::audit::AuditResult;
use keyfold_domain::bulk::BulkAct;
use keyfold_domain::catalogue::MAX_DESCRIPTION;
use keyfold_domain::key::{KeySort, MAX_INACTIVITY_DAYS, StateFilter};
use keyfold_domain::limits::Whose;
use keyfold_domain::member::MAX_LEFT_KEYS;
use keyfold_domain::name::{MAX_NAME, MAX_NOTE};
use keyfold_domain::node::{NodeState, Standing};
use keyfold_domain::policy_limits::{ExistingKeys, MAX_POLICY_DAYS};
use keyfold_domain::resource::MAX_KEY_RESOURCES;
use keyfold_domain::route::presets::PRESETS;
use keyfold_domain::scope::{KeyKind, MAX_SCOPES};
use keyfold_domain::secret::{Grace, SecretState};
use keyfold_domain::verdict::Code;
use keyfold_domain::workspace::Role;
use serde_json::json;
use utoipa::openapi::schema::{ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, SchemaType, Type};

const WHEN: &str = "2027-01-31T12:00:00.000Z";

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn names(all: impl Iterator<Item = &'static str>) -> ObjectBuilder {
    text().enum_values(Some(all))
}

fn or_null(plain: Type) -> SchemaType {
    SchemaType::from_iter([plain, Type::Null])
}

fn date_time() -> ObjectBuilder {
    text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime))).examples([json!(WHEN)])
}

fn optional_date_time() -> ObjectBuilder {
    date_time().schema_type(or_null(Type::String))
}

/// When a thing was made.
pub(crate) fn created_at() -> Schema {
    date_time().description(Some("When it was made.")).into()
}

/// When a key ends.
pub(crate) fn expires_at() -> Schema {
    optional_date_time().description(Some("From when on it is expired; `null` for never.")).into()
}

/// When a key was last used.
pub(crate) fn last_used_at() -> Schema {
    optional_date_time().description(Some("When it was last used with success; `null` if never.")).into()
}

/// When what a check looks at comes to pass.
pub(crate) fn passing_at() -> Schema {
    let text = "When what it looks at came or will come to pass; `null` where time has no part in it.";
    optional_date_time().description(Some(text)).into()
}

/// When a limit is whole again.
pub(crate) fn resets_at() -> Schema {
    date_time().description(Some("When all of its units will be there again if nobody spends any meanwhile.")).into()
}

/// Whose limit it is.
pub(crate) fn limit_of() -> Schema {
    names([Whose::Key, Whose::Owner].into_iter().map(Whose::as_str))
        .description(Some("`key`, or `owner` for one that holds for all keys of the key's owner together."))
        .examples([json!("key")])
        .into()
}

/// When the units of a quota come back.
pub(crate) fn quota() -> Schema {
    names(["day", "month", "rolling"].into_iter())
        .description(Some("`day` and `month` begin anew at midnight in UTC, `rolling` counts a window. Left out: a rate limit."))
        .examples([json!("day")])
        .into()
}

/// Ranges of addresses that are given, for a key.
pub(crate) fn ip_allow_given() -> Schema {
    ArrayBuilder::new()
        .items(text().max_length(Some(64)))
        .max_items(Some(MAX_RANGES))
        .description(Some("Addresses and ranges in CIDR notation, IPv4 or IPv6. Empty: anywhere. For administrators."))
        .examples([json!(["203.0.113.7", "2001:db8::/32"])])
        .into()
}

/// When a client was last seen.
pub(crate) fn last_seen_at() -> Schema {
    date_time().description(Some("When it was last seen with this secret.")).into()
}

/// When a scope was last asked for.
pub(crate) fn last_asked_at() -> Schema {
    optional_date_time().description(Some("When it was last asked for with success; `null` if not in the last 90 days.")).into()
}

/// When a secret ends.
pub(crate) fn ends_at() -> Schema {
    optional_date_time().description(Some("From when on it works no more; `null` while it is the current one.")).into()
}

/// How long an old secret goes on working.
pub(crate) fn grace() -> Schema {
    names(Grace::ALL.into_iter().map(Grace::as_str))
        .default(Some(json!(Grace::default().as_str())))
        .description(Some("How long the present secret goes on working. With `now` every older one ends as well."))
        .examples([json!(Grace::default().as_str())])
        .into()
}

/// Whether a secret works.
pub(crate) fn secret_state() -> Schema {
    names([SecretState::Current, SecretState::Retiring, SecretState::Ended].into_iter().map(SecretState::as_str))
        .description(Some("`retiring` was replaced and works until `ends_at`; `ended` works no more."))
        .examples([json!("current")])
        .into()
}

/// When a key was stopped.
pub(crate) fn stopped_at() -> Schema {
    optional_date_time().description(Some("When it was deactivated or deleted; `null` if neither.")).into()
}

/// The end wished for a new key: absent, null and a moment mean three things.
pub(crate) fn new_expiry() -> Schema {
    let text = "From when on the key is expired: a moment with any offset, at least a minute from now. Left out: the workspace's default. `null`: \
                never, where the workspace allows it.";
    optional_date_time().description(Some(text)).into()
}

/// The end wished for a key that is there.
pub(crate) fn patched_expiry() -> Schema {
    let text = "The new end: a moment with any offset, at least a minute from now, or `null` for never, where the workspace allows it.";
    optional_date_time().description(Some(text)).into()
}

/// The inactivity interval wished for a new key: absent, null and a number mean three things.
pub(crate) fn new_interval() -> Schema {
    ObjectBuilder::new()
        .schema_type(or_null(Type::Integer))
        .minimum(Some(1))
        .maximum(Some(MAX_INACTIVITY_DAYS))
        .description(Some("The key goes dormant when unused for that many days. Left out: the workspace's default. `null`: never."))
        .examples([json!(90)])
        .into()
}

/// A moment that is always there.
pub(crate) fn moment() -> Schema {
    date_time().into()
}

/// A moment that may be missing.
pub(crate) fn optional_moment() -> Schema {
    optional_date_time().into()
}

/// A number of days that rules name; it must be sent, and be `null` for none.
pub(crate) fn rule_days() -> Schema {
    ObjectBuilder::new()
        .schema_type(or_null(Type::Integer))
        .minimum(Some(1))
        .maximum(Some(MAX_POLICY_DAYS))
        .description(Some("Days; `null` for none."))
        .examples([json!(90)])
        .into()
}

/// What becomes of existing keys.
pub(crate) fn existing_keys() -> Schema {
    names(ExistingKeys::ALL.into_iter().map(ExistingKeys::as_str))
        .description(Some(
            "What becomes of keys that live longer than the new rules allow: `keep` leaves them their end, `shorten` brings it down. \
             Needed where a bound is lowered and there are such keys.",
        ))
        .into()
}

/// How an act went.
pub(crate) fn audit_result() -> Schema {
    names(AuditResult::ALL.into_iter().map(AuditResult::as_str)).description(Some("How it went.")).examples([json!("done")]).into()
}

/// The sorts of keys.
pub(crate) fn kind() -> Schema {
    names(KeyKind::ALL.into_iter().map(KeyKind::as_str))
        .description(Some(
            "`secret` for servers, `publishable` for web pages (public scopes only), `management` for scripts that manage keys or verify them.",
        ))
        .examples([json!("secret")])
        .into()
}

/// What a member is in a workspace.
pub(crate) fn role() -> Schema {
    names(Role::ALL.into_iter().map(Role::as_str))
        .description(Some(
            "`viewer` looks at what is theirs, `member` has keys, `admin` and `owner` manage everybody's; only owners change owners.",
        ))
        .examples([json!("member")])
        .into()
}

/// When a one-time link ends.
pub(crate) fn link_ends_at() -> Schema {
    date_time().description(Some("From when on it is not good any more.")).into()
}

/// When somebody was last seen.
pub(crate) fn session_seen_at() -> Schema {
    optional_date_time().description(Some("When a session of theirs was last used, to the minute; `null` if none is open.")).into()
}

/// When a server started.
pub(crate) fn node_started_at() -> Schema {
    date_time().description(Some("When it started.")).into()
}

/// When a server was last heard of.
pub(crate) fn node_seen_at() -> Schema {
    date_time().description(Some("When it was last heard of, by the database's clock.")).into()
}

/// Whether a server is heard of.
pub(crate) fn node_state() -> Schema {
    names([NodeState::Live, NodeState::Silent].into_iter().map(NodeState::as_str))
        .description(Some("`silent`: not heard of for longer than its budget. It was killed, hangs, or cannot reach the database."))
        .examples([json!("live")])
        .into()
}

/// For whom to wait.
pub(crate) fn wait() -> Schema {
    names(["all"].into_iter())
        .description(Some(
            "`all`: answer when the change is in force on every server, or when `wait_seconds` are over, and say so in `in_force`.",
        ))
        .into()
}

/// What became of a change on a server.
pub(crate) fn standing() -> Schema {
    names([Standing::InForce, Standing::Stopped, Standing::Waiting].into_iter().map(Standing::as_str))
        .description(Some("`in_force`; `stopped`: the server is out of touch and says yes to nobody; `waiting`: not heard of yet."))
        .examples([json!("in_force")])
        .into()
}

/// The id of a key that is given.
pub(crate) fn key_ids_given() -> Schema {
    ArrayBuilder::new()
        .items(text().pattern(Some("^key_[0-9A-Za-z]{22}$")))
        .min_items(Some(1))
        .max_items(Some(MAX_LEFT_KEYS))
        .description(Some("The ids of keys in the queue. If one of them is not in it, nothing is done."))
        .examples([json!(["key_00S1E8UZ2m0hmDYpk0bPVq"])])
        .into()
}

/// The id of somebody who left, that is given.
pub(crate) fn person_given() -> Schema {
    text()
        .pattern(Some("^usr_[0-9A-Za-z]{22}$"))
        .description(Some("The id of a user who left: all of their keys in the queue, up to a thousand. Instead of `keys`."))
        .examples([json!("usr_00S1E8TYPmMQMyNxIYvHyv")])
        .into()
}

/// The id of a new owner, that is given.
pub(crate) fn new_owner_given() -> Schema {
    text()
        .pattern(Some("^usr_[0-9A-Za-z]{22}$"))
        .description(Some("With `reassign`: the id of the member who owns the keys from now on."))
        .examples([json!("usr_00S1E8TYPmMQMyNxIYvHyv")])
        .into()
}

/// An address that is given.
pub(crate) fn email_given() -> Schema {
    text().max_length(Some(254)).description(Some("Another e-mail address.")).examples([json!("ada@example.com")]).into()
}

/// A name to be called by, that is given.
pub(crate) fn display_name_given() -> Schema {
    text()
        .max_length(Some(MAX_NAME))
        .description(Some("Another name to be called by; empty for the username."))
        .examples([json!("Ada Lovelace")])
        .into()
}

/// A rank that is given.
pub(crate) fn instance_admin_given() -> Schema {
    ObjectBuilder::new().schema_type(Type::Boolean).description(Some("May they manage the whole instance?")).examples([json!(false)]).into()
}

/// Whether a key works.
pub(crate) fn state() -> Schema {
    names(["active", "inactive", "deleted"].into_iter()).examples([json!("active")]).into()
}

/// Why a key does not work.
pub(crate) fn reason() -> Schema {
    text()
        .schema_type(or_null(Type::String))
        .enum_values(Some([json!("deactivated"), json!("expired"), json!("dormant"), json!("owner_disabled"), json!(null)]))
        .description(Some("Why the key does not work; `null` unless the state is `inactive`."))
        .examples([json!(null)])
        .into()
}

/// Every verdict on a key.
pub(crate) fn code() -> Schema {
    names(Code::ALL.into_iter().map(Code::as_str))
        .description(Some("The first check that failed, in the order listed here, or `valid`. `deleted` is told as `not_found`."))
        .examples([json!("valid")])
        .into()
}

/// A verdict that may be missing.
pub(crate) fn optional_verdict_code() -> Schema {
    let codes = Code::ALL.into_iter().map(|code| json!(code.as_str())).chain([json!(null)]);
    ObjectBuilder::new()
        .schema_type(or_null(Type::String))
        .enum_values(Some(codes))
        .description(Some("The verdict; `null` where no key is asked for. Limits of calls are left out."))
        .examples([json!("valid")])
        .into()
}

/// Who passes a rule.
pub(crate) fn route_access() -> Schema {
    names(["key", "public", "deny"].into_iter())
        .description(Some("`key`: a key that works. `public`: everybody. `deny`: nobody."))
        .examples([json!("key")])
        .into()
}

/// What comes of a request that is tried.
pub(crate) fn route_outcome() -> Schema {
    names(["key", "public", "deny", "no_route", "unsafe_path"].into_iter())
        .description(Some(
            "`key`, `public` or `deny` as the rule says; `no_route` if no rule fits, `unsafe_path` if servers would read the request differently.",
        ))
        .examples([json!("key")])
        .into()
}

/// How a rule took a request.
pub(crate) fn route_step() -> Schema {
    names(["fits", "method", "path", "query"].into_iter())
        .description(Some("`fits`, or what kept the rule from fitting."))
        .examples([json!("path")])
        .into()
}

/// The name of a preset.
pub(crate) fn route_preset() -> Schema {
    names(PRESETS.iter().map(|preset| preset.name)).description(Some("The name of a preset.")).examples([json!("epigos")]).into()
}

/// Which keys a list shows.
pub(crate) fn state_filter() -> Schema {
    names(StateFilter::ALL.into_iter().map(StateFilter::as_str))
        .default(Some(json!("live")))
        .description(Some("Which states; `live` is all but the deleted ones."))
        .into()
}

/// By what a list is ordered.
pub(crate) fn sort() -> Schema {
    names(KeySort::ALL.into_iter().map(KeySort::as_str))
        .default(Some(json!("created")))
        .description(Some("By what the list is ordered."))
        .into()
}

/// Ascending or descending.
pub(crate) fn order() -> Schema {
    names(["asc", "desc"].into_iter())
        .description(Some("Left out: the newest first for times of the past (`created`, `last_used`), ascending otherwise."))
        .into()
}

/// What is done with many keys.
pub(crate) fn bulk_act() -> Schema {
    names(BulkAct::ALL.into_iter().map(BulkAct::as_str))
        .description(Some("What is done with each key: `deactivate` stops it for now, `delete` ends it for good."))
        .examples([json!("deactivate")])
        .into()
}

/// How an act on many keys stands.
pub(crate) fn bulk_state() -> Schema {
    names(["running", "finished", "stopped"].into_iter())
        .description(Some("`stopped`: it ended before every key was looked at; what was done until then stays done."))
        .examples([json!("finished")])
        .into()
}

/// What became of one key of many.
pub(crate) fn bulk_outcome() -> Schema {
    names(["done", "skipped", "failed"].into_iter()).description(Some("What became of it.")).examples([json!("done")]).into()
}

/// A name that is given.
pub(crate) fn name_given() -> Schema {
    text()
        .max_length(Some(MAX_NAME))
        .description(Some("A new name: 0 to 100 characters, trimmed."))
        .examples([json!("Nightly report")])
        .into()
}

/// A note that is given.
pub(crate) fn note_given() -> Schema {
    text().max_length(Some(MAX_NOTE)).description(Some("A new note: up to 1,000 characters, may have several lines.")).into()
}

/// Scopes that are given.
pub(crate) fn scopes_given() -> Schema {
    ArrayBuilder::new()
        .items(text().pattern(Some("^[a-z][a-z0-9_.:-]{0,62}$")))
        .min_items(Some(1))
        .max_items(Some(MAX_SCOPES))
        .description(Some("The new scopes, all of them."))
        .examples([json!(["chat", "inference"])])
        .into()
}

/// An inactivity interval that is given.
pub(crate) fn inactivity_given() -> Schema {
    ObjectBuilder::new()
        .schema_type(or_null(Type::Integer))
        .minimum(Some(1))
        .maximum(Some(MAX_INACTIVITY_DAYS))
        .description(Some("A new inactivity interval in days, or `null` for none."))
        .examples([json!(90)])
        .into()
}

/// The id of a user that is given.
pub(crate) fn user_id_given() -> Schema {
    text()
        .pattern(Some("^usr_[0-9A-Za-z]{22}$"))
        .description(Some("The id of the user whose key it is. Left out: the caller's own. Only administrators may name somebody else."))
        .examples([json!("usr_00S1E8TYPmMQMyNxIYvHyv")])
        .into()
}

/// The id of the owner of a resource that is given.
pub(crate) fn resource_owner_given() -> Schema {
    text()
        .pattern(Some("^usr_[0-9A-Za-z]{22}$"))
        .description(Some("The id of the member whose resource it is."))
        .examples([json!("usr_00S1E8TYPmMQMyNxIYvHyv")])
        .into()
}

/// Resources that are given, for a key.
pub(crate) fn resources_given() -> Schema {
    ArrayBuilder::new()
        .items(text().pattern(Some("^(res_[0-9A-Za-z]{22}|[a-z][a-z0-9_-]{0,39}:.{1,200})$")))
        .max_items(Some(MAX_KEY_RESOURCES))
        .description(Some("What the key is tied to, all of it, each by id or as `kind:id`; empty for everything."))
        .examples([json!(["collection:contracts"])])
        .into()
}

/// A description that is given.
pub(crate) fn description_given() -> Schema {
    text().max_length(Some(MAX_DESCRIPTION)).description(Some("What it is for: up to 200 characters.")).into()
}

/// Implied scopes that are given.
pub(crate) fn implied_given() -> Schema {
    ArrayBuilder::new()
        .items(text().pattern(Some("^[a-z][a-z0-9_.:-]{0,62}$")))
        .description(Some("The scopes that come with it, all of them."))
        .examples([json!(["inference"])])
        .into()
}

/// When a workspace made a scope.
pub(crate) fn scope_created_at() -> Schema {
    optional_date_time().description(Some("When the workspace made it; `null` for a built-in one.")).into()
}
