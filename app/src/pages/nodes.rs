//! The servers on the database, for instance administrators: which run, and whether each acts on the newest changes.

use keyfold_domain::node::{NodeState, NodeSummary};
use keyfold_domain::time::Timestamp;
use leptos::prelude::*;

use super::not_found::Trouble;
use crate::components::{Icon, Moment, Notice, Precision, Title, Tone};
use crate::format;
use crate::functions::nodes::{NodesView, list_nodes};

#[component]
pub(super) fn NodesPage() -> impl IntoView {
    let nodes = Resource::new_blocking(|| (), |()| list_nodes());
    view! {
        <Title text="Nodes · Keyfold" />
        <main class="page" id="main" tabindex="-1">
            <Suspense>
                {move || Suspend::new(async move {
                    match nodes.await {
                        Ok(view) => view! { <Nodes view /> }.into_any(),
                        Err(fault) => view! { <Trouble fault /> }.into_any(),
                    }
                })}
            </Suspense>
        </main>
    }
    .into_any()
}

#[component]
fn Nodes(view: NodesView) -> impl IntoView {
    let now = view.now;
    let silent: Vec<String> =
        view.nodes.iter().filter(|node| node.state == NodeState::Silent).map(|node| format!("“{}”", node.name)).collect();
    let alone = view.nodes.len() == 1;
    let rows = view.nodes.into_iter().map(|node| view! { <NodeRow node now /> }).collect_view();
    view! {
        <div class="page-head">
            <div>
                <h1 id="page-title" tabindex="-1">
                    "Nodes"
                </h1>
                <p>
                    {if alone {
                        "One server runs on this database. A change is in force before it is confirmed."
                    } else {
                        "The servers that run on this database. A change is in force on the one that confirms it, and on the others a moment later."
                    }}
                </p>
            </div>
        </div>
        {(!silent.is_empty())
            .then(|| {
                view! {
                    <div class="done">
                        <Notice tone=Tone::Warn quiet=true>
                            {format::listed(&silent)}
                            " has not been heard of for too long: it was killed, hangs, or cannot reach the database. What is cut off lets nobody through, unless a workspace asked for it."
                        </Notice>
                    </div>
                }
            })}
        <div class="panel keys people">
            <table role="table">
                <caption>"Servers on this database, by name"</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th scope="col" role="columnheader">
                            "Node"
                        </th>
                        <th scope="col" role="columnheader">
                            "Status"
                        </th>
                        <th scope="col" role="columnheader">
                            "Changes"
                        </th>
                        <th scope="col" role="columnheader">
                            "Version"
                        </th>
                        <th scope="col" role="columnheader">
                            "Started"
                        </th>
                        <th scope="col" role="columnheader">
                            "Last heard of"
                        </th>
                    </tr>
                </thead>
                <tbody role="rowgroup">{rows}</tbody>
            </table>
        </div>
    }
}

#[component]
fn NodeRow(node: NodeSummary, now: Timestamp) -> impl IntoView {
    let (class, icon, word) = match node.state {
        NodeState::Live => ("status status-good", "circle-check", "Live"),
        NodeState::Silent => ("status status-warn", "triangle-alert", "Silent"),
    };
    let changes = if node.behind == 0 { "Up to date".to_owned() } else { format!("{} behind", format::number(node.behind)) };
    view! {
        <tr role="row">
            <th scope="row" role="rowheader">
                <span class="key-name" title=node.name.clone()>
                    {node.name.clone()}
                </span>
                {node.answering.then(|| view! { <span class="person-reach">"Answers this page"</span> })}
            </th>
            <td role="cell" class="col-status" data-label="Status">
                <span class=class>
                    <Icon name=icon />
                    {word}
                </span>
            </td>
            <td role="cell" data-label="Changes">
                {changes}
            </td>
            <td role="cell" data-label="Version">
                {node.version}
            </td>
            <td role="cell" data-label="Started">
                <Moment at=node.started_at precision=Precision::Distance(now) />
            </td>
            <td role="cell" data-label="Last heard of">
                <Moment at=node.last_seen_at precision=Precision::Distance(now) />
            </td>
        </tr>
    }
}
