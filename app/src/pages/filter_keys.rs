//! Filter: what the list of keys shall be narrowed to. A form whose fields become the list's address. Below its address
//! is the choice of columns, so that both share a route.

use keyfold_domain::key::{KeyFilter, StateFilter};
use keyfold_domain::resource::ResourceDetail;
use keyfold_domain::scope::KeyKind;
use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::columns::ColumnsDialog;
use super::keys::{KeysPageContext, state_title};
use super::not_found::{Forward, Trouble};
use super::place::open_part;
use crate::components::{Dialog, DialogFoot, Icon, QueryForm};
use crate::functions::key_filters::{KeyFilterView, get_key_filters};
use crate::key_query;

/// The dialog over the list that the address names.
#[component]
pub(crate) fn OverKeysDialog() -> impl IntoView {
    let part = open_part(0);
    let page = expect_context::<KeysPageContext>();
    move || match part.get().as_str() {
        "" => view! { <FilterKeysDialog /> }.into_any(),
        "columns" => view! { <ColumnsDialog /> }.into_any(),
        // There is nothing else there; the list is.
        _ => view! { <Forward path=page.list.get_untracked() /> }.into_any(),
    }
}

#[component]
fn FilterKeysDialog() -> impl IntoView {
    let page = expect_context::<KeysPageContext>();
    let view = Resource::new_blocking(move || page.workspace.get(), get_key_filters);
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match view.await {
                    Ok(view) => view! { <Choices view page /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Suspense>
    }
    .into_any()
}

/// One choice of a select: its value in the address, and what people read.
type Choice = (String, String);

/// A labelled select. The first choice, with an empty value, narrows nothing.
#[component]
fn Pick(label: &'static str, name: &'static str, any: &'static str, chosen: String, choices: Vec<Choice>) -> impl IntoView {
    let id = format!("only-{name}");
    // What the address asks for stays chosen although it is not on offer.
    let unknown = (!chosen.is_empty() && choices.iter().all(|(value, _)| *value != chosen)).then(|| (chosen.clone(), chosen.clone()));
    let all = [(String::new(), any.to_owned())].into_iter().chain(unknown).chain(choices);
    view! {
        <div class="field">
            <label class="field-label" for=id.clone()>
                {label}
            </label>
            <span class="select">
                <select class="control" id=id name=name autofocus=name == "state">
                    {all
                    .map(|(value, title)| {
                        view! {
                            <option value=value.clone() selected=value == chosen>
                                {title}
                            </option>
                        }
                    })
                    .collect_view()}
                </select>
                <Icon name="chevron-down" />
            </span>
        </div>
    }
}

fn choice(value: impl ToString, title: impl ToString) -> Choice {
    (value.to_string(), title.to_string())
}

#[component]
fn Choices(view: KeyFilterView, page: KeysPageContext) -> impl IntoView {
    let filter = use_query_map().with_untracked(key_query::filter);
    let chosen = key_query::parts(&filter);
    let chosen = |name: &str| chosen.iter().find(|(part, _)| *part == name).map(|(_, value)| value.clone()).unwrap_or_default();
    let base = format!("/w/{}/keys", view.workspace.slug);
    let reset = format!("{base}{}", key_query::query(&KeyFilter { search: filter.search.clone(), ..KeyFilter::default() }));
    let states = StateFilter::ALL.into_iter().filter(|state| *state != StateFilter::Live);
    let states = states.map(|state| choice(state.as_str(), state_title(state))).collect::<Vec<_>>();
    let kinds = KeyKind::ALL.map(|kind| choice(kind.as_str(), super::new_key_fields::kind_words(kind).0)).to_vec();
    let scopes = view.catalogue.iter().map(|scope| choice(&scope.name, &scope.name)).collect::<Vec<_>>();
    let owners = view.owners.into_iter().map(|owner| choice(owner.id, format!("{} ({})", owner.display_name, owner.username)));
    let owners = owners.collect::<Vec<_>>();
    // An address may name it either way.
    let tied = chosen("resource");
    let is_tied =
        |resource: &&ResourceDetail| resource.id.as_str() == tied || format!("{}:{}", resource.kind, resource.external_id) == tied;
    let tied = view.resources.iter().find(is_tied).map_or_else(|| tied.clone(), |resource| resource.id.to_string());
    let resources = view.resources.into_iter().map(|resource| choice(resource.id, resource.name)).collect::<Vec<_>>();
    let idle = [choice(key_query::NEVER, "Never used")].into_iter();
    let idle = idle.chain([30, 60, 90, 180].map(|days| choice(days, format!("Not for {days} days")))).collect::<Vec<_>>();
    let expiring = [7, 14, 30, 90].map(|days| choice(days, format!("Within {days} days"))).to_vec();
    let mut picks = vec![
        view! { <Pick label="Status" name="state" any="Current" chosen=chosen("state") choices=states /> },
        view! { <Pick label="Kind" name="kind" any="Any kind" chosen=chosen("kind") choices=kinds /> },
        view! { <Pick label="Scope" name="scope" any="Any scope" chosen=chosen("scope") choices=scopes /> },
        view! { <Pick label="Resource" name="resource" any="Tied or not" chosen=tied choices=resources /> },
        view! { <Pick label="Used" name="idle" any="Whenever" chosen=chosen("idle") choices=idle /> },
        view! { <Pick label="Expires" name="expiring" any="Whenever" chosen=chosen("expiring") choices=expiring /> },
    ];
    if !owners.is_empty() {
        picks.push(view! { <Pick label="Owner" name="owner" any="Everybody" chosen=chosen("owner") choices=owners /> });
    }
    let sort = chosen("sort");
    let intro = view! { <p>"Only keys to which all of this applies are listed. The address holds it, to be kept or sent on."</p> };
    view! {
        <Dialog title="Filter keys" intro=intro.into_any() leave=page.list narrow=true>
            <QueryForm action=base>
                <div class="dialog-body">
                    {(!filter.search.is_empty()).then(|| view! { <input type="hidden" name="q" value=filter.search.clone() /> })}
                    <div class="columns">{picks}</div>
                    <input type="hidden" name="sort" value=sort />
                </div>
                <DialogFoot>
                    <a class="button button-quiet wide-only" href=move || page.dialog("filter/columns") data-noscroll="">
                        "Columns"
                    </a>
                    <span class="grow"></span>
                    <a class="button" href=reset data-noscroll="">
                        "Reset"
                    </a>
                    <button class="button button-primary">"Show keys"</button>
                </DialogFoot>
            </QueryForm>
        </Dialog>
    }
}
