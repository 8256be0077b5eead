//! `keyfold key create | list | rotate | deactivate | delete`: keys, for the operator and for scripts on the server.

use keyfold_domain::addresses::AddressRange;
use keyfold_domain::ids::{KeyId, WorkspaceId};
use keyfold_domain::key::{InactiveReason, KeyFilter, KeyState, KeySummary, MAX_PAGE, StateFilter};
use keyfold_domain::limits::Limit;
use keyfold_domain::resource::ResourceName;
use keyfold_domain::scope::{KeyKind, ScopeName};
use keyfold_domain::secret::{Grace, Rotation};
use keyfold_engine::{Engine, Error};
use serde::Serialize;

use crate::cli::output::columns;
use crate::cli::{CliError, Printer, beside, named, operator};
use crate::config::Config;
use crate::rest::{KeyBody, RotatedKeyBody};

mod create;

use create::Lifetime;

/// Manage API keys
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Make a key and print its secret, alone, on standard output
    Create(Create),
    /// List the keys of a workspace, newest first; never their secrets
    List(List),
    /// Give a key a new secret and print it, alone, on standard output
    Rotate(Rotate),
    /// Stop a key; an administrator can activate it again
    Deactivate(Deactivate),
    /// End a key for good
    Delete(Delete),
}

/// A key to be made.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("access").required(true).args(["full_access", "scope"])))]
pub(crate) struct Create {
    /// The workspace's slug or id
    #[arg(long)]
    workspace: String,
    /// The username of the key's owner
    #[arg(long)]
    owner: String,
    /// What people call it
    #[arg(long, default_value = "")]
    name: String,
    /// Everything its owner may do: a management key with every scope
    #[arg(long)]
    full_access: bool,
    /// A scope it shall hold; give it again for more
    #[arg(long)]
    scope: Vec<ScopeName>,
    /// A resource of its owner it shall be tied to, as kind:id; give it again for more
    #[arg(long, value_name = "KIND:ID")]
    resource: Vec<ResourceName>,
    /// Tie it also to resources that are not its owner's
    #[arg(long)]
    override_owner: bool,
    /// secret, publishable or management; left out, management if a scope asks for it, else secret
    #[arg(long, value_parser = kind)]
    kind: Option<KeyKind>,
    /// How long it lives, like "30 days", or "never"; the workspace's default if left out
    #[arg(long, value_name = "DURATION")]
    expires_in: Option<Lifetime>,
    /// It goes dormant when unused for that many days; the workspace's default if left out
    #[arg(long, value_name = "DAYS")]
    inactivity_days: Option<u32>,
    /// A note for people
    #[arg(long, default_value = "")]
    note: String,
    /// An address or a range in CIDR notation from which it may be used; give it again for more. Left out: from anywhere
    #[arg(long, value_name = "CIDR")]
    allow_ip: Vec<AddressRange>,
    /// How often it may be used, as name=NUMBER/SECONDS (burst=100/60), name=NUMBER/day, name=NUMBER/month or
    /// name=NUMBER/rolling:SECONDS; give it again for more
    #[arg(long, value_name = "LIMIT", value_parser = create::limit)]
    limit: Vec<Limit>,
}

/// Which keys to list.
#[derive(Debug, clap::Args)]
pub(crate) struct List {
    /// The workspace's slug or id
    #[arg(long)]
    workspace: String,
    /// live, active, inactive, deleted or all
    #[arg(long, default_value = "live", value_parser = state)]
    state: StateFilter,
    /// Only keys of this user
    #[arg(long, value_name = "USERNAME")]
    owner: Option<String>,
    /// Only keys with this in their name, id or the end of their secret
    #[arg(long, default_value = "")]
    search: String,
    /// Only keys that hold this scope
    #[arg(long)]
    scope: Option<ScopeName>,
    /// Only keys of this kind: secret, publishable or management
    #[arg(long, value_parser = kind)]
    kind: Option<KeyKind>,
    /// Only keys that end within so many days
    #[arg(long, value_name = "DAYS")]
    expiring: Option<u32>,
    /// Only keys that nobody ever used
    #[arg(long)]
    never_used: bool,
    /// Only keys not used for so many days
    #[arg(long, value_name = "DAYS")]
    idle: Option<u32>,
}

/// A key to be rotated.
#[derive(Debug, clap::Args)]
pub(crate) struct Rotate {
    /// The workspace's slug or id
    #[arg(long)]
    workspace: String,
    /// How long the present secret goes on working: now, 1h, 24h or 7d
    #[arg(long, default_value = Grace::default().as_str(), value_parser = grace)]
    grace: Grace,
    /// The key's id
    key: KeyId,
}

/// A key to be stopped.
#[derive(Debug, clap::Args)]
pub(crate) struct Deactivate {
    /// The workspace's slug or id
    #[arg(long)]
    workspace: String,
    /// Why; shown beside the key
    #[arg(long, default_value = "")]
    reason: String,
    /// The key's id
    key: KeyId,
}

/// A key to be deleted.
#[derive(Debug, clap::Args)]
pub(crate) struct Delete {
    /// The workspace's slug or id
    #[arg(long)]
    workspace: String,
    /// The key's id
    key: KeyId,
}

fn kind(text: &str) -> Result<KeyKind, String> {
    KeyKind::from_name(text).ok_or_else(|| format!("choose one of {}", KeyKind::ALL.map(KeyKind::as_str).join(", ")))
}

fn grace(text: &str) -> Result<Grace, String> {
    Grace::from_name(text).ok_or_else(|| format!("choose one of {}", Grace::ALL.map(Grace::as_str).join(", ")))
}

fn state(text: &str) -> Result<StateFilter, String> {
    StateFilter::from_name(text).ok_or_else(|| format!("choose one of {}", StateFilter::ALL.map(StateFilter::as_str).join(", ")))
}

pub(crate) async fn run(command: Command, config: &Config, printer: &Printer) -> Result<(), CliError> {
    beside(config, printer, async |engine| dispatch(command, engine, printer).await).await
}

async fn dispatch(command: Command, engine: &Engine, printer: &Printer) -> Result<(), CliError> {
    match command {
        Command::Create(new) => create::run(new, engine, printer).await,
        Command::List(wanted) => list(wanted, engine, printer).await,
        Command::Rotate(wanted) => rotate(wanted, engine, printer).await,
        Command::Deactivate(Deactivate { workspace, reason, key }) => {
            let workspace = place(engine, &workspace).await?;
            let stopped = engine.keys.deactivate(&operator(), &workspace, &key, &reason).await;
            stop(named("key", key.as_str(), stopped)?, "Deactivated", printer)
        }
        Command::Delete(Delete { workspace, key }) => {
            let workspace = place(engine, &workspace).await?;
            let gone = engine.keys.delete(&operator(), &workspace, &key).await;
            stop(named("key", key.as_str(), gone)?, "Deleted", printer)
        }
    }
}

/// The workspace with that slug or id.
pub(super) async fn place(engine: &Engine, workspace: &str) -> Result<WorkspaceId, Error> {
    Ok(named("workspace", workspace, engine.workspaces.get(&operator(), workspace).await)?.id)
}

fn stop(key: KeySummary, done: &str, printer: &Printer) -> Result<(), CliError> {
    let words = format!("{done} {}.", called(&key));
    printer.data(&KeyBody::from(key), &words)
}

async fn rotate(wanted: Rotate, engine: &Engine, printer: &Printer) -> Result<(), CliError> {
    let workspace = place(engine, &wanted.workspace).await?;
    let rotation = Rotation { grace: wanted.grace, version: None };
    let rotated = engine.keys.rotate(&operator(), &workspace, &wanted.key, rotation, None).await;
    let rotated = named("key", wanted.key.as_str(), rotated)?;
    let until = match wanted.grace {
        Grace::Now => "The old one works no more",
        Grace::Hour => "The old one works for another hour",
        Grace::Day => "The old one works for another 24 hours",
        Grace::Week => "The old one works for another 7 days",
    };
    printer.note(&format!("Rotated {}. {until}. Store the new secret now: it is not shown again.", called(&rotated.issued.key)));
    if rotated.expiry_lowered {
        printer.note("Its end was brought down to what the workspace's rules allow now.");
    }
    let rotated = RotatedKeyBody::from(rotated);
    printer.secret(rotated.issued.secret(), &rotated)
}

/// A key as a person knows it.
fn called(key: &KeySummary) -> String {
    if key.name.is_empty() { format!("key {}", key.id) } else { format!("key \"{}\" ({})", key.name, key.id) }
}

async fn list(wanted: List, engine: &Engine, printer: &Printer) -> Result<(), CliError> {
    let workspace = place(engine, &wanted.workspace).await?;
    let owner = match &wanted.owner {
        Some(name) => Some(named("user", name, engine.users.find_by_username(&operator(), name).await)?.id),
        None => None,
    };
    let mut filter = KeyFilter {
        search: wanted.search,
        state: wanted.state,
        owner,
        scope: wanted.scope,
        kind: wanted.kind,
        expiring: wanted.expiring,
        never_used: wanted.never_used,
        idle: wanted.idle,
        limit: MAX_PAGE,
        ..KeyFilter::default()
    };
    let mut keys = Vec::new();
    loop {
        let page = engine.keys.list(&operator(), &workspace, &filter).await?;
        keys.extend(page.items);
        let Some(next) = page.next else { break };
        filter.cursor = Some(next);
    }
    let words = table(&keys);
    let data: Vec<KeyBody> = keys.into_iter().map(KeyBody::from).collect();
    printer.data(&Listed { data }, &words)
}

#[derive(Serialize)]
struct Listed {
    data: Vec<KeyBody>,
}

/// The keys as columns for a terminal.
fn table(keys: &[KeySummary]) -> String {
    let heads = ["ID", "STATE", "OWNER", "SECRET", "SCOPES", "CALLS", "NAME"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(heads).chain(keys.iter().map(row)).collect();
    columns(&rows)
}

fn row(key: &KeySummary) -> [String; 7] {
    let state = match key.state {
        KeyState::Active => "active",
        KeyState::Inactive(InactiveReason::Deactivated) => "deactivated",
        KeyState::Inactive(InactiveReason::Expired) => "expired",
        KeyState::Inactive(InactiveReason::Dormant) => "dormant",
        KeyState::Inactive(InactiveReason::OwnerDisabled) => "owner disabled",
        KeyState::Deleted => "deleted",
    };
    [
        key.id.to_string(),
        state.to_owned(),
        key.owner.username.clone(),
        key.hint.clone(),
        key.scopes.to_string(),
        key.total_calls.to_string(),
        key.name.clone(),
    ]
}
