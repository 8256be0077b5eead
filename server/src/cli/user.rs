//! `keyfold user create`: people, made by the operator.

use keyfold_domain::user::UserSummary;
use keyfold_engine::NewUser;
use serde::Serialize;

use crate::cli::{CliError, Printer, open_beside, operator, stdin_password};
use crate::config::Config;
use crate::rest::moments::Moment;

/// Manage users
#[derive(Debug, clap::Subcommand)]
pub(super) enum Command {
    /// Add a person who can sign in
    Create(Create),
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
            created_at: Moment(user.created_at),
        }
    }
}

pub(crate) async fn run(command: Command, config: &Config, printer: &Printer) -> Result<(), CliError> {
    let Command::Create(Create { email, username, display_name, instance_admin, password_stdin: _ }) = command;
    let password = stdin_password()?;
    let new = NewUser { username, email, display_name, password, instance_admin };
    let engine = open_beside(config).await?;
    let created = engine.users.create(&operator(), new).await;
    engine.close().await;
    let user = Shown::from(created?);
    let words = format!("Created {} {} ({}).", if user.instance_admin { "instance administrator" } else { "user" }, user.username, user.id);
    printer.data(&user, &words)
}
