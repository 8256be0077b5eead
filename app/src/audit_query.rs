//! The audit log as an address: `?action=&actor=&object=&result=&from=&until=&q=&cursor=`. What is as usual is left out.

use keyfold_domain::audit::{AuditFilter, AuditResult};
use keyfold_domain::time::{DAY_MS, Timestamp};
use leptos_router::params::ParamsMap;

use crate::format::{self, Civil};

/// The first moment of a day in UTC, written `2027-02-19`.
fn start(day: &str) -> Option<Timestamp> {
    Civil::end_of_day(day).and_then(Civil::as_utc).map(|end| Timestamp::from_millis(end.as_millis().div_euclid(DAY_MS) * DAY_MS))
}

/// The filter that an address asks for. What cannot be read counts as not asked.
pub(crate) fn filter(query: &ParamsMap) -> AuditFilter {
    let text = |name: &str| query.get(name).map(|text| text.trim().to_owned()).unwrap_or_default();
    AuditFilter {
        action: text("action"),
        actor: text("actor"),
        object: text("object"),
        result: AuditResult::from_name(&text("result")),
        from: start(&text("from")),
        until: start(&text("until")).map(|day| day.plus_days(1)),
        search: text("q"),
        cursor: query.get("cursor").filter(|cursor| !cursor.is_empty()),
        ..AuditFilter::default()
    }
}

/// The days between which a filter looks, as date fields write them.
pub(crate) fn days(filter: &AuditFilter) -> (String, String) {
    let day = |at: Option<Timestamp>| at.map(|at| format::iso_date(&Civil::utc(at))).unwrap_or_default();
    (day(filter.from), day(filter.until.map(|end| end.plus_days(-1))))
}

/// The address's query for a filter, with its question mark; empty for the whole log.
pub(crate) fn query(filter: &AuditFilter) -> String {
    let (from, until) = days(filter);
    let result = filter.result.map(AuditResult::as_str).unwrap_or_default();
    joined(&[
        ("action", &filter.action),
        ("actor", &filter.actor),
        ("object", &filter.object),
        ("result", result),
        ("from", &from),
        ("until", &until),
        ("q", &filter.search),
        ("cursor", filter.cursor.as_deref().unwrap_or_default()),
    ])
}

/// The same for the REST API's export.
pub(crate) fn export(filter: &AuditFilter) -> String {
    let moment = |at: Option<Timestamp>| at.map(format::iso).unwrap_or_default();
    joined(&[
        ("action", &filter.action),
        ("actor", &filter.actor),
        ("object", &filter.object),
        ("result", filter.result.map(AuditResult::as_str).unwrap_or_default()),
        ("from", &moment(filter.from)),
        ("until", &moment(filter.until)),
        ("search", &filter.search),
    ])
}

fn joined(parts: &[(&str, &str)]) -> String {
    let parts: Vec<String> =
        parts.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={}", format::query_part(value))).collect();
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_survives_the_way_through_the_address() {
        let mut map = ParamsMap::new();
        for (name, value) in [("action", "key."), ("result", "refused"), ("from", "2026-11-01"), ("until", "2026-11-01"), ("q", "a b")] {
            map.insert(name, value.to_owned());
        }
        let read = filter(&map);
        assert_eq!(read.until.unwrap().millis_since(read.from.unwrap()), DAY_MS);
        assert_eq!(query(&read), "?action=key.&result=refused&from=2026-11-01&until=2026-11-01&q=a%20b");
        assert!(export(&read).contains("&from=2026-11-01T00%3A00%3A00"), "{}", export(&read));
        assert_eq!(query(&AuditFilter::default()), "");
        map.insert("from", "31.12.".to_owned());
        assert_eq!(filter(&ParamsMap::new()), AuditFilter::default());
    }
}
