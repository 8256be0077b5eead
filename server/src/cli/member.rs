//! `keyfold member add`: who belongs to a workspace.

use keyfold_domain::workspace::Role;
use keyfold_engine::{Engine, Error};
use serde::Serialize;

use crate::cli::{CliError, Printer, beside, named, operator};
use crate::config::Config;

/// Manage members of workspaces
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Let a user into a workspace, or change their role in it
    Add(Add),
}

/// A membership to be made.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Add {
    /// The workspace's slug or id
    #[arg(long)]
    workspace: String,
    /// The username
    #[arg(long)]
    user: String,
    /// What they shall be: viewer, member, admin or owner
    #[arg(long, value_parser = role)]
    role: Role,
}

fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| format!("choose one of {}", Role::ALL.map(Role::as_str).join(", ")))
}

#[derive(Serialize)]
struct Shown {
    workspace: String,
    user: String,
    role: Role,
}

async fn add(engine: &Engine, new: &Add) -> Result<(), Error> {
    let workspace = named("workspace", &new.workspace, engine.workspaces.get(&operator(), &new.workspace).await)?;
    let user = named("user", &new.user, engine.users.find_by_username(&operator(), &new.user).await)?;
    engine.members.add(&operator(), &workspace.id, &user.id, new.role).await
}

pub(crate) async fn run(command: Command, config: &Config, printer: &Printer) -> Result<(), CliError> {
    let Command::Add(new) = command;
    beside(config, printer, async |engine| Ok(add(engine, &new).await?)).await?;
    let words = format!("{} is now {} of workspace {}.", new.user, new.role.as_str(), new.workspace);
    printer.data(&Shown { workspace: new.workspace, user: new.user, role: new.role }, &words)
}
