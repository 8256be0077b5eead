//! Find: pages, workspaces and keys by a part of their name. With script the same is shown over any page, by Ctrl+K:
//! `frontend/scripts/palette.js` takes what was found from here.

use leptos::prelude::*;
use leptos_router::hooks::use_query_map;

use super::not_found::Trouble;
use crate::components::{Icon, PAGE_TITLE, QueryForm, Title};
use crate::format;
use crate::functions::find::{FindView, Found, find};

#[component]
pub(crate) fn FindPage() -> impl IntoView {
    let query = use_query_map();
    let asked = |name: &'static str| Memo::new(move |_| query.with(|query| query.get(name)).unwrap_or_default());
    let (text, here) = (asked("q"), asked("in"));
    let found = Resource::new_blocking(move || (text.get(), here.get()), |(text, here)| find(text, here));
    view! {
        <Title text="Find · Keyfold" />
        <main class="page page-narrow" id="main" tabindex="-1">
            <div class="page-head">
                <div>
                    <h1 id=PAGE_TITLE tabindex="-1">
                        "Find"
                    </h1>
                    <p>"Pages, workspaces and keys, by a part of their name. A key also by its id or its last characters."</p>
                </div>
            </div>
            <search class="find-form">
                <QueryForm action="/account/find".to_owned()>
                    <input type="hidden" name="in" value=here />
                    <label class="visually-hidden" for="find-text">
                        "Find"
                    </label>
                    <input class="control" id="find-text" name="q" type="search" maxlength="100" value=text />
                    <button class="button">"Find"</button>
                </QueryForm>
            </search>
            <Transition>
                {move || Suspend::new(async move {
                    match found.await {
                        Ok(view) => view! { <div class="panel"><All view text=text.get_untracked() /></div> }.into_any(),
                        Err(fault) => view! { <Trouble fault /> }.into_any(),
                    }
                })}
            </Transition>
        </main>
    }
    .into_any()
}

#[component]
fn All(view: FindView, text: String) -> impl IntoView {
    let FindView { keys, workspaces, pages } = view;
    let count = keys.len() + workspaces.len() + pages.len();
    let said = match count {
        0 => format!("Nothing is called “{text}”."),
        count => format!("{} found.", format::counted(i64::try_from(count).unwrap_or_default(), "result")),
    };
    let group = |title: &'static str, icon: &'static str, found: Vec<Found>| {
        (!found.is_empty()).then(|| {
            let rows = found.into_iter().map(|found| {
                view! {
                    <li>
                        <a class="found" href=found.href>
                            <Icon name=icon />
                            <span class="found-title truncate">{found.title}</span>
                            <span class="found-note truncate">{found.note}</span>
                        </a>
                    </li>
                }
            });
            view! {
                <section class="found-group">
                    <h2>{title}</h2>
                    <ul>{rows.collect_view()}</ul>
                </section>
            }
        })
    };
    let none = (count == 0).then(|| view! { <p class="found-none">{said.clone()}</p> });
    view! {
        <div id="found" data-said=said>
            {none} {group("Keys", "key-round", keys)}
            {group("Workspaces", "server", workspaces)} {group("Pages", "arrow-right", pages)}
        </div>
    }
}
