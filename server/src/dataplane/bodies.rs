//! What `verify` reads and what both calls answer. Borrowed throughout: an answer is written once, into its own buffer.

use std::borrow::Cow;
use std::net::IpAddr;

use keyfold_domain::limits::{Cost, Limit, Standing, Whose};
use keyfold_domain::problem::Problem;
use keyfold_domain::scope::{ScopeName, ScopeSet};
use keyfold_domain::user::UserRef;
use keyfold_domain::verdict::{Code, ResourceRef};
use keyfold_engine::{Answer, Client, KeyRecord, MAX_BATCH, VerifyRequest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

use crate::problem::read_json;
use crate::rest::CheckBody;
use crate::rest::moments::Moment;
use crate::rest::schemas;

/// A question about a presented key. Fields that are not listed here are refused.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Question, example = json!({"key": "kf_sec_…", "scope": "inference"}))]
pub(crate) struct VerifyBody<'a> {
    /// The key as it was presented, whatever it is.
    #[serde(borrow)]
    #[schema(value_type = String, example = "kf_sec_…")]
    pub(super) key: Cow<'a, str>,
    /// The scope that the act needs. Left out: any live key will do.
    #[serde(borrow, default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, nullable = false, min_length = 1, example = "inference")]
    pub(super) scope: Option<Cow<'a, str>>,
    /// The resource that the act touches, as `kind:id`.
    #[serde(borrow, default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, nullable = false, pattern = "^[a-z][a-z0-9_-]{0,39}:.{1,200}$", example = "collection:contracts")]
    pub(super) resource: Option<Cow<'a, str>>,
    /// The end client's address (not your service's), for keys with a list of addresses.
    #[serde(borrow, default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, nullable = false, example = "203.0.113.7")]
    pub(super) client_ip: Option<Cow<'a, str>>,
    /// How the end client's program calls itself: its `User-Agent`. Kept, cut after 200 characters, only of clients that
    /// still use a key's old secret.
    #[serde(borrow, default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, nullable = false, example = "curl/8.5.0")]
    pub(super) user_agent: Option<Cow<'a, str>>,
    /// How many units the call takes from each limit of the key. Left out: 1. `0` checks without spending: it passes where a
    /// call of 1 would, and counts as a use of the key.
    #[serde(default, deserialize_with = "given_units")]
    #[schema(value_type = Option<u32>, nullable = false, minimum = 0, maximum = 1_000_000_000, default = 1, example = 1)]
    pub(super) cost: Option<u64>,
    /// Take the verdict apart into its checks, in `explain`. Nothing is counted then: no use, no denial, no limit. So never
    /// let a key pass on the answer to such a question alone.
    #[serde(default)]
    pub(super) explain: bool,
}

/// A question is asked with a value or not at all: a `null` from a program's unset variable must not drop a check.
fn given<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    Text::deserialize(deserializer).map(|Text(text)| Some(text))
}

/// The same for a number.
fn given_units<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    u64::deserialize(deserializer).map(Some)
}

/// Questions about several presented keys.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Questions, example = json!({"checks": [{"key": "kf_sec_…", "scope": "inference"}, {"key": "kf_sec_…"}]}))]
pub(crate) struct BatchBody<'a> {
    /// What is asked of each key. They are judged in this order, one after the other.
    #[serde(borrow)]
    #[schema(value_type = Vec<VerifyBody>, min_items = 1, max_items = 100)]
    pub(super) checks: Vec<VerifyBody<'a>>,
}

/// A question whose parts make sense.
pub(super) struct Asked<'a> {
    body: VerifyBody<'a>,
    resource: Option<ResourceRef>,
    client_ip: Option<IpAddr>,
    cost: Cost,
}

impl<'a> Asked<'a> {
    fn of(body: VerifyBody<'a>) -> Result<Self, Problem> {
        if body.scope.as_deref().is_some_and(|scope| scope.parse::<ScopeName>().is_err()) {
            return Err(Problem::invalid("scope", "A scope is 1 to 63 of a-z, 0-9, _ . : - and starts with a letter."));
        }
        Ok(Self {
            resource: body.resource.as_deref().map(str::parse).transpose()?,
            client_ip: body.client_ip.as_deref().map(address).transpose()?,
            cost: body.cost.map_or(Ok(Cost::default()), Cost::new)?,
            body,
        })
    }

    /// As the engine wants it.
    pub(super) fn request<'r>(&'r self, asker: &Client<'r>) -> VerifyRequest<'r> {
        VerifyRequest {
            key: &self.body.key,
            scope: self.body.scope.as_deref(),
            resource: self.resource.as_ref(),
            client_ip: self.client_ip,
            user_agent: self.body.user_agent.as_deref(),
            cost: self.cost,
            asker: *asker,
            explain: self.body.explain,
        }
    }

    /// Is only an explanation wanted, of which nothing is counted?
    pub(super) const fn is_for_people(&self) -> bool {
        self.body.explain
    }

    /// What was missing in it.
    pub(super) fn lack(&self, answer: &Answer) -> Option<&'static str> {
        (answer.code == Code::IpDenied && self.client_ip.is_none()).then_some(NO_ADDRESS)
    }
}

/// Reads a question strictly.
pub(super) fn read(body: &[u8]) -> Result<Asked<'_>, Problem> {
    // The reader that can name the faulty field costs more, so it only looks at what the plain one refuses.
    Asked::of(serde_json::from_slice(body).or_else(|_| read_json(body))?)
}

/// Reads several questions as strictly. One that makes no sense is refused with all others.
pub(super) fn read_batch(body: &[u8]) -> Result<Vec<Asked<'_>>, Problem> {
    let BatchBody { checks } = serde_json::from_slice(body).or_else(|_| read_json(body))?;
    if checks.is_empty() || checks.len() > MAX_BATCH {
        return Err(Problem::invalid("checks", format!("Ask about 1 to {MAX_BATCH} keys at once, not about {}.", checks.len())));
    }
    let asked = checks.into_iter().enumerate().map(|(at, body)| {
        Asked::of(body).map_err(|problem| Problem { field: problem.field.map(|field| format!("checks[{at}].{field}")), ..problem })
    });
    asked.collect()
}

/// Reads an address: IPv4 or IPv6, without port, brackets or zone.
pub(crate) fn address(text: &str) -> Result<IpAddr, Problem> {
    text.parse().map_err(|_| Problem::invalid("client_ip", "Send an IPv4 or IPv6 address without a port, like 203.0.113.7."))
}

/// A person.
#[derive(Serialize, ToSchema)]
#[schema(as = KeyOwner)]
struct OwnerBody<'a> {
    /// The person's id.
    #[schema(example = "usr_00S1E8TYPmMQMyNxIYvHyv")]
    id: &'a str,
    /// Unique, lower case.
    #[schema(example = "ada")]
    username: &'a str,
    /// As the person wants to be called.
    #[schema(example = "Ada Lovelace")]
    display_name: &'a str,
}

/// Where a key belongs.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkspaceName)]
struct WorkspaceBody<'a> {
    /// The workspace's id.
    #[schema(example = "wsp_00S1E8TYPmMQMyNxIYvHyv")]
    id: &'a str,
    /// Its short name.
    #[schema(example = "acme")]
    slug: &'a str,
}

/// A verdict. What describes the key is there only if the key is known to the caller.
#[derive(Serialize, ToSchema)]
#[schema(as = Verdict)]
pub(crate) struct VerdictBody<'a> {
    /// May the key do what was asked?
    valid: bool,
    /// Why not, or `valid`.
    #[schema(schema_with = schemas::code)]
    code: &'static str,
    /// The key's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "key_00S1E8UZ2m0hmDYpk0bPVq")]
    key_id: Option<String>,
    /// What people call it; may be empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = "Nightly report")]
    name: Option<&'a str>,
    /// Whose key it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    owner: Option<OwnerBody<'a>>,
    /// Where it belongs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    workspace: Option<WorkspaceBody<'a>>,
    /// Its sort.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::kind, required = false)]
    kind: Option<&'static str>,
    /// Every scope it may use, implied ones included.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, nullable = false, example = json!(["inference"]))]
    scopes: Option<Scopes<'a>>,
    /// What it is tied to, as `kind:id`; empty for everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, nullable = false, example = json!([]))]
    resources: Option<Resources<'a>>,
    /// From when on it is expired; `null` for never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::expires_at, required = false)]
    expires_at: Option<End>,
    /// How its limits stand after this call, its own first and then those of its owner. There if it is limited and passed
    /// every check before the limits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    limits: Option<Vec<LimitBody<'a>>>,
    /// After how many seconds the call will fit into the limits. There for `rate_limited` and `quota_exceeded`, unless it
    /// never will: its cost is above a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 1, example = json!(null))]
    retry_after: Option<u32>,
    /// What is missing in the question, in words. There if the key may only be used from certain addresses and none was
    /// sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, example = json!(null))]
    detail: Option<&'static str>,
    /// Only where the server has lost touch with the database and the workspace wants answers all the same: for how many seconds it
    /// has. A key that was revoked since then may be called valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, minimum = 0, example = json!(null))]
    stale_seconds: Option<u32>,
    /// Every check, in the order in which they are made; only if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    explain: Option<Vec<CheckBody>>,
    /// Under which id the request is logged.
    #[schema(example = "req_7zT0Qk3mWn5Xy1Jc9Lb2Vd")]
    request_id: &'a str,
}

/// Several verdicts.
#[derive(ToSchema)]
#[schema(as = Verdicts)]
#[expect(dead_code, reason = "describes what `Reply::verdicts` writes")]
pub(crate) struct VerdictsBody<'a> {
    /// One for each question, in their order.
    data: Vec<VerdictBody<'a>>,
}

/// How a limit stands.
#[derive(Serialize, ToSchema)]
#[schema(as = LimitStanding)]
struct LimitBody<'a> {
    /// What it is called.
    #[schema(example = "burst")]
    name: &'a str,
    /// `key`, or `owner` for one that holds for all keys of the key's owner together.
    #[schema(schema_with = schemas::limit_of)]
    of: &'static str,
    /// How many units may be spent.
    #[schema(minimum = 1, example = 100)]
    limit: u32,
    /// How many are left.
    #[schema(minimum = 0, example = 99)]
    remaining: u32,
    /// When all of them will be there again if nobody spends any meanwhile.
    #[schema(schema_with = schemas::resets_at)]
    resets_at: Moment,
}

/// What a caller is told who did not say where the end client is.
const NO_ADDRESS: &str =
    "This API key may only be used from certain addresses. Send the address of the end client, not of your own service, as client_ip.";

/// When a key ends, if it does.
#[derive(Serialize)]
#[serde(transparent)]
struct End(Option<Moment>);

struct Scopes<'a>(&'a ScopeSet);

impl Serialize for Scopes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ScopeName::as_str))
    }
}

struct Resources<'a>(&'a [ResourceRef]);

impl Serialize for Resources<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(ToString::to_string))
    }
}

impl<'a> VerdictBody<'a> {
    /// The answer to a decided question. `detail`: what was missing in it.
    pub(super) fn new(answer: &'a Answer, detail: Option<&'static str>, request_id: &'a str) -> Self {
        let (code, key): (Code, Option<&KeyRecord>) = (answer.code, answer.key.as_deref());
        let owner = |owner: &'a UserRef| OwnerBody { id: owner.id.as_str(), username: &owner.username, display_name: &owner.display_name };
        Self {
            valid: code == Code::Valid,
            code: code.as_str(),
            key_id: key.map(|key| key.id().into()),
            name: key.map(KeyRecord::name),
            owner: key.map(KeyRecord::owner).map(owner),
            workspace: key.map(|key| WorkspaceBody { id: key.workspace_id().as_str(), slug: key.workspace() }),
            kind: key.map(|key| key.kind().as_str()),
            scopes: key.map(|key| Scopes(key.effective())),
            resources: key.map(|key| Resources(key.resources().unwrap_or_default())),
            expires_at: key.map(|key| End(key.expires_at().map(Moment))),
            limits: (!answer.standings.is_empty()).then(|| answer.limits().map(LimitBody::from).collect()),
            retry_after: answer.retry_after,
            detail,
            stale_seconds: answer.stale,
            explain: answer.checks.as_deref().map(|checks| checks.iter().cloned().map(CheckBody::from).collect()),
            request_id,
        }
    }
}

impl<'a> From<(Whose, &'a Limit, Standing)> for LimitBody<'a> {
    fn from((whose, limit, standing): (Whose, &'a Limit, Standing)) -> Self {
        Self {
            name: limit.name().as_str(),
            of: whose.as_str(),
            limit: limit.most(),
            remaining: standing.remaining,
            resets_at: Moment(standing.resets_at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused_field(json: &str) -> Option<String> {
        read(json.as_bytes()).err().and_then(|problem| problem.field)
    }

    #[test]
    fn a_question_is_read_strictly() {
        let full =
            br#"{"key":"k\u0041","scope":"chat","resource":"project:1","client_ip":"::1","user_agent":"curl","cost":0,"explain":true}"#;
        assert!(read(full).is_ok_and(|asked| asked.body.key == "kA"));
        let cases = [
            (r#"{"scope":"chat"}"#, "key"),
            (r#"{"key":"a","key":"b"}"#, "key"),
            (r#"{"key":1}"#, "key"),
            (r#"{"key":null}"#, "key"),
            (r#"{"key":"a","explain":null}"#, "explain"),
            (r#"{"key":"a","explain":1}"#, "explain"),
            (r#"{"key":"a","cost":-1}"#, "cost"),
            (r#"{"key":"a","cost":1.5}"#, "cost"),
            (r#"{"key":"a","cost":"1"}"#, "cost"),
            (r#"{"key":"a","cost":null}"#, "cost"),
            (r#"{"key":"a","cost":18446744073709551616}"#, "cost"),
            (r#"{"key":"a","scope":"No Scope"}"#, "scope"),
            (r#"{"key":"a","scope":null}"#, "scope"),
            (r#"{"key":"a","user_agent":null}"#, "user_agent"),
        ];
        for (body, field) in cases {
            assert_eq!(refused_field(body).as_deref(), Some(field), "{body}");
        }
        for body in ["", "[]", "null", "7", "\"key\"", r#"{"key":"\ud800"}"#, r#"{"key":"a"} x"#] {
            assert!(read(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn of_several_questions_the_faulty_one_is_named() {
        let field = |json: &str| read_batch(json.as_bytes()).err().and_then(|problem| problem.field);
        assert_eq!(read_batch(br#"{"checks":[{"key":"a"},{"key":"b","cost":0}]}"#).map(|asked| asked.len()).ok(), Some(2));
        for (body, expected) in [
            (r"{}", "checks"),
            (r#"{"checks":[]}"#, "checks"),
            (r#"{"checks":null}"#, "checks"),
            (r#"{"checks":[{"key":"a"}],"key":"a"}"#, "key"),
            (r#"{"checks":[{"key":"a"},{"scope":"chat"}]}"#, "checks[1].key"),
            (r#"{"checks":[{"key":"a"},{"key":"a","scope":"No"}]}"#, "checks[1].scope"),
            (r#"{"checks":[{"key":"a","resource":"x"}]}"#, "checks[0].resource"),
            (r#"{"checks":[{"key":"a","client_ip":"x"}]}"#, "checks[0].client_ip"),
            (r#"{"checks":[{"key":"a","cost":1000000001}]}"#, "checks[0].cost"),
        ] {
            assert_eq!(field(body).as_deref(), Some(expected), "{body}");
        }
        for (count, accepted) in [(1, true), (MAX_BATCH, true), (MAX_BATCH + 1, false)] {
            let checks = vec![r#"{"key":"a"}"#; count].join(",");
            assert_eq!(read_batch(format!("{{\"checks\":[{checks}]}}").as_bytes()).is_ok(), accepted, "{count}");
        }
    }

    #[test]
    fn an_unreadable_question_is_never_quoted_back() {
        let refused = read(br#"{"key":{"a":"kf_sec_canary"}}"#).err().map(|problem| problem.message);
        assert!(refused.is_some_and(|message| !message.contains("canary")));
    }

    #[test]
    fn an_address_has_no_port_and_no_zone() {
        assert!(address("203.0.113.7").is_ok() && address("2001:db8::1").is_ok());
        for text in ["", "203.0.113.7:80", "[::1]", "fe80::1%eth0", "203.0.113", "0x7f.1", "host"] {
            assert!(address(text).is_err(), "{text}");
        }
    }
}
