//! `keyfold user create|list|disable|enable|reset-link`: people, as the operator manages them.

use keyfold_domain::ids::UserId;
use keyfold_domain::key::MAX_PAGE;
use keyfold_domain::user::{PeopleFilter, UserDetail, UserSummary};
use keyfold_engine::{Engine, Error, NewUser};
use serde::Serialize;

use crate::cli::output::columns;
use crate::cli::{CliError, Printer, beside, named, operator, stdin_password};
use crate::config::Config;
use crate::rest::moments::Moment;

/// Manage users
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Add a person who can sign in
    Create(Create),
    /// List people
    List(List),
    /// Shut a person out: their sessions end and their keys stop at once
    Disable(Named),
    /// Let a disabled person in again
    Enable(Named),
    /// Print a link with which a person chooses a new password, once within a day
    ResetLink(Named),
}

/// Which people to list.
#[derive(Debug, clap::Args)]
pub(super) struct List {
    /// Only people with this in their username, name or e-mail address
    #[arg(long, default_value = "")]
    search: String,
}

/// A person.
#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// The username
    username: String,
}

/// A person to be added.
#[derive(Debug, clap::Args)]
pub(super) struct Create {
    /// Where to reach them
    #[arg(long)]
    email: String,
    /// Unique; letters, digits and . _ - @ +
    #[arg(long)]
    username: String,
    /// As they want to be called; the username if left out
    #[arg(long, default_value = "")]
    display_name: String,
    /// May manage the whole instance: every workspace, every key
    #[arg(long)]
    instance_admin: bool,
    /// Read the password from standard input: one line, at least 15 characters
    #[arg(long, required = true)]
    password_stdin: bool,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    username: String,
    email: String,
    display_name: String,
    instance_admin: bool,
    active: bool,
    created_at: Moment,
}

impl From<UserSummary> for Shown {
    fn from(user: UserSummary) -> Self {
        Self {
            id: user.id.to_string(),
            username: user.username,
            email: user.email,
            display_name: user.display_name,
            instance_admin: user.instance_admin,
            active: user.active,
            created_at: Moment(user.created_at),
        }
    }
}

#[derive(Serialize)]
struct Listed {
    data: Vec<Shown>,
}

#[derive(Serialize)]
struct Link {
    link: String,
    link_expires_at: Moment,
}

pub(crate) async fn run(command: Command, config: &Config, printer: &Printer) -> Result<(), CliError> {
    beside(config, printer, async |engine| dispatch(command, engine, config, printer).await).await
}

async fn dispatch(command: Command, engine: &Engine, config: &Config, printer: &Printer) -> Result<(), CliError> {
    match command {
        Command::Create(new) => create(new, engine, printer).await,
        Command::List(wanted) => list(wanted, engine, printer).await,
        Command::Disable(Named { username }) => {
            let id = find(engine, &username).await?;
            changed("Disabled", engine.users.disable(&operator(), &id).await?, printer)
        }
        Command::Enable(Named { username }) => {
            let id = find(engine, &username).await?;
            changed("Enabled", engine.users.enable(&operator(), &id).await?, printer)
        }
        Command::ResetLink(Named { username }) => {
            let id = find(engine, &username).await?;
            let issued = engine.password_links.create(&operator(), &id).await?;
            let link = format!("{}/reset?token={}", config.public_url.origin(), issued.token.expose());
            printer.note(&format!("{username} can choose a new password with this link, once, within 24 hours:"));
            let whole = Link { link: link.clone(), link_expires_at: Moment(issued.expires_at) };
            printer.secret(&link, &whole)
        }
    }
}

async fn create(new: Create, engine: &Engine, printer: &Printer) -> Result<(), CliError> {
    let Create { email, username, display_name, instance_admin, password_stdin: _ } = new;
    let password = stdin_password()?;
    let new = NewUser { username, email, display_name, password, instance_admin };
    let user = Shown::from(engine.users.create(&operator(), new).await?);
    let words = format!("Created {} {} ({}).", if user.instance_admin { "instance administrator" } else { "user" }, user.username, user.id);
    printer.data(&user, &words)
}

async fn find(engine: &Engine, username: &str) -> Result<UserId, Error> {
    Ok(named("user", username, engine.users.find_by_username(&operator(), username).await)?.id)
}

fn changed(done: &str, detail: UserDetail, printer: &Printer) -> Result<(), CliError> {
    let words = format!("{done} {} ({}).", detail.user.username, detail.user.id);
    printer.data(&Shown::from(detail.user), &words)
}

async fn list(wanted: List, engine: &Engine, printer: &Printer) -> Result<(), CliError> {
    let mut filter = PeopleFilter { search: wanted.search, limit: MAX_PAGE, cursor: None };
    let mut people = Vec::new();
    loop {
        let page = engine.users.list(&operator(), &filter).await?;
        people.extend(page.items);
        let Some(next) = page.next else { break };
        filter.cursor = Some(next);
    }
    let heads = ["ID", "USERNAME", "STATUS", "RANK", "KEYS", "E-MAIL", "NAME"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(heads).chain(people.iter().map(row)).collect();
    let words = columns(&rows);
    let data = people.into_iter().map(|detail| Shown::from(detail.user)).collect();
    printer.data(&Listed { data }, &words)
}

fn row(detail: &UserDetail) -> [String; 7] {
    let user = &detail.user;
    [
        user.id.to_string(),
        user.username.clone(),
        if user.active { "active" } else { "disabled" }.to_owned(),
        if user.instance_admin { "instance admin" } else { "user" }.to_owned(),
        detail.live_keys.to_string(),
        user.email.clone(),
        user.display_name.clone(),
    ]
}
