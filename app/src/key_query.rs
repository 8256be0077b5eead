//! The list of keys as an address: `?q=&state=&scope=&kind=&owner=&idle=&expiring=&resource=&sort=&cursor=`. What is as usual is
//! left out.

use keyfold_domain::key::{KeyFilter, KeySort, StateFilter};
#[cfg(feature = "ssr")]
use keyfold_domain::problem::Problem;
use keyfold_domain::scope::KeyKind;
use leptos_router::params::ParamsMap;

use crate::format;

/// What `idle=` says of keys that nobody ever used.
pub(crate) const NEVER: &str = "never";

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
    let text = |name: &str| query.get(name).unwrap_or_default();
    filter.scope = text("scope").parse().ok();
    filter.kind = KeyKind::from_name(&text("kind"));
    filter.owner = text("owner").parse().ok();
    filter.expiring = text("expiring").parse().ok();
    filter.never_used = text("idle") == NEVER;
    filter.idle = text("idle").parse().ok();
    filter.resource = text("resource");
    filter.cursor = query.get("cursor").filter(|cursor| !cursor.is_empty());
    filter
}

/// The filter of a list's query, as [`query()`] writes it.
///
/// # Errors
/// If it is none: to act on more keys than were looked at would be worse than a refusal.
#[cfg(feature = "ssr")]
pub(crate) fn read(text: &str) -> Result<KeyFilter, Problem> {
    let unread = || Problem::invalid("list", "This is no list of keys. Go back to the list and start again.");
    let address = leptos_router::location::RequestUrl::new(&format!("/{text}")).parse().map_err(|_| unread())?;
    let read = filter(address.search_params());
    if query(&read) == text { Ok(read) } else { Err(unread()) }
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

/// What an address says of a filter: names and values of all that is not as usual.
pub(crate) fn parts(filter: &KeyFilter) -> Vec<(&'static str, String)> {
    let state = if filter.state == StateFilter::Live { "" } else { filter.state.as_str() };
    let order = if (filter.sort, filter.descending) == (KeySort::Created, true) {
        String::new()
    } else {
        order_name(filter.sort, filter.descending)
    };
    let days = |days: Option<u32>| days.map(|days| days.to_string()).unwrap_or_default();
    let all = [
        ("q", filter.search.clone()),
        ("state", state.to_owned()),
        ("scope", filter.scope.as_ref().map(|scope| scope.as_str().to_owned()).unwrap_or_default()),
        ("kind", filter.kind.map(|kind| kind.as_str().to_owned()).unwrap_or_default()),
        ("owner", filter.owner.as_ref().map(|owner| owner.as_str().to_owned()).unwrap_or_default()),
        ("idle", if filter.never_used { NEVER.to_owned() } else { days(filter.idle) }),
        ("expiring", days(filter.expiring)),
        ("resource", filter.resource.clone()),
        ("sort", order),
        ("cursor", filter.cursor.clone().unwrap_or_default()),
    ];
    all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
}

/// The address's query for a filter, with its question mark; empty for the usual list.
pub(crate) fn query(filter: &KeyFilter) -> String {
    let parts: Vec<String> = parts(filter).iter().map(|(name, value)| format!("{name}={}", format::query_part(value))).collect();
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

/// Is it about fewer keys than the whole list in its usual states?
pub(crate) fn narrows(filter: &KeyFilter) -> bool {
    let usual = KeyFilter { sort: filter.sort, descending: filter.descending, limit: filter.limit, ..KeyFilter::default() };
    *filter != usual
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
        let owner = "usr_0123456789012345678901";
        let pairs = [
            ("q", "ci & more"),
            ("state", "inactive"),
            ("scope", "reports:read"),
            ("kind", "publishable"),
            ("owner", owner),
            ("idle", "30"),
            ("expiring", "14"),
            ("resource", "collection:contracts"),
            ("sort", "-name"),
            ("cursor", "abc"),
        ];
        let read = filter(&params(&pairs));
        assert_eq!(
            (read.search.as_str(), read.state, read.sort, read.descending),
            ("ci & more", StateFilter::Inactive, KeySort::Name, true)
        );
        let address = query(&read);
        assert!(address.starts_with('?') && address.contains("q=ci%20%26%20more"), "{address}");
        assert!(address.contains("sort=-name"), "{address}");
        assert_eq!(parts(&read), pairs.map(|(name, value)| (name, value.to_owned())));
        assert!(narrows(&read));
    }

    #[test]
    fn keys_that_were_never_used_are_asked_for_by_a_word() {
        let read = filter(&params(&[("idle", NEVER)]));
        assert!(read.never_used && read.idle.is_none() && narrows(&read));
        assert_eq!(query(&read), "?idle=never");
    }

    #[test]
    fn a_list_is_read_back_as_it_was_written_or_not_at_all() {
        let text = "?q=ci%20%26%20more&scope=chat&idle=never&sort=-name";
        assert_eq!(read(text).map(|filter| query(&filter)), Ok(text.to_owned()));
        assert_eq!(read(""), Ok(KeyFilter::default()));
        for bad in ["?scope=NO", "?idle=soon", "?state=x", "?unknown=1", "/elsewhere", "?scope=chat&scope=x"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn another_order_narrows_nothing() {
        assert!(!narrows(&filter(&params(&[("sort", "name")]))));
        assert!(narrows(&filter(&params(&[("cursor", "abc")]))));
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
