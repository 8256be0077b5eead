use keyfold_domain::catalogue::Scope;
use keyfold_domain::scope::{BUILT_IN, ScopeName};
use leptos::prelude::*;
use wasm_bindgen::JsCast;

use super::Icon;

fn groups(scopes: Vec<Scope>) -> Vec<(&'static str, Vec<Scope>)> {
    let mut groups: Vec<(&'static str, Vec<Scope>)> = Vec::new();
    for scope in scopes {
        match groups.last_mut() {
            Some((name, group)) if *name == scope.group() => group.push(scope),
            _ => groups.push((scope.group(), vec![scope])),
        }
    }
    // Scopes about managing Keyfold are few people's business: they come last.
    groups.sort_by_key(|(_, group)| group.iter().all(Scope::is_management));
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

fn implied(scope: &Scope) -> Option<String> {
    let names: Vec<&str> = scope.implies.iter().map(ScopeName::as_str).collect();
    (!names.is_empty()).then(|| format!(" Includes {}.", crate::format::listed(&names)))
}

/// Scopes as plain checkboxes, grouped. The style sheet hides what the chosen kind of key may not hold, so that it works
/// before and without script. `held` decides the first state of each box.
#[component]
pub(crate) fn ScopePicker(
    offered: Vec<Scope>,
    held: Vec<String>,
    #[prop(into)] described_by: String,
    #[prop(into)] invalid: Signal<bool>,
    #[prop(optional)] autofocus: bool,
    #[prop(default = "scopes[]")] field: &'static str,
    #[prop(default = "Scopes")] legend: &'static str,
) -> impl IntoView {
    let offered = groups(offered);
    let first = offered.first().and_then(|(_, group)| group.first()).map(|scope| scope.name.clone());
    let group = move |(title, scopes): (&'static str, Vec<Scope>)| {
        let management = scopes.iter().all(Scope::is_management);
        let several = scopes.len() > 1;
        let (held, first) = (held.clone(), first.clone());
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
                        let name = scope.name.to_string();
                        let text = (scope.description.clone(), implied(&scope));
                        view! {
                            <label class="scope" data-public=scope.public.then_some("") data-management=scope.is_management().then_some("")>
                                <input
                                    type="checkbox"
                                    name=field
                                    value=name.clone()
                                    checked=held.contains(&name)
                                    autofocus=autofocus && first.as_ref() == Some(&scope.name)
                                />
                                <span class="scope-name">{name}</span>
                                <span class="scope-text">{text.0} {text.1}</span>
                            </label>
                        }
                    })
                    .collect_view()}
            </div>
        }
    };
    view! {
        <fieldset class="field" aria-describedby=described_by aria-invalid=move || invalid.get().then_some("true")>
            <legend class="field-label">{legend}</legend>
            <div class="scopes">{offered.into_iter().map(group).collect_view()}</div>
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
    let order = |scope: &ScopeName| BUILT_IN.iter().position(|info| info.name == scope.as_str()).unwrap_or(BUILT_IN.len());
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
