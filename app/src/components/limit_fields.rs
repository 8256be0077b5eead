use keyfold_domain::limits::MAX_LIMITS;
use leptos::prelude::*;

use super::{FieldError, Icon};
use crate::limit_form::{FIRST_SPAN, LimitRow, SPANS, offered, span_words};

/// From where a key may be used, one address or range a line.
#[component]
pub(crate) fn AddressField(lines: String, #[prop(into)] error: Signal<Option<String>>, #[prop(optional)] autofocus: bool) -> impl IntoView {
    view! {
        <div class="field">
            <label class="field-label" for="ip_allow">
                "Allowed addresses"
                <span class="field-optional">" (optional)"</span>
            </label>
            <textarea
                class="control mono"
                id="ip_allow"
                name="ip_allow"
                rows="4"
                spellcheck="false"
                autocapitalize="off"
                autofocus=autofocus
                placeholder="203.0.113.7"
                aria-describedby="ip_allow-hint ip_allow-error"
                aria-invalid=move || error.with(Option::is_some).then_some("true")
            >
                {lines}
            </textarea>
            <span class="field-hint" id="ip_allow-hint">
                "One address or range a line, like 203.0.113.7, 10.0.0.0/8 or 2001:db8::/32. Empty: from anywhere."
            </span>
            <FieldError id="ip_allow-error".into() error />
        </div>
    }
}

/// How often a key may be used: a row for each limit, and some that are still empty.
#[component]
pub(crate) fn LimitFields(rows: Vec<LimitRow>, #[prop(into)] error: Signal<Option<String>>) -> impl IntoView {
    let rows = offered(rows).into_iter().enumerate().map(|(at, row)| limit_row(at, row)).collect_view();
    view! {
        <fieldset class="field" id="limits" aria-describedby="limits-hint limits-error">
            <legend class="field-label">
                "Limits"
                <span class="field-optional">" (optional)"</span>
            </legend>
            <div class="limit-rows">{rows}</div>
            <span class="field-hint" id="limits-hint">
                {format!(
                    "A call has to fit into every one of them. Leave a row empty, or empty it, for no limit; up to {MAX_LIMITS} fit, more rows come after saving.",
                )}
            </span>
            <FieldError id="limits-error".into() error />
        </fieldset>
    }
}

fn limit_row(at: usize, row: LimitRow) -> impl IntoView {
    let chosen = if row.span.is_empty() { FIRST_SPAN.to_owned() } else { row.span };
    let own = (!SPANS.iter().any(|(value, _)| *value == chosen)).then(|| chosen.clone());
    let option = |value: String| {
        let (selected, words) = (value == chosen, span_words(&value));
        view! {
            <option value=value selected=selected>
                {words}
            </option>
        }
    };
    let id = |part: &str| format!("limit-{at}-{part}");
    let name = |part: &str| format!("limits[{at}][{part}]");
    let (name_id, most_id, span_id) = (id("name"), id("most"), id("span"));
    view! {
        <div class="limit-row" role="group" aria-label=format!("Limit {}", at + 1)>
            <div>
                <label class="small soft" for=name_id.clone()>
                    "Limit name"
                </label>
                <input
                    class="control mono"
                    id=name_id
                    name=name("name")
                    value=row.name
                    maxlength="32"
                    autocomplete="off"
                    autocapitalize="off"
                    spellcheck="false"
                    placeholder=if at == 0 { "burst" } else { "daily" }
                />
            </div>
            <div>
                <label class="small soft" for=most_id.clone()>
                    "Calls"
                </label>
                <input class="control" id=most_id name=name("most") value=row.most type="number" min="1" max="1000000000" step="1" inputmode="numeric" />
            </div>
            <div>
                <label class="small soft" for=span_id.clone()>
                    "In"
                </label>
                <span class="select">
                    <select class="control" id=span_id name=name("span")>
                        {SPANS.map(|(value, _)| option(value.to_owned())).collect_view()}
                        {own.map(option)}
                    </select>
                    <Icon name="chevron-down" />
                </span>
            </div>
        </div>
    }
}
