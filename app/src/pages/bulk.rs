//! An act on many keys: what it would touch, one more question, and what became of each. Of one workspace or, for
//! administrators of the instance, of all.

use keyfold_domain::bulk::{BulkAct, BulkOutcome, BulkResult, BulkState};
use leptos::prelude::*;
use leptos_router::hooks::{use_navigate, use_query_map};

use super::not_found::Trouble;
use crate::components::{FaultNotice, Field, Icon, Notice, PAGE_TITLE, SendForm, Sending, SubmitButton, Title, Tone, describe};
use crate::format;
use crate::functions::bulk::{BulkProgress, BulkView, Chosen, RunBulk, get_bulk, preview_bulk};
use crate::functions::fault::Fault;

/// How soon an act that goes on is asked for again.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// The page of an act: before it with an empty `id`, after it with the act's own.
#[component]
pub(crate) fn BulkPage(
    /// The workspace's short name; empty for all of them.
    workspace: Signal<String>,
    /// The act's id; empty before it is done.
    id: Memo<String>,
) -> impl IntoView {
    let list = Signal::derive(move || match workspace.get().as_str() {
        "" => "/system/keys".to_owned(),
        slug => format!("/w/{slug}/keys"),
    });
    view! {
        <main class="page page-narrow" id="main" tabindex="-1">
            <nav class="crumbs" aria-label="Way back">
                <a href=list>
                    <Icon name="arrow-left" />
                    "API keys"
                </a>
            </nav>
            {move || {
                if id.with(String::is_empty) {
                    view! { <Before workspace list /> }.into_any()
                } else {
                    view! { <After workspace id list /> }.into_any()
                }
            }}
        </main>
    }
    .into_any()
}

const fn verbs(act: BulkAct) -> (&'static str, &'static str) {
    match act {
        BulkAct::Deactivate => ("Deactivate", "deactivated"),
        BulkAct::Delete => ("Delete", "deleted"),
    }
}

#[component]
fn Before(workspace: Signal<String>, list: Signal<String>) -> impl IntoView {
    let query = use_query_map();
    let asked = Memo::new(move |_| {
        query.with(|query| {
            let text = |name: &str| query.get(name).unwrap_or_default();
            let ids = query.get_all("ids").unwrap_or_default();
            let chosen = Chosen { workspace: workspace.get(), ids, list: text("list"), user: text("user") };
            (BulkAct::from_name(&text("act")).unwrap_or(BulkAct::Deactivate), chosen)
        })
    });
    let view = Resource::new_blocking(move || asked.get(), |(act, chosen)| preview_bulk(act, chosen));
    view! {
        <Suspense>
            {move || Suspend::new(async move {
                match view.await {
                    Ok(view) => view! { <Ask view chosen=asked.get_untracked().1 list /> }.into_any(),
                    Err(fault) => view! { <Refused fault list /> }.into_any(),
                }
            })}
        </Suspense>
    }
}

/// Something is wrong with the choice, and not with the page.
#[component]
fn Refused(fault: Fault, list: Signal<String>) -> impl IntoView {
    if fault.problem.status() != 400 {
        return view! { <Trouble fault /> }.into_any();
    }
    view! {
        <Notice tone=Tone::Warn>{fault.problem.message}</Notice>
        <p>
            <a class="button" href=list>
                "Back to the list"
            </a>
        </p>
    }
    .into_any()
}

#[component]
fn Ask(view: BulkView, chosen: Chosen, list: Signal<String>) -> impl IntoView {
    let action = Sending::to::<RunBulk>();
    let navigate = use_navigate();
    Effect::new(move || {
        if let Some(address) = action.text() {
            navigate(&address, leptos_router::NavigateOptions::default());
        }
    });
    let BulkView { preview, place } = view;
    let (verb, _) = verbs(preview.act);
    let count = preview.chosen;
    let title = format!("{verb} {}?", format::counted(count, "key"));
    let all = chosen.ids.is_empty();
    let deletes = preview.act == BulkAct::Delete;
    let fault = action.fault();
    let error = Signal::derive(move || fault.with(|fault| describe(fault.as_ref(), "confirmation")));
    let rest = usize::try_from(count).unwrap_or_default().saturating_sub(preview.names.len());
    let whose = place.unwrap_or_else(|| "all workspaces".to_owned());
    view! {
        <Title text=format!("{title} · Keyfold") />
        <div class="page-head">
            <div>
                <h1 id=PAGE_TITLE tabindex="-1">
                    {title}
                </h1>
                <p>
                    {if all { "You ticked none: this is about all that match the list as it was filtered, in " } else { "The keys that you ticked, in " }}
                    <span class="break">{whose}</span> "."
                </p>
            </div>
        </div>
        <SendForm to=action>
            <div class="panel stack bulk">
                <FaultNotice fault fields=&["confirmation"] />
                <Impact in_use=preview.in_use untouched=preview.untouched deletes />
                <ul class="bulk-names">
                    {preview.names.into_iter().map(|name| view! { <li class="break">{name}</li> }).collect_view()}
                    {(rest > 0).then(|| view! { <li class="soft">{format!("and {} more", format::number(i64::try_from(rest).unwrap_or_default()))}</li> })}
                </ul>
                <input type="hidden" name="act" value=preview.act.as_str() />
                <input type="hidden" name="chosen[workspace]" value=chosen.workspace />
                <input type="hidden" name="chosen[list]" value=chosen.list />
                <input type="hidden" name="chosen[user]" value=chosen.user />
                <input type="hidden" name="expected" value=count.to_string() />
                {chosen.ids.into_iter().map(|id| view! { <input type="hidden" name="chosen[ids][]" value=id /> }).collect_view()}
                {(deletes && count > 0)
                    .then(|| {
                        view! {
                            <p class="confirmation-text">"Type " <strong>{count.to_string()}</strong> " to confirm."</p>
                            <Field name="confirmation" label="Number of keys" required=true autocomplete="off" error />
                        }
                    })}
                <div class="row">
                    {(count > 0).then(|| view! { <SubmitButton label=verb pending=action.pending class="button button-danger" /> })}
                    <a class="button" href=list>
                        {if deletes { "Keep the keys" } else { "Cancel" }}
                    </a>
                </div>
            </div>
        </SendForm>
    }
}

#[component]
fn Impact(in_use: i64, untouched: i64, deletes: bool) -> impl IntoView {
    let end = if deletes { "This cannot be undone." } else { "An administrator can activate them again." };
    view! {
        {if in_use > 0 {
            view! {
                <Notice tone=Tone::Warn>
                    <strong>{format!("{} in use.", format::number(in_use))}</strong>
                    " Used in the last 7 days. Whatever uses them is refused from the next call on. "
                    {end}
                </Notice>
            }
                .into_any()
        } else {
            view! { <p>"None of them was used in the last 7 days. " {end}</p> }.into_any()
        }}
        {(untouched > 0)
            .then(|| {
                view! { <p class="soft">{format!("{} will stay as they are: done already, or not yours to change.", format::number(untouched))}</p> }
            })}
    }
}

#[component]
fn After(workspace: Signal<String>, id: Memo<String>, list: Signal<String>) -> impl IntoView {
    let query = use_query_map();
    let after = Memo::new(move |_| query.with(|query| query.get("after")).and_then(|text| text.parse().ok()).unwrap_or(0i64));
    let looks = RwSignal::new(0u32);
    let progress = Resource::new_blocking(
        move || (workspace.get(), id.get(), after.get(), looks.get()),
        |(workspace, id, after, _)| async move {
            match id.parse() {
                Ok(id) => get_bulk(workspace, id, after).await,
                Err(_) => Err(super::key::absent()),
            }
        },
    );
    Effect::new(move || {
        if let Some(Ok(progress)) = progress.get()
            && progress.report.state == BulkState::Running
        {
            // The page may be left by then.
            set_timeout(move || looks.try_update(|looks| *looks += 1).unwrap_or_default(), AGAIN);
        }
    });
    view! {
        <Transition>
            {move || Suspend::new(async move {
                match progress.await {
                    Ok(progress) => view! { <Results progress list /> }.into_any(),
                    Err(fault) => view! { <Trouble fault /> }.into_any(),
                }
            })}
        </Transition>
    }
}

#[component]
fn Results(progress: BulkProgress, list: Signal<String>) -> impl IntoView {
    let report = progress.report;
    let (_, done) = verbs(report.act);
    let looked_at = report.looked_at();
    let title = match report.state {
        BulkState::Running => format!("{} of {} so far", format::number(looked_at), format::counted(report.expected, "key")),
        BulkState::Finished | BulkState::Stopped => format!("{} {done}", format::counted(report.done, "key")),
    };
    let counts = [("kept as they were", report.skipped), ("failed", report.failed)];
    let counts = counts.into_iter().filter(|(_, count)| *count > 0).map(|(word, count)| format!("{} {word}", format::number(count)));
    let counts = counts.collect::<Vec<_>>().join(", ");
    let running = report.state == BulkState::Running;
    let next = report.next.map(|after| format!("?after={after}"));
    view! {
        <Title text=format!("{title} · Keyfold") />
        <div class="page-head">
            <div>
                <h1 id=PAGE_TITLE tabindex="-1" aria-live="polite">
                    {title}
                </h1>
                {(!counts.is_empty()).then(|| view! { <p>{counts}</p> })}
            </div>
        </div>
        <div class="stack">
            {report.why.map(|why| view! { <Notice tone=Tone::Warn>{why}</Notice> })}
            {running
                .then(|| {
                    view! {
                        <progress class="bulk-progress" max=report.expected.to_string() value=looked_at.to_string() aria-label="Keys looked at"></progress>
                        <p class="soft">"It goes on if you leave this page. " <a href="">"Look again"</a></p>
                    }
                })}
            <ResultTable results=report.results />
            <div class="row">
                <a class="button" href=list>
                    "Back to the list"
                </a>
                {next
                    .map(|href| {
                        view! {
                            <a class="button" href=href>
                                "More results"
                            </a>
                        }
                    })}
            </div>
        </div>
    }
}

#[component]
fn ResultTable(results: Vec<BulkResult>) -> impl IntoView {
    let row = |result: BulkResult| {
        let (class, icon, word) = match result.outcome {
            BulkOutcome::Done => ("status status-good", "circle-check", "Done"),
            BulkOutcome::Skipped => ("status", "circle-pause", "Kept"),
            BulkOutcome::Failed => ("status status-bad", "circle-x", "Failed"),
        };
        let name = if result.name.is_empty() { "Unnamed key".to_owned() } else { result.name };
        view! {
            <tr>
                <th scope="row">
                    <span class="key-name">{name}</span>
                </th>
                <td data-label="Result">
                    <span class=class>
                        <Icon name=icon />
                        {word}
                    </span>
                </td>
                <td data-label="Why" class="bulk-why">
                    {result.why}
                </td>
            </tr>
        }
    };
    (!results.is_empty()).then(|| {
        view! {
            <div class="keys panel">
                <table>
                    <caption>"What became of each key"</caption>
                    <thead>
                        <tr>
                            <th scope="col">"Key"</th>
                            <th scope="col">"Result"</th>
                            <th scope="col">"Why"</th>
                        </tr>
                    </thead>
                    <tbody>{results.into_iter().map(row).collect_view()}</tbody>
                </table>
            </div>
        }
    })
}
