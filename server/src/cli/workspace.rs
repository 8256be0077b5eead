//! `keyfold workspace create`: workspaces, made by the operator.

use keyfold_domain::workspace::{NewWorkspace, WorkspaceSummary};
use keyfold_engine::{Engine, Error};
use serde::Serialize;

use crate::cli::{CliError, Printer, beside, named, operator};
use crate::config::Config;

/// Manage workspaces
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a workspace that belongs to a user
    Create(Create),
}

/// A workspace to be made.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Its short name in addresses: 2 to 40 lower-case letters, digits and hyphens
    #[arg(long)]
    slug: String,
    /// Its name
    #[arg(long)]
    name: String,
    /// The username of its owner
    #[arg(long)]
    owner: String,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    slug: String,
    name: String,
    owner: String,
}

async fn create(engine: &Engine, Create { slug, name, owner }: Create) -> Result<WorkspaceSummary, Error> {
    let owner = named("user", &owner, engine.users.find_by_username(&operator(), &owner).await)?;
    engine.workspaces.create(&operator(), NewWorkspace { slug, name }, &owner.id).await
}

pub(crate) async fn run(command: Command, config: &Config, printer: &Printer) -> Result<(), CliError> {
    let Command::Create(new) = command;
    let owner = new.owner.clone();
    let workspace = beside(config, printer, async |engine| Ok(create(engine, new).await?)).await?;
    let words = format!("Created workspace {} ({}), owned by {owner}.", workspace.slug, workspace.id);
    let shown = Shown { id: workspace.id.to_string(), slug: workspace.slug, name: workspace.name, owner };
    printer.data(&shown, &words)
}
