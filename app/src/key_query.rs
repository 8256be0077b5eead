//! The list of keys as an address: `?q=&state=&sort=&cursor=`. What is as usual is left out.

use keyfold_domain::key::{KeyFilter, KeySort, StateFilter};
use leptos_router::params::ParamsMap;

use crate::format;

/// The newest first.
pub(crate) const USUAL_ORDER: &str = "-created";

/// The filter that an address asks for. What cannot be read counts as not asked.
pub(crate) fn filter(query: &ParamsMap) -> KeyFilter {
    let mut filter = KeyFilter::default();
    if let Some(search) = query.get("q") {
        search.trim().clone_into(&mut filter.search);
    }
    if let Some(state) = query.get("state").and_then(|name| StateFilter::from_name(&name)) {
        filter.state = state;
    }
    if let Some((sort, descending)) = query.get("sort").and_then(|text| order(&text)) {
        (filter.sort, filter.descending) = (sort, descending);
    }
    filter.resource = query.get("resource").unwrap_or_default();
    filter.cursor = query.get("cursor").filter(|cursor| !cursor.is_empty());
    filter
}

/// `name` or `-name`.
fn order(text: &str) -> Option<(KeySort, bool)> {
    let (name, descending) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
    KeySort::from_name(name).map(|sort| (sort, descending))
}

/// The name of an order in addresses.
pub(crate) fn order_name(sort: KeySort, descending: bool) -> String {
    format!("{}{}", if descending { "-" } else { "" }, sort.as_str())
}

/// The address's query for a filter, with its question mark; empty for the usual list.
pub(crate) fn query(filter: &KeyFilter) -> String {
    let usual = KeyFilter::default();
    let order = order_name(filter.sort, filter.descending);
    let parts = [
        ("resource", filter.resource.as_str(), ""),
        ("q", filter.search.as_str(), ""),
        ("state", filter.state.as_str(), usual.state.as_str()),
        ("sort", &order, USUAL_ORDER),
        ("cursor", filter.cursor.as_deref().unwrap_or_default(), ""),
    ];
    let parts: Vec<String> = parts
        .into_iter()
        .filter(|(_, value, usual)| value != usual)
        .map(|(name, value, _)| format!("{name}={}", format::query_part(value)))
        .collect();
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

/// The order that a press on a column's head asks for: the other way round if it is the present one.
pub(crate) fn pressed(filter: &KeyFilter, sort: KeySort) -> KeyFilter {
    let first = matches!(sort, KeySort::Created | KeySort::LastUsed);
    let descending = if filter.sort == sort { !filter.descending } else { first };
    KeyFilter { sort, descending, cursor: None, ..filter.clone() }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    fn params(pairs: &[(&'static str, &str)]) -> ParamsMap {
        pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
    }

    #[test]
    fn the_usual_list_has_a_bare_address() {
        assert_eq!(query(&KeyFilter::default()), "");
        assert_eq!(filter(&params(&[])), KeyFilter::default());
        assert_eq!(filter(&params(&[("state", "x"), ("sort", "y"), ("cursor", "")])), KeyFilter::default());
    }

    #[test]
    fn an_address_and_its_filter_say_the_same() {
        let pairs = [("q", "ci & more"), ("state", "inactive"), ("sort", "-name"), ("cursor", "abc")];
        let read = filter(&params(&pairs));
        assert_eq!(
            (read.search.as_str(), read.state, read.sort, read.descending),
            ("ci & more", StateFilter::Inactive, KeySort::Name, true)
        );
        let address = query(&read);
        assert!(address.starts_with('?') && address.contains("q=ci%20%26%20more"), "{address}");
        assert!(address.contains("sort=-name"), "{address}");
    }

    #[test]
    fn a_second_press_turns_the_order_round_and_starts_at_the_top() {
        let start = KeyFilter { cursor: Some("x".into()), ..KeyFilter::default() };
        let by_name = pressed(&start, KeySort::Name);
        assert_eq!((by_name.sort, by_name.descending, by_name.cursor.clone()), (KeySort::Name, false, None));
        assert!(pressed(&by_name, KeySort::Name).descending);
        assert!(!pressed(&start, KeySort::Created).descending);
    }
}
