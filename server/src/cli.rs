//! The command line. Every command but `serve` also works beside a running server.
//!
//! What was asked for goes to standard output, everything else to standard error. Exit codes: 0 done, 1 refused, 2 wrong
//! usage.

mod audit;
mod backup;
mod check_config;
mod demo;
mod doctor;
mod key;
mod member;
mod migrate;
mod nodes;
mod openapi;
mod operator;
mod output;
mod pepper;
mod proxy_config;
mod resource;
mod restore;
mod serve;
mod user;
mod workspace;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use keyfold_engine::Engine;

pub(crate) use operator::{named, operator, stdin_line, stdin_password};
pub(crate) use output::{CliError, Printer};

use crate::config::{Config, Flags};
use crate::serve::open;
use keyfold_engine::OpenRole;

/// A self-hosted API-key manager and verifier
#[derive(Parser)]
#[command(name = "keyfold", version, propagate_version = true, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    flags: Flags,
    /// Print data as JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

/// What can be asked for.
#[derive(Subcommand)]
enum Command {
    Serve(serve::Args),
    #[command(subcommand)]
    User(user::Command),
    #[command(subcommand)]
    Workspace(workspace::Command),
    #[command(subcommand)]
    Member(member::Command),
    #[command(subcommand)]
    Key(key::Command),
    #[command(subcommand)]
    Resource(resource::Command),
    #[command(subcommand)]
    Audit(audit::Command),
    Nodes(nodes::Args),
    Backup(backup::Args),
    Restore(restore::Args),
    Migrate(migrate::Args),
    #[command(subcommand)]
    Pepper(pepper::Command),
    Demo(demo::Args),
    Doctor(doctor::Args),
    CheckConfig(check_config::Args),
    ProxyConfig(proxy_config::Args),
    Openapi(openapi::Args),
}

/// Runs the command and says how it went.
pub fn run(cli: Cli) -> ExitCode {
    let printer = Printer::new(cli.json);
    let done = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(dispatch(cli, &printer)),
        Err(error) => Err(CliError::Refused(format!("cannot start: {error}"))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => printer.failure(&error),
    }
}

async fn dispatch(cli: Cli, printer: &Printer) -> Result<(), CliError> {
    // The reference needs no configuration, and must come out even where that is wrong.
    if let Command::CheckConfig(args) = &cli.command
        && args.reference
    {
        return check_config::print_reference(printer);
    }
    let config = Config::load(&cli.flags)?;
    if !matches!(cli.command, Command::Serve(_)) {
        crate::telemetry::start(config.log_level.at_most_warnings(), config.log_format);
    }
    match cli.command {
        Command::Serve(args) => Box::pin(serve::run(args, config, printer)).await,
        Command::User(command) => user::run(command, &config, printer).await,
        Command::Workspace(command) => workspace::run(command, &config, printer).await,
        Command::Member(command) => member::run(command, &config, printer).await,
        Command::Key(command) => Box::pin(key::run(command, &config, printer)).await,
        Command::Resource(command) => resource::run(command, &config, printer).await,
        Command::Audit(command) => audit::run(command, &config, printer).await,
        Command::Nodes(args) => nodes::run(args, &config, printer).await,
        Command::Backup(args) => backup::run(args, &config, printer).await,
        Command::Restore(args) => Box::pin(restore::run(args, &config, printer)).await,
        Command::Migrate(args) => Box::pin(migrate::run(args, &config, printer)).await,
        Command::Pepper(command) => Box::pin(pepper::run(command, &config, printer)).await,
        Command::Demo(args) => Box::pin(demo::run(args, &config, printer)).await,
        Command::Doctor(args) => doctor::run(args, &config, printer).await,
        Command::CheckConfig(args) => check_config::run(args, &config, printer),
        Command::ProxyConfig(args) => proxy_config::run(&args, &config, printer),
        Command::Openapi(args) => openapi::run(args, &config, printer).await,
    }
}

/// How long a command waits for running servers to know what it changed.
const TOLD_WITHIN: Duration = Duration::from_secs(5);

/// Does a command's work on the engine, beside the servers that may run on the same database. When it ends they know what was
/// changed, so that a script may use a key at once; if one does not say so, a line on standard error does.
pub(crate) async fn beside<T>(
    config: &Config,
    printer: &Printer,
    work: impl AsyncFnOnce(&Engine) -> Result<T, CliError>,
) -> Result<T, CliError> {
    let engine = open(config, OpenRole::Beside).await?;
    let begun = engine.nodes.revision();
    let done = Box::pin(work(&engine)).await;
    if engine.nodes.revision() > begun {
        match engine.nodes.told(&operator(), TOLD_WITHIN).await {
            Ok(Some(told)) if !told.is_complete() => {
                printer.note(&format!("The running servers may not know of this yet: {}.", told.in_words()));
            }
            Ok(_) => {}
            Err(error) => printer.note(&format!("It cannot be seen whether the running servers know of this yet: {error}")),
        }
    }
    engine.close().await;
    done
}
