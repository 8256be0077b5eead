//! `keyfold resource create | list`: what keys can be tied to.

use keyfold_domain::key::MAX_PAGE;
use keyfold_domain::resource::{NewResource, ResourceDetail, ResourceFilter};
use keyfold_engine::{Engine, Error};
use serde::Serialize;

use crate::cli::key::place;
use crate::cli::output::columns;
use crate::cli::{CliError, Printer, beside, named, operator};
use crate::config::Config;
use crate::rest::ResourceBody;

/// Manage the resources that keys can be tied to
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Add a resource that belongs to a member of the workspace
    Create(Create),
    /// List the resources of a workspace by name
    List(List),
}

/// A resource to be added.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// The workspace's slug or id
    #[arg(long)]
    workspace: String,
    /// What sort of thing it is: one lower-case word, like collection, source, project or model
    #[arg(long)]
    kind: String,
    /// What the service that has it calls it
    #[arg(long)]
    id: String,
    /// What people call it; its id if left out
    #[arg(long, default_value = "")]
    name: String,
    /// The username of its owner: only this user's keys are tied to it
    #[arg(long)]
    owner: String,
}

/// Which resources to list.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// The workspace's slug or id
    #[arg(long)]
    workspace: String,
    /// Only resources of this kind
    #[arg(long, default_value = "")]
    kind: String,
    /// Only resources of this user
    #[arg(long, value_name = "USERNAME")]
    owner: Option<String>,
    /// Only resources with this in their name or id
    #[arg(long, default_value = "")]
    search: String,
}

pub(crate) async fn run(command: Command, config: &Config, printer: &Printer) -> Result<(), CliError> {
    let work = async |engine: &Engine| match command {
        Command::Create(new) => create(new, engine, printer).await,
        Command::List(wanted) => list(wanted, engine, printer).await,
    };
    beside(config, printer, work).await
}

async fn create(new: Create, engine: &Engine, printer: &Printer) -> Result<(), CliError> {
    let workspace = place(engine, &new.workspace).await?;
    let owner = named("user", &new.owner, engine.users.find_by_username(&operator(), &new.owner).await)?;
    let wanted = NewResource { kind: new.kind, external_id: new.id, name: new.name, owner: Some(owner.id) };
    let made = engine.resources.create(&operator(), &workspace, wanted).await?;
    let words = format!("Added {}:{} \"{}\" ({}), owned by {}.", made.kind, made.external_id, made.name, made.id, made.owner.username);
    printer.data(&ResourceBody::from(made), &words)
}

async fn list(wanted: List, engine: &Engine, printer: &Printer) -> Result<(), CliError> {
    let resources = all(wanted, engine).await?;
    let heads = ["ID", "RESOURCE", "OWNER", "KEYS", "NAME"].map(str::to_owned);
    let row = |resource: &ResourceDetail| {
        let name = format!("{}:{}", resource.kind, resource.external_id);
        [resource.id.to_string(), name, resource.owner.username.clone(), resource.keys.to_string(), resource.name.clone()]
    };
    let rows: Vec<_> = std::iter::once(heads).chain(resources.iter().map(row)).collect();
    let words = columns(&rows);
    let data: Vec<ResourceBody> = resources.into_iter().map(ResourceBody::from).collect();
    printer.data(&Listed { data }, &words)
}

async fn all(wanted: List, engine: &Engine) -> Result<Vec<ResourceDetail>, Error> {
    let workspace = place(engine, &wanted.workspace).await?;
    let owner = match &wanted.owner {
        Some(name) => Some(named("user", name, engine.users.find_by_username(&operator(), name).await)?.id),
        None => None,
    };
    let mut filter = ResourceFilter { search: wanted.search, kind: wanted.kind, owner, cursor: None, limit: MAX_PAGE };
    let mut resources = Vec::new();
    loop {
        let page = engine.resources.list(&operator(), &workspace, &filter).await?;
        resources.extend(page.items);
        match page.next {
            Some(next) => filter.cursor = Some(next),
            None => return Ok(resources),
        }
    }
}

#[derive(Serialize)]
struct Listed {
    data: Vec<ResourceBody>,
}
