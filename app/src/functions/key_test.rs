//! What a key would be answered, asked without its secret.

use keyfold_domain::ids::KeyId;
use keyfold_domain::verdict::Explanation;
use leptos::prelude::*;
use serde::{Deserialize, Serialize};

use super::codec::Json;
use super::fault::Fault;
#[cfg(feature = "ssr")]
use {
    super::context,
    crate::format::Civil,
    keyfold_domain::problem::Problem,
    keyfold_domain::scope::ScopeName,
    keyfold_domain::time::Timestamp,
    keyfold_domain::verdict::{Question, ResourceRef},
    keyfold_engine::RouteQuestion,
    std::net::IpAddr,
};

/// What is asked of a key, as it was typed; what is empty is not asked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyTest {
    #[serde(default)]
    pub scope: String,
    #[serde(default)]
    pub resource: String,
    /// The method of a request to a service behind a proxy, instead of a scope and a resource.
    #[serde(default)]
    pub method: String,
    /// The path of that request.
    #[serde(default)]
    pub path: String,
    #[serde(default)]
    pub client_ip: String,
    /// `2027-01-31T12:00` in UTC.
    #[serde(default)]
    pub at: String,
}

#[cfg(feature = "ssr")]
impl KeyTest {
    fn scope(&self) -> Result<Option<ScopeName>, Problem> {
        let wrong = |_| Problem::invalid("scope", "A scope is 1 to 63 of a-z, 0-9, _ . : - and starts with a letter.");
        asked(&self.scope).map(|text| text.parse().map_err(wrong)).transpose()
    }

    fn resource(&self) -> Result<Option<ResourceRef>, Problem> {
        asked(&self.resource).map(str::parse).transpose()
    }

    fn client_ip(&self) -> Result<Option<IpAddr>, Problem> {
        let wrong = |_| Problem::invalid("client_ip", "Write an IPv4 or IPv6 address without a port, like 203.0.113.7.");
        asked(&self.client_ip).map(|text| text.parse().map_err(wrong)).transpose()
    }

    fn at(&self) -> Result<Option<Timestamp>, Problem> {
        let wrong = || Problem::invalid("at", "Choose a day and a time, or leave it empty for now.");
        asked(&self.at).map(|text| moment(text).ok_or_else(wrong)).transpose()
    }
}

#[cfg(feature = "ssr")]
fn asked(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// Reads `2027-01-31T12:00`, with or without seconds, in UTC.
#[cfg(feature = "ssr")]
fn moment(text: &str) -> Option<Timestamp> {
    let (day, time) = text.split_once('T')?;
    let mut parts = time.split(':');
    let mut part = |most: u32| parts.next().filter(|part| part.len() == 2).and_then(|part| part.parse().ok()).filter(|part| *part < most);
    let (hour, minute) = (part(24)?, part(60)?);
    let second = if time.len() > 5 { part(60)? } else { 0 };
    let fits = matches!(time.len(), 5 | 8);
    fits.then(|| Civil::end_of_day(day)).flatten().and_then(|civil| Civil { hour, minute, second, ..civil }.as_utc())
}

/// What a key would be answered to that question, and why. Nothing is counted.
#[server(endpoint = "explain_key", prefix = "/_app", input = Json, output = Json)]
pub async fn explain_key(workspace: String, id: KeyId, question: KeyTest) -> Result<Explanation, Fault> {
    let (request, actor) = context::actor()?;
    let place = context::reply(request.engine.workspaces.get(&actor, &workspace).await)?;
    let (scope, resource) = (context::reply(question.scope())?, context::reply(question.resource())?);
    let (client_ip, at) = (context::reply(question.client_ip())?, context::reply(question.at())?);
    if let Some(path) = asked(&question.path) {
        if scope.is_some() || resource.is_some() {
            let text = "The route map says which scope and resource a request needs. Leave those two empty, or the path.";
            return context::reply(Err(Problem::invalid("path", text)));
        }
        let method = asked(&question.method).unwrap_or("GET").to_owned();
        let asked = RouteQuestion { method, target: path.to_owned(), key: None, client_ip };
        return context::reply(request.engine.keys.explain_request(&actor, &place.id, &id, &asked, at).await);
    }
    let question = Question { scope: scope.as_ref().map(ScopeName::as_str), resource: resource.as_ref(), client_ip };
    context::reply(request.engine.keys.explain(&actor, &place.id, &id, &question, at).await)
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_read_as_browsers_write_it() {
        let noon = Timestamp::from_millis(1_801_396_800_000);
        for text in ["2027-01-31T12:00", "2027-01-31T12:00:00"] {
            assert_eq!(moment(text), Some(noon), "{text}");
        }
        for text in
            ["", "2027-01-31", "2027-02-30T12:00", "2027-01-31T24:00", "2027-01-31T1:00", "2027-01-31T12:00Z", "2027-01-31T12:00:00.5"]
        {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
