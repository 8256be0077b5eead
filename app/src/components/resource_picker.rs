use std::collections::HashSet;

use keyfold_domain::resource::{ResourceDetail, ResourceSummary};
use leptos::__reexports::send_wrapper::SendWrapper;
use leptos::prelude::*;
use leptos::task::spawn_local;

use super::{FieldError, Icon};
use crate::functions::resources::{ResourceChoice, search_resources};
use crate::key_form::{EVERYTHING, SOME};

/// A resource as the list of boxes shows it.
#[derive(Clone, PartialEq, Eq)]
struct Offer {
    id: String,
    kind: String,
    external_id: String,
    name: String,
    /// Whose it is, where that is not the key's owner.
    owner: Option<String>,
    deleted: bool,
}

impl Offer {
    fn of(resource: &ResourceDetail, choice: &ResourceChoice) -> Self {
        let foreign = choice.owner.as_ref() != Some(&resource.owner.id);
        Self {
            id: resource.id.to_string(),
            kind: resource.kind.clone(),
            external_id: resource.external_id.clone(),
            name: resource.name.clone(),
            owner: foreign.then(|| resource.owner.display_name.clone()),
            deleted: false,
        }
    }

    fn tied(resource: &ResourceSummary) -> Self {
        Self {
            id: resource.id.to_string(),
            kind: resource.kind.clone(),
            external_id: resource.external_id.clone(),
            name: resource.name.clone(),
            owner: None,
            deleted: resource.deleted,
        }
    }

    fn matches(&self, search: &str) -> bool {
        let search = search.trim().to_lowercase();
        [&self.name, &self.external_id, &self.kind].into_iter().any(|text| text.to_lowercase().contains(&search))
    }
}

/// What is offered, what the key has already first and each once.
fn offers(choice: &ResourceChoice) -> Vec<Offer> {
    let mut seen = HashSet::new();
    let tied = choice.tied.iter().map(Offer::tied);
    tied.chain(choice.resources.iter().map(|resource| Offer::of(resource, choice))).filter(|offer| seen.insert(offer.id.clone())).collect()
}

/// What a key is tied to: everything, or ticked resources. Plain radio buttons and checkboxes; the style sheet shows the
/// boxes where some are wanted. With script the list can be searched, and a search brings more than was offered.
#[component]
#[expect(clippy::too_many_lines, reason = "most of it is the one form that is shown")]
pub(crate) fn ResourcePicker(
    workspace: String,
    choice: ResourceChoice,
    reach: String,
    held: Vec<String>,
    #[prop(optional)] override_owner: bool,
    /// Is told what the offered resources are called, by id.
    #[prop(optional)]
    names: Option<RwSignal<Vec<(String, String)>>>,
    error: Signal<Option<String>>,
) -> impl IntoView {
    let some = reach == SOME || (reach.is_empty() && !held.is_empty());
    let all = offers(&choice);
    let none = all.is_empty();
    let (may_override, owner) = (choice.may_override && all.iter().any(|offer| offer.owner.is_some()), choice.owner.clone());
    let searched = choice.more || all.len() > 8;
    let rows = RwSignal::new(all);
    if let Some(names) = names {
        let known = |rows: &Vec<Offer>| rows.iter().map(|row| (row.id.clone(), row.name.clone())).collect();
        names.set(rows.with_untracked(known));
        Effect::new(move || names.set(rows.with(known)));
    }
    let typed = RwSignal::new(String::new());
    let held = StoredValue::new(held);
    let (workspace, more) = (StoredValue::new(workspace), choice.more);
    // Only in a browser: the server builds and drops pages on different threads, which a timer's handle does not survive.
    let look = (!cfg!(feature = "ssr") && more).then(|| {
        let look = move |text: String| {
            let owner = owner.clone();
            spawn_local(async move {
                let Ok(found) = search_resources(workspace.get_value(), owner, text).await else { return };
                // Rows that are there stay there: a tick must not vanish with a search.
                rows.try_update(|rows| {
                    let new = offers(&found).into_iter().filter(|offer| !rows.iter().any(|row| row.id == offer.id)).collect::<Vec<_>>();
                    rows.extend(new);
                });
            });
        };
        SendWrapper::new(leptos::leptos_dom::helpers::debounce(std::time::Duration::from_millis(250), look))
    });
    let look = StoredValue::new(look);
    let row = move |offer: Offer| {
        let (shown, ticked) = (offer.clone(), held.with_value(|held| held.contains(&offer.id)));
        view! {
            <label class="resource" hidden=move || !typed.with(|typed| shown.matches(typed))>
                <input type="checkbox" name="resources[]" value=offer.id checked=ticked />
                <span class="resource-name break">{offer.name}</span>
                <span class="resource-text">
                    <span class="mono break">{format!("{}:{}", offer.kind, offer.external_id)}</span>
                    {offer.owner.map(|owner| view! { <span class="break">" · of " {owner}</span> })}
                    {offer.deleted.then_some(" · deleted")}
                </span>
            </label>
        }
    };
    let choice_of = |value: &'static str, title: &'static str, text: &'static str, checked: bool| {
        view! {
            <label class="choice">
                <input type="radio" name="reach" value=value checked=checked />
                <span class="choice-title">{title}</span>
                <span class="choice-text">{text}</span>
            </label>
        }
    };
    view! {
        <fieldset class="field reach" aria-describedby="resources-error" aria-invalid=move || error.with(Option::is_some).then_some("true")>
            <legend class="field-label">"Resources"</legend>
            <div class="cards cards-two">
                {choice_of(EVERYTHING, "Everything", "Whatever its scopes allow.", !some)}
                {choice_of(SOME, "Only these", "Nothing but the resources you tick.", some)}
            </div>
            <div class="resources">
                {none
                    .then(|| {
                        view! {
                            <p class="soft resources-none">
                                "There is no resource yet that this key could be tied to. Administrators add them on the page Resources."
                            </p>
                        }
                    })}
                {searched
                    .then(|| {
                        view! {
                            <div class="search resources-search needs-script">
                                <label class="visually-hidden" for="resource-search">
                                    "Search resources"
                                </label>
                                <Icon name="search" />
                                <input
                                    class="control"
                                    id="resource-search"
                                    type="search"
                                    placeholder="Search resources"
                                    maxlength="100"
                                    on:input=move |event| {
                                        let text = event_target_value(&event);
                                        typed.set(text.clone());
                                        look.update_value(|look| {
                                            if let Some(look) = look {
                                                look(text);
                                            }
                                        });
                                    }
                                />
                            </div>
                        }
                    })}
                <div class="resources-list">
                    <For each=move || rows.get() key=|offer| offer.id.clone() children=row />
                </div>
                {may_override
                    .then(|| {
                        view! {
                            <label class="resource resources-override">
                                <input type="checkbox" name="override_owner" value="true" checked=override_owner />
                                <span class="resource-name">"Also resources of other people"</span>
                                <span class="resource-text">"A key should be tied to what its owner owns. Tick this if you mean it."</span>
                            </label>
                        }
                    })}
            </div>
            <FieldError id="resources-error".into() error />
        </fieldset>
    }
}

/// What a key is tied to, as chips; what was deleted says so.
#[component]
pub(crate) fn ResourceChips(resources: Vec<ResourceSummary>, #[prop(default = usize::MAX)] most: usize) -> impl IntoView {
    let rest = resources.len().saturating_sub(most);
    view! {
        <span class="chips">
            {resources
                .into_iter()
                .take(most)
                .map(|resource| {
                    let title = format!("{}:{}", resource.kind, resource.external_id);
                    let class = if resource.deleted { "chip chip-lost" } else { "chip" };
                    view! {
                        <span class=class title=title>
                            <span class="truncate">{resource.name}</span>
                            {resource.deleted.then_some(" (deleted)")}
                        </span>
                    }
                })
                .collect_view()}
            {(rest > 0).then(|| view! { <span class="chip">{format!("+{rest}")}</span> })}
        </span>
    }
}
