use keyfold_domain::scope::{BUILT_IN, ScopeInfo, ScopeName};
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::Icon;

fn groups(scopes: &[&'static ScopeInfo]) -> Vec<(&'static str, Vec<&'static ScopeInfo>)> {
    let mut groups: Vec<(&'static str, Vec<&'static ScopeInfo>)> = Vec::new();
    for scope in scopes {
        match groups.last_mut() {
            Some((name, group)) if *name == scope.group => group.push(scope),
            _ => groups.push((scope.group, vec![scope])),
        }
    }
    groups
}

/// Ticks every box of the group around the pressed button that is in sight, or none if all are ticked already.
fn toggle_group(event: &web_sys::MouseEvent) {
    let button = event.current_target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
    let Some(group) = button.and_then(|button| button.closest(".scopes-group").ok().flatten()) else { return };
    let Ok(boxes) = group.query_selector_all("input[type=checkbox]") else { return };
    let boxes: Vec<web_sys::HtmlInputElement> = (0..boxes.length()).filter_map(|at| boxes.get(at)?.dyn_into().ok()).collect();
    let boxes: Vec<_> = boxes.into_iter().filter(|tick| tick.offset_parent().is_some()).collect();
    let all = boxes.iter().all(web_sys::HtmlInputElement::checked);
    for tick in &boxes {
        tick.set_checked(!all);
    }
    if let (Some(tick), Ok(change)) = (boxes.first(), web_sys::Event::new_with_event_init_dict("change", &bubbling())) {
        let _ = tick.dispatch_event(&change);
    }
}

fn bubbling() -> web_sys::EventInit {
    let init = web_sys::EventInit::new();
    init.set_bubbles(true);
    init
}

fn implied(info: &ScopeInfo) -> Option<String> {
    (!info.implies.is_empty()).then(|| format!(" Includes {}.", crate::format::listed(info.implies)))
}

/// Scopes as plain checkboxes, grouped. The style sheet hides what the chosen kind of key may not hold, so that it works
/// before and without script. `held` decides the first state of each box.
#[component]
pub(crate) fn ScopePicker(
    offered: Vec<&'static ScopeInfo>,
    held: Vec<String>,
    #[prop(into)] described_by: String,
    #[prop(into)] invalid: Signal<bool>,
    #[prop(optional)] autofocus: bool,
) -> impl IntoView {
    let first = offered.first().map(|scope| scope.name);
    let group = move |(title, scopes): (&'static str, Vec<&'static ScopeInfo>)| {
        let management = scopes.iter().all(|scope| scope.management);
        let several = scopes.len() > 1;
        let held = held.clone();
        view! {
            <div class="scopes-group" data-management=management.then_some("")>
                <div class="scopes-title">
                    <span>{title}</span>
                    {several
                        .then(|| {
                            view! {
                                <button type="button" class="button button-small button-quiet needs-script" on:click=|event| toggle_group(&event)>
                                    "Select all"<span class="visually-hidden">" of " {title}</span>
                                </button>
                            }
                        })}
                </div>
                {scopes
                    .into_iter()
                    .map(|scope| {
                        view! {
                            <label class="scope" data-public=scope.public.then_some("") data-management=scope.management.then_some("")>
                                <input
                                    type="checkbox"
                                    name="scopes[]"
                                    value=scope.name
                                    checked=held.iter().any(|name| name == scope.name)
                                    autofocus=autofocus && first == Some(scope.name)
                                />
                                <span class="scope-name">{scope.name}</span>
                                <span class="scope-text">{scope.description} {implied(scope)}</span>
                            </label>
                        }
                    })
                    .collect_view()}
            </div>
        }
    };
    view! {
        <fieldset class="field" aria-describedby=described_by aria-invalid=move || invalid.get().then_some("true")>
            <legend class="field-label">"Scopes"</legend>
            <div class="scopes">{groups(&offered).into_iter().map(group).collect_view()}</div>
        </fieldset>
    }
}

/// Scopes as chips, at most `most` of them and a count of the rest.
#[component]
pub(crate) fn ScopeChips(
    scopes: Vec<ScopeName>,
    #[prop(default = usize::MAX)] most: usize,
    #[prop(default = "chip")] class: &'static str,
    #[prop(optional)] icon: Option<&'static str>,
) -> impl IntoView {
    let rest = scopes.len().saturating_sub(most);
    let order = |scope: &ScopeName| BUILT_IN.iter().position(|info| info.name == scope.as_str());
    let mut scopes = scopes;
    scopes.sort_by_key(order);
    let title = scopes.iter().skip(most).map(ScopeName::as_str).collect::<Vec<_>>().join(", ");
    view! {
        <span class="chips">
            {scopes
                .into_iter()
                .take(most)
                .map(|scope| {
                    view! {
                        <span class=class>
                            {icon.map(|name| view! { <Icon name /> })}
                            {scope.to_string()}
                        </span>
                    }
                })
                .collect_view()}
            {(rest > 0)
                .then(|| {
                    view! {
                        <span class="chip" title=title.clone()>
                            {format!("+{rest}")}
                            <span class="visually-hidden">" more: " {title.clone()}</span>
                        </span>
                    }
                })}
        </span>
    }
}
