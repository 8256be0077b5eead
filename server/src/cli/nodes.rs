//! `keyfold nodes`: the servers that run on the database, and how far each is.

use keyfold_domain::node::NodeSummary;
use serde::Serialize;

use crate::cli::output::columns;
use crate::cli::{CliError, Printer, beside, operator};
use crate::config::Config;
use crate::rest::NodeBody;
use crate::rest::moments::Moment;

/// List the servers that run on the database, and how far each is with the changes there
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

#[derive(Serialize)]
struct Listed {
    data: Vec<NodeBody>,
}

pub(crate) async fn run(_: Args, config: &Config, printer: &Printer) -> Result<(), CliError> {
    let nodes = beside(config, printer, async |engine| Ok(engine.nodes.list(&operator()).await?)).await?;
    let words = if nodes.is_empty() { "No server runs on this database.".to_owned() } else { table(&nodes) };
    printer.data(&Listed { data: nodes.into_iter().map(NodeBody::from).collect() }, &words)
}

fn table(nodes: &[NodeSummary]) -> String {
    let head = ["NAME", "STATE", "REVISION", "BEHIND", "VERSION", "STARTED", "LAST SEEN"].map(str::to_owned);
    let rows = nodes.iter().map(|node| {
        [
            node.name.clone(),
            node.state.as_str().to_owned(),
            node.revision.to_string(),
            node.behind.to_string(),
            node.version.clone(),
            Moment(node.started_at).to_string(),
            Moment(node.last_seen_at).to_string(),
        ]
    });
    columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}
